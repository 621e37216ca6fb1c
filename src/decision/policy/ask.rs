//! Asking the policies: Cedar's evaluator on those that the index finds, or Cedar's authorizer on all of them.

#[cfg(test)]
use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy_core::ast::{Context, Entity, EntityUID, EntityUIDEntry, Literal, Request, ValueKind};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use super::DecidingPolicy;
use super::index::{ActionPolicies, Candidate, PolicyIndex};
use crate::decision::cedar::Record;

/// Which policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All that could apply.
    Everything,
    /// Guardrails alone.
    Guardrails,
}

/// What the policies that were asked said.
pub(super) struct Answer<'p> {
    /// Those that hold. Where a forbid holds, Cedar's own answer leaves out the permits.
    pub(super) satisfied: Vec<&'p Candidate>,
    pub(super) errored: Vec<&'p Candidate>,
}

impl Answer<'_> {
    pub(super) fn named(&self, chosen: impl Fn(&Candidate) -> bool) -> Vec<Arc<DecidingPolicy>> {
        names(self.satisfied.iter().copied().filter(|policy| chosen(policy)))
    }
}

pub(super) fn names<'p>(policies: impl Iterator<Item = &'p Candidate>) -> Vec<Arc<DecidingPolicy>> {
    let mut names: Vec<_> = policies.map(|policy| Arc::clone(&policy.name)).collect();
    names.sort_unstable_by(|one, two| one.id.cmp(&two.id));
    names
}

impl PolicyIndex {
    /// Asks about one request. `None` for an action that no schema declares, or a defect: a denial.
    pub(super) fn ask(
        &self,
        action: &str,
        principal: Arc<Entity>,
        resource: Arc<Entity>,
        context: Record,
        asked: Asked,
    ) -> Option<Answer<'_>> {
        let policies = self.of(action)?;
        let request = Request::new_unchecked(
            known(principal.uid()),
            EntityUIDEntry::Known { euid: Arc::clone(&policies.action), loc: None },
            known(resource.uid()),
            Some(Context::Value(Arc::new(context))),
        );
        match self.whole() {
            None => evaluate(policies, request, principal, resource, asked),
            Some(whole) => whole.ask(request, &with(&whole.entities, [principal, resource])?, asked),
        }
    }
}

/// Asks the policies that the index finds, every one: one that errors denies whatever the others say.
fn evaluate(
    policies: &ActionPolicies,
    request: Request,
    principal: Arc<Entity>,
    resource: Arc<Entity>,
    asked: Asked,
) -> Option<Answer<'_>> {
    let candidates = policies.candidates(principal.uid(), resource.uid());
    let entities = with(&policies.entities, [principal, resource])?;
    let evaluator = Evaluator::new(request, &entities, Extensions::all_available());
    let no_slots = std::collections::HashMap::new();
    let mut answer = Answer { satisfied: Vec::new(), errored: Vec::new() };
    for candidate in candidates.filter(|candidate| candidate.guardrail || asked == Asked::Everything) {
        let Some(condition) = &candidate.condition else {
            answer.satisfied.push(candidate);
            continue;
        };
        match evaluator.interpret(condition, &no_slots).map(|value| value.value) {
            Ok(ValueKind::Lit(Literal::Bool(true))) => answer.satisfied.push(candidate),
            Ok(ValueKind::Lit(Literal::Bool(false))) => {}
            // A condition that is no truth is an error to Cedar too.
            Ok(_) | Err(_) => answer.errored.push(candidate),
        }
    }
    Some(answer)
}

fn known(uid: &EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::Known { euid: Arc::new(uid.clone()), loc: None }
}

fn with(entities: &Entities, more: [Arc<Entity>; 2]) -> Option<Entities> {
    let (schema, extensions) = (None::<&NoEntitiesSchema>, Extensions::all_available());
    entities.clone().add_entities(more, schema, TCComputation::AssumeAlreadyComputed, extensions).ok()
}

/// A question without a request, for the test that compares answers.
#[cfg(test)]
pub(crate) struct Asking<'q> {
    pub(crate) action: &'q str,
    pub(crate) principal: &'q cedar_policy::Entity,
    pub(crate) resource: &'q cedar_policy::Entity,
    pub(crate) guardrails_only: bool,
}

#[cfg(test)]
impl PolicyIndex {
    /// Whether it is allowed, by which policies or by whose forbids not, and which policies errored.
    pub(crate) fn told(&self, asking: &Asking<'_>, context: Record) -> (bool, BTreeSet<String>, BTreeSet<String>) {
        let [principal, resource] = [asking.principal, asking.resource].map(|entity| Arc::new(entity.as_ref().clone()));
        let asked = if asking.guardrails_only { Asked::Guardrails } else { Asked::Everything };
        let Some(answer) = self.ask(asking.action, principal, resource, context, asked) else {
            return Default::default();
        };
        let ids = |names: Vec<Arc<DecidingPolicy>>| names.iter().map(|name| name.id.clone()).collect::<BTreeSet<_>>();
        let errored = ids(names(answer.errored.iter().copied()));
        let (permits, forbids) =
            (ids(answer.named(|policy| !policy.forbids)), ids(answer.named(|policy| policy.forbids)));
        let allowed = forbids.is_empty() && !permits.is_empty();
        (allowed, if forbids.is_empty() { permits } else { forbids }, errored)
    }

    /// How many policies the index finds.
    pub(crate) fn count(&self, asking: &Asking<'_>) -> usize {
        let (principal, resource) = (asking.principal.uid(), asking.resource.uid());
        let policies =
            self.of(asking.action).map(|policies| policies.candidates(principal.as_ref(), resource.as_ref()));
        policies.into_iter().flatten().filter(|policy| policy.guardrail || !asking.guardrails_only).count()
    }
}
