//! The policies of a bundle, sorted when it is loaded by what their scopes name, so that a decision asks only those that could apply
//! and its cost does not grow with their number.
//!
//! Cedar evaluates; the index leaves out only policies whose scope names another action, resource or principal. A differential
//! test holds it against Cedar's own answer on the whole set, and [`Evaluation::Whole`] turns it off.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{self, EntityType, EntityUID, Expr};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::est;
use cedar_policy_core::extensions::Extensions;

use super::DecidingPolicy;
use super::whole::Whole;
use crate::decision::lookup::Lookup;
use crate::decision::token::ClaimSpec;

/// How policies are evaluated. The answer is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Those whose scope fits, found by index.
    Indexed,
    /// All of them, by Cedar's own authorizer, on each request.
    Whole,
}

/// Policies by action.
pub struct PolicyIndex {
    actions: Lookup<String, ActionPolicies>,
    claims: Arc<[ClaimSpec]>,
    whole: Option<Whole>,
}

/// What can apply to one action.
pub(super) struct ActionPolicies {
    pub(super) action: Arc<EntityUID>,
    /// The action and its groups.
    pub(super) entities: Entities,
    anywhere: ByPrincipal,
    /// Those that name one resource.
    at: Lookup<EntityUID, ByPrincipal>,
}

#[derive(Default)]
struct ByPrincipal {
    anybody: Vec<Arc<Candidate>>,
    /// Those for one type of principal: there are two.
    kinds: Vec<(EntityType, Vec<Arc<Candidate>>)>,
    /// Those that name one principal.
    of: Lookup<EntityUID, Vec<Arc<Candidate>>>,
}

impl ByPrincipal {
    fn met_by<'p>(&'p self, principal: &EntityUID) -> impl Iterator<Item = &'p Candidate> + use<'p> {
        let kind = self.kinds.iter().find(|(kind, _)| kind == principal.entity_type()).map(|(_, list)| list);
        let named = self.of.get(principal);
        self.anybody.iter().chain(kind.into_iter().flatten()).chain(named.into_iter().flatten()).map(AsRef::as_ref)
    }

    fn of_kind(&mut self, kind: &EntityType) -> &mut Vec<Arc<Candidate>> {
        let at = self.kinds.iter().position(|(known, _)| known == kind).unwrap_or_else(|| {
            self.kinds.push((kind.clone(), Vec::new()));
            self.kinds.len().saturating_sub(1)
        });
        self.kinds.get_mut(at).map_or(&mut self.anybody, |(_, list)| list)
    }
}

/// A policy that could apply.
pub(super) struct Candidate {
    pub(super) name: Arc<DecidingPolicy>,
    pub(super) forbids: bool,
    pub(super) guardrail: bool,
    /// What is left to ask once the index has found it; nothing, for a policy that has no conditions.
    pub(super) condition: Option<Expr>,
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
    /// Sorts the policies. `actions` are all actions of the schema with the groups they are in, transitively.
    ///
    /// # Errors
    /// [`IndexRefused`] if two policies share an id.
    pub fn new(
        policies: &[AuthoredPolicy],
        actions: &[(EntityUid, Vec<EntityUid>)],
        entities: &cedar_policy::Entities,
        claims: impl Into<Arc<[ClaimSpec]>>,
        evaluation: Evaluation,
    ) -> Result<Self, IndexRefused> {
        let candidates: Vec<_> = policies.iter().map(|authored| (authored, Arc::new(candidate(authored)))).collect();
        // Whichever is asked, a set that Cedar would refuse is refused.
        let mut ids = HashSet::new();
        if let Some(twice) = policies.iter().map(|authored| authored.policy.id()).find(|id| !ids.insert(*id)) {
            return Err(IndexRefused(format!("the id `{twice}` is taken twice")));
        }
        let asked = (evaluation == Evaluation::Whole).then(|| Whole::new(&candidates, entities));
        let whole = asked.transpose()?;
        let mut sorted = Vec::new();
        for (action, groups) in actions {
            let uids = core::iter::once(action).chain(groups);
            let own = uids.filter_map(|uid| entities.get(uid)).map(|entity| entity.as_ref().clone());
            sorted.push(ActionPolicies {
                action: Arc::new(action.as_ref().clone()),
                entities: gathered(own)?,
                anywhere: ByPrincipal::default(),
                at: Lookup::default(),
            });
        }
        for (authored, candidate) in &candidates {
            let constraint = authored.policy.action_constraint();
            let fitting =
                actions.iter().zip(&mut sorted).filter(|((action, groups), _)| applies(&constraint, action, groups));
            fitting.for_each(|(_, sorted)| sorted.add(&authored.policy, candidate));
        }
        let named = actions.iter().map(|(action, _)| action.id().unescaped().to_owned());
        let index = named.zip(sorted).collect();
        Ok(Self { actions: index, claims: claims.into(), whole })
    }

    /// The claims that the schema declares.
    #[must_use]
    pub fn claims(&self) -> &Arc<[ClaimSpec]> {
        &self.claims
    }

    pub(super) fn of(&self, action: &str) -> Option<&ActionPolicies> {
        self.actions.get(action)
    }

    /// All policies, if they are to be asked.
    pub(super) fn whole(&self) -> Option<&Whole> {
        self.whole.as_ref()
    }
}

impl ActionPolicies {
    /// The policies that this principal could meet at this resource.
    pub(super) fn candidates<'p>(
        &'p self,
        principal: &EntityUID,
        resource: &EntityUID,
    ) -> impl Iterator<Item = &'p Candidate> + use<'p> {
        let here = self.at.get(resource).map(|policies| policies.met_by(principal));
        self.anywhere.met_by(principal).chain(here.into_iter().flatten())
    }

    fn add(&mut self, policy: &Policy, candidate: &Arc<Candidate>) {
        let place = match policy.resource_constraint() {
            ResourceConstraint::Eq(only) => self.at.entry(only.into()).or_default(),
            ResourceConstraint::Any
            | ResourceConstraint::In(_)
            | ResourceConstraint::Is(_)
            | ResourceConstraint::IsIn(..) => &mut self.anywhere,
        };
        let list = match policy.principal_constraint() {
            PrincipalConstraint::Eq(only) => place.of.entry(only.into()).or_default(),
            PrincipalConstraint::Is(kind) => place.of_kind(kind.as_ref()),
            PrincipalConstraint::Any | PrincipalConstraint::In(_) | PrincipalConstraint::IsIn(..) => &mut place.anybody,
        };
        list.push(Arc::clone(candidate));
    }
}

fn candidate(authored: &AuthoredPolicy) -> Candidate {
    let policy = &authored.policy;
    // The index compares what a scope names; a scope that says more is evaluated with the conditions.
    let found_by_scope = matches!(
        policy.principal_constraint(),
        PrincipalConstraint::Any | PrincipalConstraint::Eq(_) | PrincipalConstraint::Is(_)
    ) && match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Eq(_) => true,
        ResourceConstraint::Is(kind) => super::estate::API.as_ref() == Some(kind.as_ref()),
        ResourceConstraint::In(_) | ResourceConstraint::IsIn(..) => false,
    };
    let unplaced = without_places(policy.as_ref());
    let written: &ast::Policy = unplaced.as_ref().unwrap_or_else(|| policy.as_ref());
    let condition = if found_by_scope { written.non_scope_constraints().cloned() } else { Some(written.condition()) };
    Candidate {
        name: Arc::new(DecidingPolicy { id: policy.id().to_string(), reason: authored.reason.clone() }),
        forbids: policy.effect() == Effect::Forbid,
        guardrail: authored.guardrail,
        condition,
    }
}

/// The policy without the places in the text that each part of it comes from: the evaluator would hand them on with every value.
fn without_places(policy: &ast::Policy) -> Option<ast::Policy> {
    est::Policy::from(policy.clone()).try_into_ast_policy(Some(policy.id().clone())).ok()
}

/// Entities whose ancestors are all named already.
pub(super) fn gathered(entities: impl IntoIterator<Item = ast::Entity>) -> Result<Entities, IndexRefused> {
    let (schema, extensions) = (None::<&NoEntitiesSchema>, Extensions::all_available());
    Entities::from_entities(entities, schema, TCComputation::AssumeAlreadyComputed, extensions)
        .map_err(|error| IndexRefused(error.to_string()))
}

fn applies(constraint: &ActionConstraint, action: &EntityUid, groups: &[EntityUid]) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == action,
        ActionConstraint::In(list) => list.iter().any(|uid| uid == action || groups.contains(uid)),
    }
}
