//! The policies: permit all but one API, with one forbid on a claim, one on the workload's identity, one that errors, and one
//! guardrail.

use std::str::FromStr as _;

use cedar_policy::{Entities, EntityUid, Policy, PolicyId};
use keybound::decision::policy::{AuthoredPolicy, PolicyIndex};
use keybound::decision::token::{ClaimSpec, ClaimType};

const PERMIT_ALL: &str = r#"permit (principal, action, resource) unless { resource == Api::"unpermitted" };"#;

/// Reads an attribute that is not there.
const BROKEN: &str = r#"
    forbid (principal, action == Action::"broken.read", resource)
    when { context.token.claims.level > 3 };
"#;

const NO_SUSPENDED: &str = r#"
    forbid (principal, action, resource)
    when { context.token.claims has groups && context.token.claims.groups.contains("suspended") };
"#;

const WORKLOAD_ONLY: &str = r#"
    forbid (principal, action, resource == Api::"workload")
    unless {
        context has certificate && context.certificate has spiffe_id
        && context.certificate.spiffe_id == "spiffe://example.org/ns/a/sa/client-1"
    };
"#;

const NO_DELETES: &str = r#"forbid (principal, action == Action::"items.delete", resource);"#;

const ACTIONS: [&str; 8] = [
    "root.read",
    "broken.read",
    "items.list",
    "items.create",
    "items.read",
    "items.replace",
    "items.delete",
    "health.read",
];

/// Indexed, with the claims that the schema would declare.
pub fn policies() -> PolicyIndex {
    let authored = |id: &str, text: &str, guardrail: bool| AuthoredPolicy {
        policy: Policy::parse(Some(PolicyId::new(id)), text).expect("a policy"),
        guardrail,
        reason: "a rule of the tests".to_owned(),
    };
    let actions =
        ACTIONS.map(|name| (EntityUid::from_str(&format!("Action::\"{name}\"")).expect("an action"), Vec::new()));
    PolicyIndex::new(
        &[
            authored("permit-all", PERMIT_ALL, false),
            authored("no-suspended", NO_SUSPENDED, false),
            authored("workload-only", WORKLOAD_ONLY, false),
            authored("broken", BROKEN, false),
            authored("no-deletes", NO_DELETES, true),
        ],
        &actions,
        &Entities::empty(),
        claims(),
    )
    .expect("an index")
}

fn claims() -> Vec<ClaimSpec> {
    let set = || ClaimType::Set(Box::new(ClaimType::Text));
    [
        ("acr", ClaimType::Text),
        ("amr", set()),
        ("auth_time", ClaimType::Date),
        ("groups", set()),
        ("roles", set()),
        ("entitlements", set()),
    ]
    .into_iter()
    .map(|(name, kind)| ClaimSpec { attribute: name.to_owned(), claim: name.to_owned(), kind })
    .collect()
}
