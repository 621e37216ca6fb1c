//! What policies and operations say of each other and nobody means: an operation that no policy can permit, and a guardrail
//! that is passed by leaving the token out.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Effect, EntityUid};

use super::scope::{Case, Rule, Scope};
use super::written::WrittenPolicy;
use crate::decision::client::{ClientId, Registration};
use crate::decision::denial::Class;
use crate::decision::route::{Api, Operation};
use crate::problem::Findings;

/// Each action of the schema with its groups, itself first.
pub(super) type Groups = HashMap<String, Vec<EntityUid>>;

/// Operations as they are known elsewhere: which API, which of its operations.
pub(in crate::bundle) type Places = Vec<(usize, usize)>;

/// The operations that ask for a permit, and that no policy can permit.
pub(super) fn unpermitted<'p>(
    policies: impl Iterator<Item = &'p WrittenPolicy<'p>>,
    groups: &Groups,
    apis: &[Api],
    clients: &HashMap<ClientId, Registration>,
) -> Places {
    let permits: Vec<_> =
        policies.filter(|written| written.policy().effect() == Effect::Permit).map(Scope::of).collect();
    // Few actions are those of many operations.
    let mut of_action: HashMap<&str, Vec<&Scope>> = HashMap::new();
    let mut places = Places::new();
    for (at, api) in apis.iter().enumerate() {
        for (place, operation) in asking(api) {
            let Some(uids) = groups.get(&operation.action) else { continue };
            let covering = of_action
                .entry(&operation.action)
                .or_insert_with(|| permits.iter().filter(|permit| permit.covers(uids)).collect());
            let can = |permit: &&Scope| permit.is_about_api(&api.id) && is_about_client(permit, api, clients);
            if !covering.iter().any(can) {
                places.push((at, place));
            }
        }
    }
    places
}

/// The operations of an API that ask for a credential.
fn asking(api: &Api) -> impl Iterator<Item = (usize, &Operation)> {
    api.operations.iter().enumerate().filter(|(_, operation)| !operation.public)
}

/// Whether some client that the API admits is meant.
fn is_about_client(permit: &Scope, api: &Api, clients: &HashMap<ClientId, Registration>) -> bool {
    let Some(uid) = permit.principal() else { return permit.is_about("Client") };
    let Some((issuer, id)) = uid.id().unescaped().split_once('#') else { return false };
    let client = ClientId { issuer: issuer.to_owned(), id: id.to_owned() };
    api.issuers.contains(&client.issuer) && (!api.registered_clients || clients.contains_key(&client))
}

/// Warns of every guardrail that holds for clients alone where an API lets requests pass without one, unless another
/// guardrail stops all of those.
pub(super) fn check_guardrails(
    guardrails: &[WrittenPolicy<'_>],
    groups: &Groups,
    apis: &[Api],
    findings: &mut Findings<'_>,
) {
    let rules: Vec<_> = guardrails.iter().map(Rule::of).collect();
    let mut told = HashSet::new();
    for api in apis {
        let without = |class: &&Class| matches!(class, Class::Credential | Class::Token);
        let Some(relaxed) = api.leniency.relaxed.iter().find(without) else { continue };
        let mut seen = HashSet::new();
        for (_, operation) in asking(api).filter(|(_, operation)| seen.insert(&operation.action)) {
            let Some(action) = groups.get(&operation.action) else { continue };
            let [client, nobody] = ["Client", "Anonymous"].map(|principal| Case { principal, action, api });
            let stopped: Vec<_> = rules.iter().map(|rule| nobody.meets(rule)).collect();
            if stopped.contains(&Some(true)) {
                continue;
            }
            for ((guardrail, rule), stops) in guardrails.iter().zip(&rules).zip(stopped) {
                let passed = stops == Some(false) && client.meets(rule) != Some(false);
                if passed && told.insert(guardrail.policy().id()) {
                    warn(guardrail, api, operation, *relaxed, findings);
                }
            }
        }
    }
}

fn warn(guardrail: &WrittenPolicy<'_>, api: &Api, operation: &Operation, relaxed: Class, findings: &mut Findings<'_>) {
    findings.warning(
        findings.offset(guardrail.effect_at()),
        format!(
            "whoever brings no valid token passes this guardrail: API `{}` relaxes `{}`, and guardrails on action `{}` are \
             then asked about Anonymous",
            api.id,
            relaxed.name(),
            operation.action
        ),
        "say what must hold, whoever asks: forbid (principal, …) unless { principal is Client && … }",
    );
}
