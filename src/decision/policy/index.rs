//! The policies of a bundle, sliced by action when the bundle is loaded, so that a decision looks only at those that could apply.
//!
//! Cedar decides; the slice leaves out only policies whose scope names another action. A differential test holds the slice
//! against the whole set.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, Entities, EntityUid, Policy, PolicyId, PolicySet};

use crate::decision::token::ClaimSpec;

/// Policies by action.
pub struct PolicyIndex {
    actions: HashMap<String, ActionPolicies>,
    claims: Vec<ClaimSpec>,
    reasons: HashMap<PolicyId, String>,
}

/// What can apply to one action.
pub(super) struct ActionPolicies {
    pub(super) action: EntityUid,
    pub(super) policies: PolicySet,
    pub(super) guardrails: PolicySet,
    /// The action and its groups.
    pub(super) entities: Entities,
}

/// A policy of the bundle and whether it stands in the guardrail file.
pub struct AuthoredPolicy {
    /// Its id is its `@id`.
    pub policy: Policy,
    /// A forbid that nothing may soften.
    pub guardrail: bool,
    /// Its `@reason`.
    pub reason: String,
}

/// The policies cannot be put together; says why.
#[derive(Debug)]
pub struct IndexRefused(pub String);

impl PolicyIndex {
    /// Slices the policies by action. `actions` are all actions of the schema with the groups they are in, transitively.
    ///
    /// # Errors
    /// [`IndexRefused`] if two policies share an id.
    pub fn new(
        policies: &[AuthoredPolicy],
        actions: &[(EntityUid, Vec<EntityUid>)],
        entities: &Entities,
        claims: Vec<ClaimSpec>,
    ) -> Result<Self, IndexRefused> {
        let mut index = HashMap::new();
        for (action, groups) in actions {
            let mut sliced = PolicySet::new();
            let mut guardrails = PolicySet::new();
            for authored in policies.iter().filter(|authored| applies(&authored.policy, action, groups)) {
                let refused = |error: cedar_policy::PolicySetError| IndexRefused(error.to_string());
                sliced.add(authored.policy.clone()).map_err(refused)?;
                if authored.guardrail {
                    guardrails.add(authored.policy.clone()).map_err(refused)?;
                }
            }
            let uids: Vec<_> = core::iter::once(action).chain(groups).cloned().collect();
            let own = uids.iter().filter_map(|uid| entities.get(uid)).cloned();
            let entities = Entities::from_entities(own, None).map_err(|error| IndexRefused(error.to_string()))?;
            let name = action.id().unescaped().to_owned();
            index.insert(name, ActionPolicies { action: action.clone(), policies: sliced, guardrails, entities });
        }
        let reasons = policies.iter().map(|authored| (authored.policy.id().clone(), authored.reason.clone())).collect();
        Ok(Self { actions: index, claims, reasons })
    }

    /// The claims that the schema declares.
    #[must_use]
    pub fn claims(&self) -> &[ClaimSpec] {
        &self.claims
    }

    pub(super) fn of(&self, action: &str) -> Option<&ActionPolicies> {
        self.actions.get(action)
    }

    /// What a decision about an action looks at: the policies, and the action with its groups.
    #[cfg(test)]
    pub(crate) fn slice(&self, action: &str) -> Option<(&PolicySet, &Entities)> {
        self.of(action).map(|sliced| (&sliced.policies, &sliced.entities))
    }

    /// The `@reason` of a policy.
    pub(super) fn reason(&self, id: &PolicyId) -> Option<&str> {
        self.reasons.get(id).map(String::as_str)
    }
}

fn applies(policy: &Policy, action: &EntityUid, groups: &[EntityUid]) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == *action,
        ActionConstraint::In(list) => list.iter().any(|uid| uid == action || groups.contains(uid)),
    }
}
