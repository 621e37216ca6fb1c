//! The policies: each refusal is one change from the good bundle, and has an allowed twin.

use super::{GUARDRAILS, MAIN, SCHEMA, bundle, load_in, refuse, row, take, warn};

const S: &str = "schema.cedarschema";
const M: &str = "main.cedar";
const G: &str = "guardrails.cedar";

#[test]
fn cedars_own_errors_have_their_place() {
    row(
        S,
        "entity Anonymous;
entity",
        "entity Anonymous
^entity",
        "unexpected token `entity`",
        "expected",
        "entity Anonymous;\n\nentity",
    );
    row(
        S,
        "claims: Claims",
        "claims: ^Claim",
        "failed to resolve type: Claim",
        "has not been declared",
        "claims: Claims",
    );
    row(
        S,
        "\"read\", \"write\"",
        "\"read\", \"write\" in [^\"all\"]",
        "undeclared action",
        "declared as actions",
        "\"read\", \"write\"",
    );
    row(
        S,
        "entity Anonymous",
        "type ^decimal = String;\nentity Anonymous",
        "shadows a builtin",
        "another name",
        "type day = String;\nentity Anonymous",
    );
    row(
        M,
        "when { context.token",
        "when { ^context.token = 1 && context.token",
        "not a valid operator",
        "'=='",
        "when { context.token",
    );
    row(
        M,
        "contains(\"selling\") };",
        "contains(\"selling\") }\n\n^@id(\"x\")",
        "unexpected token `@`",
        "expected",
        "contains(\"selling\") };\n\n",
    );
    row(M, "== \"gold\"", "== ^\"\\q\"", "not a valid escape", "", "== \"\\n\"");
}

#[test]
fn validation_is_strict_and_warnings_are_errors() {
    row(
        M,
        "principal.purposes",
        "^principal.purpose",
        "attribute `purpose` on entity type `Client` not found",
        "did you mean `purposes`",
        "principal.purposes",
    );
    row(
        M,
        "context.token.claims has acr && ",
        "^",
        "access to optional attribute `token.claims.acr`",
        "has acr",
        "context.token.claims has acr && ",
    );
    row(
        M,
        "Action::\"items.list\"",
        "^Action::\"items.lst\"",
        "unrecognized action",
        "did you mean",
        "Action::\"items.get\"",
    );
    row(
        M,
        "acr == \"gold\"",
        "acr == \"gold\" && ^context.token.scopes == \"a\"",
        "not compatible",
        "",
        "acr == \"gold\" && context.token.scopes.contains(\"a\")",
    );
    row(
        M,
        "== \"gold\"",
        "== \"gold\" && ^ip(\"300.1.1.1\").isLoopback()",
        "failed to parse as IP",
        "valid IP",
        "== \"gold\" && ip(\"127.0.0.1\").isLoopback()",
    );
    refuse(
        G,
        "@id(\"no-agents\")",
        "^@id(\"never\") @reason(\"r\") forbid (principal, action, resource) when { 1 == 2 };\n@id(\"no-agents\")",
        "policy is impossible",
        "let scope and conditions agree",
    );
    refuse(M, "== \"gold\"", "== ^\"g\u{43e}ld\"", "contains mixed scripts", "");
}

#[test]
fn every_policy_has_an_id_of_its_own_and_a_reason() {
    row(
        M,
        "@id(\"read-items\")\n@reason(\"Clients that sell read items\")\npermit",
        "@reason(\"Clients that sell read items\")\n^permit",
        "no @id",
        "add @id",
        "@reason(\"r\") @id(\"a\") permit",
    );
    row(M, "@id(\"read-items\")", "^@id(\"read items\")", "no id of a policy", "a-z", "@id(\"read-items-2\")");
    row(M, "@id(\"read-items\")", "^@id", "`` is no id", "a-z", "@id(\"r\")");
    row(
        M,
        "@id(\"shop-reads\")",
        "^@id(\"read-items\")",
        "taken by main.cedar, line 2",
        "its own id",
        "@id(\"read-item\")",
    );
    row(
        M,
        "@id(\"shop-reads\")",
        "^@id(\"no-agents\")",
        "taken by guardrails.cedar, line 1",
        "its own id",
        "@id(\"no-agent\")",
    );
    row(M, "@reason(\"The shop reads all\")\npermit", "^permit", "no @reason", "add @reason", "@reason(\"r\")\npermit");
    row(M, "@reason(\"The shop reads all\")", "^@reason(\" \")", "says nothing", "in words", "@reason(\"x\")");
    refuse(M, "@reason(\"The shop reads all\")", "^@reason", "says nothing", "in words");
    refuse(M, "@id(\"shop-reads\")", "@id(\"a\") ^@id(\"b\")", "duplicate annotation", "");
}

#[test]
fn annotations_that_mean_nothing_yet_are_refused() {
    let reason = "@reason(\"The shop reads all\")";
    let with = |annotation: &str| format!("{reason} ^{annotation}");
    row(
        M,
        reason,
        &with("@mode(\"shadow\")"),
        "not supported yet",
        "leave it out",
        &format!("{reason} // @mode(\"shadow\")"),
    );
    refuse(M, reason, &with("@mode(\"enforce\")"), "no mode", "leave @mode out");
    refuse(M, reason, &with("@owner(\"me\")"), "@owner means nothing", "@id");
    refuse(M, reason, &with("@Id(\"x\")"), "@Id means nothing", "@id");
}

#[test]
fn templates_are_refused_and_guardrails_only_forbid() {
    row(
        M,
        "permit (principal is Client, action in",
        "permit (principal == ^?principal, action in",
        "a template",
        "name the principal",
        "permit (principal, action in",
    );
    row(
        G,
        "forbid (principal is Client, action in Action::\"write\", resource)",
        "^permit (principal is Client, action in Action::\"write\", resource)",
        "permits nothing",
        "another file",
        "forbid (principal is Client, action in [Action::\"write\"], resource)",
    );
    take(
        M,
        "// Who may read.",
        "@id(\"x\") @reason(\"?y; permit\") forbid (principal, action == Action::\"items.get\", resource) unless { context.http.path.item_id == \"?\" };",
    );
}

#[test]
fn a_policy_names_only_what_there_is() {
    row(
        M,
        "resource == Api::\"items\"",
        "resource == Api::^\"itms\"",
        "no API `itms`",
        "did you mean `items`",
        "resource in Api::\"items\"",
    );
    row(
        M,
        "Client::\"https://as.test#shop\"",
        "Client::^\"shop\"",
        "no client is named",
        "https://as.test#robot",
        "Client::\"https://other.test#shop\"",
    );
    refuse(
        M,
        "Client::\"https://as.test#shop\"",
        "Client::^\"https://no.test#shop\"",
        "no client is named",
        "issuer#client id",
    );
    // `notes` accepts clients that are not registered.
    take(M, "Client::\"https://as.test#shop\"", "Client::\"https://as.test#guest\"");
    let registered = super::APIS.replace("clients: any", "clients: registered");
    let guest = MAIN.replace("as.test#shop", "as.test#guest");
    let problems = load_in(&bundle(&[("apis.yaml", &registered), (M, &guest)]), |_| {}).err().unwrap();
    assert_eq!((problems.len(), problems[0].place.line, problems[0].place.column), (1, 9, 30), "{problems:#?}");
    assert!(problems[0].what.contains("not in clients.yaml"));
    let anonymous =
        "@id(\"a\") @reason(\"r\") forbid (principal == Anonymous::^\"x\", action == Action::\"health\", resource);\n";
    row(
        G,
        "@id(\"no-agents\")",
        &format!("{anonymous}@id(\"no-agents\")"),
        "nobody is this Anonymous",
        "principal is",
        &anonymous.replace("^\"x\"", "\"anonymous\"").replace('\n', "\n@id(\"no-agents\")"),
    );
}

#[test]
fn a_forbid_that_only_those_meet_who_bring_a_claim_is_told() {
    let clause = "when { principal.kind == \"agent\" };";
    let open = "context has token && context.token";
    for (condition, told) in [
        ("when { $t ^has claims.acr && context.token.claims.acr == \"x\" };", true),
        ("when { context has token && context.token.claims ^has acr && context.token.claims.acr == \"x\" };", true),
        ("when { principal.kind == \"agent\" } when { $t.claims ^has level };", true),
        ("when { principal.kind == \"agent\" || ($t.claims has level) };", false),
        ("when { ($t.claims ^has acr) || ($t.claims has level) };", true),
        ("when { !($t.claims has level) };", false),
        ("unless { $t.claims has level && context.token.claims.level > 3 };", false),
        ("unless { !($t.claims ^has level && context.token.claims.level > 3) };", true),
        ("when { if $t.claims has level then context.token.claims.level > 3 else true };", false),
        (
            "when { if $t.claims ^has level then context.token.claims.level > 3 else context has token.claims.acr };",
            true,
        ),
        ("when { context has token && context.token has subject };", false),
    ] {
        let marked = condition.replace("$t", open);
        let column = marked.find('^').map(|offset| offset + 1);
        let text = GUARDRAILS.replace(clause, &marked.replace('^', ""));
        let (_, warnings) =
            load_in(&bundle(&[(G, &text)]), |_| {}).unwrap_or_else(|problems| panic!("{condition}: {problems:#?}"));
        assert_eq!(warnings.len(), usize::from(told), "{condition}: {warnings:#?}");
        for warning in warnings {
            assert!(warning.what.contains("without the claim") && warning.remedy.contains("unless"), "{warning}");
            assert_eq!((warning.place.line, Some(warning.place.column)), (4, column), "{warning}");
        }
    }
}

#[test]
fn a_forbid_that_only_those_meet_who_bring_a_certificate_or_an_address_is_told() {
    let schema = SCHEMA
        .replace(
            "type Http = {",
            "type Certificate = { thumbprint: String, spiffe_id?: String };\ntype Http = { peer_ip?: ipaddr,",
        )
        .replace("proof?: Proof, http: Http", "proof?: Proof, certificate?: Certificate, http: Http");
    let scope = "forbid (principal, action == Action::\"notes.add\", resource)";
    for (condition, told) in [
        ("when { context ^has certificate && context.certificate.thumbprint != \"a\" };", "a client certificate"),
        (
            "when { context ^has certificate.spiffe_id && context.certificate.spiffe_id != \"a\" };",
            "a client certificate",
        ),
        ("when { context.http ^has peer_ip && !context.http.peer_ip.isLoopback() };", "has no address"),
        ("when { context ^has http.peer_ip && !context.http.peer_ip.isLoopback() };", "has no address"),
        ("unless { context has certificate && context.certificate.thumbprint == \"a\" };", ""),
        ("unless { context.http has peer_ip && context.http.peer_ip.isLoopback() };", ""),
        ("when { !(context has certificate) };", ""),
        ("when { context has certificate || context.http has peer_ip };", "a client certificate"),
    ] {
        let text = format!("{GUARDRAILS}@id(\"a\") @reason(\"r\") {scope}\n{condition}\n");
        let place = condition.find('^').map(|offset| (6, offset + 1));
        let changed = [(G, text.replace('^', "")), ("schema.cedarschema", schema.clone())];
        let changed: Vec<_> = changed.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let (_, warnings) =
            load_in(&bundle(&changed), |_| {}).unwrap_or_else(|problems| panic!("{condition}: {problems:#?}"));
        assert_eq!(warnings.len(), usize::from(!told.is_empty()), "{condition}: {warnings:#?}");
        for warning in warnings {
            assert!(warning.what.contains(told) && warning.remedy.contains("unless { context"), "{warning}");
            assert!(place.is_none_or(|place| place == (warning.place.line, warning.place.column)), "{warning}");
        }
    }
}

#[test]
fn a_comparison_that_never_holds_is_told() {
    let clause = "when { principal.kind == \"agent\" };";
    let proof = "context has proof && context.proof.method";
    let never = |condition: &str, what: &str, remedy: &str| {
        warn(G, clause, &condition.replace("$p", proof), what, remedy);
    };
    never(
        "when { context.http.method == ^\"post\" };",
        "`context.http.method` is never \"post\"",
        "did you mean \"POST\"?",
    );
    never(
        "when { ^\"DELETE\" == context.http.method };",
        "never \"DELETE\"",
        "it is one of: GET, HEAD, POST; correct it",
    );
    never("when { context.http.host == ^\"Notes.test\" };", "never \"Notes.test\"", "did you mean \"notes.test\"?");
    never("when { resource.sensitivity == ^\"hgh\" };", "`resource.sensitivity` is never", "did you mean \"high\"?");
    never("when { principal.kind == ^\"partnr\" };", "`principal.kind` is never", "did you mean \"partner\"?");
    never("unless { $p != ^\"nome\" };", "`context.proof.method` is never", "did you mean \"none\"?");
    never(
        "unless { context has proof && [\"mtls\", ^\"tls\"].contains(context.proof.method) };",
        "never \"tls\"",
        "\"mtls\"?",
    );
    never("unless { ^\"HTTP\" == context[\"http\"][\"method\"] || false };", "never \"HTTP\"", "one of");
    // The one that is compared, of two that are alike; each once.
    never("when { principal.issuer == \"servise\" && principal.kind == ^\"servise\" };", "`principal.kind`", "service");
    never(
        "when { context.http.host == ^\"a\" || \"b\" == \"a\" || \"a\" == context.http.host };",
        "never \"a\"",
        "one of",
    );
    for fine in [
        "when { [\"GET\", \"POST\"].contains(context.http.method) && resource.sensitivity != \"high\" };",
        "when { principal.kind == \"service\" || principal.kind == \"partner\" || principal.kind == \"agent\" };",
        "unless { $p != \"none\" };",
        "when { context.http.host == \"items.test\" || principal.issuer == \"nobody\" };",
    ] {
        take(G, clause, &fine.replace("$p", proof));
    }
}

#[test]
fn a_bundle_that_may_have_lost_its_guardrails_is_refused() {
    for lost in ["", " \n\n"] {
        let problems = load_in(&bundle(&[(G, lost)]), |_| {}).err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        let problem = &problems[0];
        assert_eq!((problem.place.file.as_str(), problem.place.line, problem.place.column), (G, 1, 1), "{problem}");
        assert!(problem.what.contains("is empty") && problem.remedy.contains("comment"), "{problem}");
    }
    // Who means it says so, and is told what it means.
    let (_, warnings) = load_in(&bundle(&[(G, "// None: every policy may be relaxed.\n")]), |_| {}).unwrap();
    assert!(warnings.len() == 1 && warnings[0].what.contains("there is no guardrail"), "{warnings:#?}");
}
