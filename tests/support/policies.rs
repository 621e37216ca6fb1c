//! The policies: permit all but one action, with a forbid on a claim, one on the workload's identity, one that errors unless the
//! token has the claim that it reads, and one guardrail.

use std::str::FromStr as _;

use cedar_policy::{Entities, EntityUid, Policy, PolicyId};
use keybound::decision::policy::{AuthoredPolicy, Evaluation, PolicyIndex};
use keybound::decision::token::{ClaimSpec, ClaimType};

const PERMIT_ALL: &str = r#"permit (principal, action, resource) unless { action == Action::"items.history" };"#;

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

const NO_AUDIT_FOR_GUESTS: &str = r#"
    forbid (principal, action == Action::"items.audit", resource)
    when { context.token.claims.roles.contains("guest") };
"#;

const NO_DELETES: &str =
    r#"forbid (principal, action in [Action::"items.delete", Action::"health.delete"], resource);"#;

const ACTIONS: [&str; 10] = [
    "root.read",
    "items.list",
    "items.create",
    "items.read",
    "items.replace",
    "items.delete",
    "items.history",
    "items.audit",
    "health.read",
    "health.delete",
];

/// Indexed, with the claims that the schema would declare.
pub fn policies(evaluation: Evaluation) -> PolicyIndex {
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
            authored("no-audit-for-guests", NO_AUDIT_FOR_GUESTS, false),
            authored("no-deletes", NO_DELETES, true),
        ],
        &actions,
        &Entities::empty(),
        claims(),
        evaluation,
    )
    .expect("an index")
}

fn claims() -> Vec<ClaimSpec> {
    let set = || ClaimType::Set(Box::new(ClaimType::Text));
    let site = ClaimSpec { attribute: "site".to_owned(), claim: "site".to_owned(), kind: ClaimType::Text };
    [
        ("acr", ClaimType::Text),
        ("amr", set()),
        ("auth_time", ClaimType::Date),
        ("groups", set()),
        ("roles", set()),
        ("entitlements", set()),
        ("level", ClaimType::Long),
        ("trusted", ClaimType::Bool),
        ("place", ClaimType::Record(vec![site])),
    ]
    .into_iter()
    .map(|(name, kind)| ClaimSpec { attribute: name.to_owned(), claim: name.to_owned(), kind })
    .collect()
}
