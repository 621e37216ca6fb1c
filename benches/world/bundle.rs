//! The bundle: policies spread as an estate has them. To the measured operation two guardrails and five policies can apply,
//! however many there are; the others are for other APIs, other actions, other named clients.

use std::fmt::Write as _;

use super::ISSUER;
use super::party::Client;
use super::tokens::TENANT;

/// The least number of policies: what applies to the measured operation, and one of each other kind.
pub const LEAST: usize = 10;
/// What can apply to the measured operation, guardrails among them.
pub const APPLYING: usize = 7;
/// The file that [`super::Estate::change_bundle`] changes.
pub const CHANGING: &str = "payments.cedar";

/// Policies of a file, about.
const A_FILE: usize = 500;
/// Other clients, of whom policies are.
const CLIENTS: usize = 60;

/// Names and texts of its files.
pub fn files(policies: usize) -> Vec<(String, String)> {
    assert!(policies >= LEAST, "the least bundle has {LEAST} policies");
    let apis = other_apis(policies);
    let mut files = vec![
        ("schema.cedarschema".to_owned(), schema(apis)),
        ("apis.yaml".to_owned(), inventory(apis)),
        ("clients.yaml".to_owned(), registry()),
        ("guardrails.cedar".to_owned(), GUARDRAILS.to_owned()),
        (CHANGING.to_owned(), changing("here")),
    ];
    let others: Vec<_> = (0..policies - APPLYING).map(|number| other(number, apis)).collect();
    files.extend(
        others.chunks(A_FILE).enumerate().map(|(number, part)| (format!("team-{number:03}.cedar"), part.concat())),
    );
    files
}

/// The other APIs of an estate of that size.
const fn other_apis(policies: usize) -> usize {
    let apis = policies / 20;
    if apis < 2 {
        2
    } else if apis > 100 {
        100
    } else {
        apis
    }
}

const GUARDRAILS: &str = r#"
@id("high-sensitivity-needs-proof")
@reason("Nobody calls an API of high sensitivity without proving that the token is theirs")
forbid (principal, action, resource)
when { resource.sensitivity == "high" }
unless { context has proof && context.proof.method != "none" };

@id("tokens-live-an-hour")
@reason("No token lives longer than an hour")
forbid (principal, action, resource)
unless { context has token && context.token.lifetime_seconds <= 3600 };
"#;

/// The five policies of the measured operation; the word makes another revision of the same rules.
pub fn changing(word: &str) -> String {
    format!(
        r#"
@id("payments-read-by-scope")
@reason("Registered clients with the scope read payments, as it is written {word}")
permit (principal is Client, action == Action::"payments.read", resource == Api::"payments")
when {{ principal.registered && context.token.scopes.contains("payments.read") }};

@id("payments-read-by-purpose")
@reason("Clients whose purpose needs payments read them")
permit (principal is Client, action == Action::"payments.read", resource == Api::"payments")
when {{ principal.purposes.containsAny(["payments", "invoicing", "settlement"]) }};

@id("payments-read-with-a-fresh-token")
@reason("Payments are read with a token that is no older than an hour")
forbid (principal is Client, action == Action::"payments.read", resource == Api::"payments")
unless {{ context.token.lifetime_seconds <= 3600 && context.token.age_seconds <= 3600 }};

@id("payments-read-with-a-certificate")
@reason("Services with a certificate read payments")
permit (principal is Client, action == Action::"payments.read", resource == Api::"payments")
when {{ principal.kind == "service" && context.proof.method == "mtls" && context has certificate }};

@id("payments-read-in-their-tenant")
@reason("Payments are read by their own tenant")
forbid (principal is Client, action == Action::"payments.read", resource == Api::"payments")
unless {{ context.token.claims has tenant && context.token.claims.tenant == "{TENANT}" }};
"#
    )
}

/// A policy that never applies to a measured request: of each twenty, one is for the same action of another API, and one for
/// the same action and API but another client.
fn other(number: usize, apis: usize) -> String {
    // So that each API gets every kind.
    let api = format!("svc-{:03}", (number + number / 20) % apis);
    let client = format!("{ISSUER}#robot-{:03}", (number / 20 * 3 + number) % CLIENTS);
    let head = format!("@id(\"team-{number:05}\")\n@reason(\"Rule {number} of the teams\")\n");
    let effect = if number % 5 == 4 { "forbid" } else { "permit" };
    let scope = match number % 20 {
        0 => format!("principal is Client, action == Action::\"payments.read\", resource == Api::\"{api}\""),
        1 => format!(
            "principal == Client::\"{client}\", action == Action::\"payments.read\", resource == Api::\"payments\""
        ),
        5 => format!(
            "principal == Client::\"{client}\", action in [Action::\"payments.list\", Action::\"payments.create\", \
             Action::\"payments.refund\"], resource == Api::\"payments\""
        ),
        2 | 7 | 12 => format!("principal == Client::\"{client}\", action, resource == Api::\"{api}\""),
        3 | 8 | 13 => format!(
            "principal is Client, action in [Action::\"{api}.read\", Action::\"{api}.write\"], resource == Api::\"{api}\""
        ),
        _ => format!("principal is Client, action == Action::\"{api}.write\", resource == Api::\"{api}\""),
    };
    let condition = match number % 3 {
        0 => "when { context.token.scopes.contains(\"items.read\") && principal.registered }",
        1 => "unless { context.token.claims has tenant && context.token.claims.tenant == \"acme-south\" }",
        _ => "when { principal.kind == \"agent\" && context.token.age_seconds <= 600 }",
    };
    format!("{head}{effect} ({scope})\n{condition};\n\n")
}

fn schema(apis: usize) -> String {
    let mut text = String::from(SCHEMA);
    for api in 0..apis {
        write!(
            text,
            "action \"svc-{api:03}.read\", \"svc-{api:03}.write\"\n  \
             appliesTo {{ principal: Client, resource: Api, context: Call }};\n"
        )
        .expect("text");
    }
    text
}

const SCHEMA: &str = r#"
entity Client = {
  issuer: String,
  client_id: String,
  registered: Bool,
  kind: String,
  purposes: Set<String>,
  owner?: String,
};
entity Anonymous;
entity Api = { owner: String, sensitivity: String };

type Claims = {
  acr?: String,
  groups?: Set<String>,
  @claim("https://example.com/tenant")
  tenant?: String,
};
type Token = {
  issuer: String,
  subject?: String,
  scopes: Set<String>,
  audiences: Set<String>,
  lifetime_seconds: Long,
  age_seconds: Long,
  claims: Claims,
};
type Proof = { method: String, key_thumbprint?: String, age_seconds?: Long };
type Certificate = {
  thumbprint: String,
  dns_names?: Set<String>,
  uris?: Set<String>,
  spiffe_id?: String,
  issuer?: String,
};
type Http = { method: String, host: String, peer_ip?: ipaddr };
type Call = { token: Token, proof: Proof, certificate?: Certificate, http: Http, now: datetime };
type PaymentCall = {
  token: Token,
  proof: Proof,
  certificate?: Certificate,
  http: { method: String, host: String, peer_ip?: ipaddr, path: { payment_id: String } },
  now: datetime,
};

action "payments.read", "payments.refund"
  appliesTo { principal: Client, resource: Api, context: PaymentCall };
action "payments.list", "payments.create"
  appliesTo { principal: Client, resource: Api, context: Call };
"#;

fn inventory(apis: usize) -> String {
    let mut text = format!("apis:\n{}", api("payments", "pay.example.com", "high", PAYMENTS));
    for number in 0..apis {
        let id = format!("svc-{number:03}");
        let operations = format!(
            "      - {{ method: GET, path: /v1/items, action: {id}.read, scopes: [items.read] }}\n      \
             - {{ method: POST, path: /v1/items, action: {id}.write, scopes: [items.write] }}\n      \
             - {{ method: GET, path: \"/v1/payments/{{payment_id}}\", action: payments.read, scopes: [payments.read] }}\n"
        );
        text.push_str(&api(&id, &format!("{id}.example.com"), "medium", &operations));
    }
    text
}

const PAYMENTS: &str = r#"      - { method: GET, path: "/v1/payments/{payment_id}", action: payments.read, scopes: [payments.read] }
      - { method: GET, path: /v1/payments, action: payments.list, scopes: [payments.read] }
      - { method: POST, path: /v1/payments, action: payments.create, scopes: [payments.write] }
      - { method: POST, path: "/v1/payments/{payment_id}/refund", action: payments.refund, scopes: [payments.write] }
"#;

fn api(id: &str, host: &str, sensitivity: &str, operations: &str) -> String {
    format!(
        "  - id: {id}\n    owner: {id}-team\n    sensitivity: {sensitivity}\n    hosts: {{ {host}: \"https://{host}\" }}\n    \
         issuers: [{ISSUER}]\n    proof: required\n    operations:\n{operations}"
    )
}

fn registry() -> String {
    let client = |id: &str, purpose: &str| {
        format!(
            "  - issuer: {ISSUER}\n    id: {id}\n    owner: finance-team\n    kind: service\n    purposes: [{purpose}]\n"
        )
    };
    let measured = Client::ALL.into_iter().map(|known| client(known.id(), "settlement"));
    let others = (0..CLIENTS).map(|number| client(&format!("robot-{number:03}"), "errands"));
    let clients: String = measured.chain(others).collect();
    format!("clients:\n{clients}")
}
