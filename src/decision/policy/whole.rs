//! Cedar's own authorizer on all policies: what the index must agree with, and what can be asked in its stead.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::PolicySet;
use cedar_policy_core::ast;
use cedar_policy_core::authorizer::{AuthorizationError, Authorizer};
use cedar_policy_core::entities::Entities;

use super::ask::{Answer, Asked};
use super::index::{AuthoredPolicy, Candidate, IndexRefused, gathered};

/// Every policy of a bundle.
pub(super) struct Whole {
    all: PolicySet,
    guardrails: PolicySet,
    candidates: HashMap<ast::PolicyID, Arc<Candidate>>,
    /// Every action with its groups.
    pub(super) entities: Entities,
}

impl Whole {
    pub(super) fn new(
        policies: &[(&AuthoredPolicy, Arc<Candidate>)],
        entities: &cedar_policy::Entities,
    ) -> Result<Self, IndexRefused> {
        let set = |guardrails_only: bool| {
            let mut set = PolicySet::new();
            let chosen = policies.iter().filter(|(authored, _)| authored.guardrail || !guardrails_only);
            for (authored, _) in chosen {
                set.add(authored.policy.clone()).map_err(|error| IndexRefused(error.to_string()))?;
            }
            Ok(set)
        };
        let named = policies.iter().map(|(authored, candidate)| (id(&authored.policy), Arc::clone(candidate)));
        Ok(Self {
            all: set(false)?,
            guardrails: set(true)?,
            candidates: named.collect(),
            entities: gathered(entities.iter().map(|entity| entity.as_ref().clone()))?,
        })
    }

    /// What Cedar says: of the satisfied policies those that decide, and those that errored. `None`, a denial, if it names one that is
    /// not ours: a forbid or an error that got lost would allow.
    pub(super) fn ask(&self, request: ast::Request, entities: &Entities, asked: Asked) -> Option<Answer<'_>> {
        let set = if asked == Asked::Guardrails { &self.guardrails } else { &self.all };
        let response = Authorizer::new().is_authorized(request, set.as_ref(), entities);
        let find = |id: &ast::PolicyID| self.candidates.get(id).map(AsRef::as_ref);
        let errored = response.diagnostics.errors.iter();
        Some(Answer {
            satisfied: response.diagnostics.reason.iter().map(find).collect::<Option<_>>()?,
            errored: errored
                .map(|AuthorizationError::PolicyEvaluationError { id, .. }| find(id))
                .collect::<Option<_>>()?,
        })
    }
}

fn id(policy: &cedar_policy::Policy) -> ast::PolicyID {
    let policy: &ast::Policy = policy.as_ref();
    policy.id().clone()
}
