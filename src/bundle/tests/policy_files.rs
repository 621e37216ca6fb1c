//! The policies: each refusal is one change from the good bundle, and has an allowed twin.

use super::{GUARDRAILS, MAIN, bundle, load_in, refuse, row, take};

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
