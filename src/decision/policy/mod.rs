//! The judgement of Cedar (ABAC): default deny, forbid wins, and any error denies.
//!
//! Cedar skips a policy that errors; a skipped `forbid` would allow, so an error of any policy that was looked at is a denial.

pub mod attributes;
mod index;

use std::collections::HashSet;
use std::str::FromStr as _;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, Response,
};

pub use index::{AuthoredPolicy, IndexRefused, PolicyIndex};

use crate::decision::binding::ProvenSender;
use crate::decision::certificate::PeerCertificate;
use crate::decision::client::Registration;
use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::route::Route;
use crate::decision::token::VerifiedToken;
use index::ActionPolicies;

/// Who asks, as far as it is proven.
pub struct Subject<'w> {
    /// The token.
    pub token: &'w VerifiedToken,
    /// What the registry says about the client.
    pub registration: Option<&'w Registration>,
    /// The client certificate.
    pub certificate: Option<&'w PeerCertificate>,
    /// The proof.
    pub sender: &'w ProvenSender,
}

/// What is asked.
pub struct Question<'w> {
    /// The policies.
    pub index: &'w PolicyIndex,
    /// The request.
    pub facts: &'w RequestFacts<'w>,
    /// The operation.
    pub route: &'w Route<'w>,
    /// Unix seconds.
    pub now: i64,
}

/// A policy that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidingPolicy {
    /// Its `@id`.
    pub id: String,
    /// Its `@reason`.
    pub reason: String,
}

/// Policy permitted the request and no policy errored.
pub struct Authorised {
    policies: Vec<DecidingPolicy>,
}

impl Authorised {
    /// The policies that permitted it.
    #[must_use]
    pub fn policies(&self) -> &[DecidingPolicy] {
        &self.policies
    }
}

/// A refusal, and the policies behind it.
#[derive(Debug)]
pub struct Refused {
    /// The code.
    pub denial: Denial,
    /// The forbids that were satisfied, or the policies that errored.
    pub policies: Vec<DecidingPolicy>,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { denial, policies: Vec::new() }
    }
}

impl Question<'_> {
    /// Asks whether the subject may do this: first the operation's scopes (RFC 6750 §3.1), then Cedar.
    ///
    /// # Errors
    /// [`Refused`] with a denial of class `policy`, or `fault_policy_errored`.
    pub fn authorise(&self, subject: &Subject<'_>) -> Result<Authorised, Refused> {
        let client = subject.token.client();
        // An issuer has no fragment, so the first `#` ends it: no two clients read alike.
        let principal = uid("Client", &format!("{}#{}", client.issuer, client.id))?;
        let attributes = attributes::client(client, subject.registration).into_iter().collect();
        let entity = Entity::new(principal.clone(), attributes, HashSet::new()).map_err(|_| errored())?;
        let policies = self.policies()?;
        // A guardrail is stronger than a scope that is short: it is never softened, so it must be heard first.
        let response = self.ask(policies, &policies.policies, principal, entity, Some(subject))?;
        self.no_guardrail(policies, &response)?;
        let scopes = &self.route.operation().scopes;
        if !scopes.iter().all(|scope| subject.token.scopes().contains(scope)) {
            return Err(Denial::ScopeInsufficient.into());
        }
        let deciding = self.deciding(&response);
        match response.decision() {
            Decision::Allow => Ok(Authorised { policies: deciding }),
            Decision::Deny if deciding.is_empty() => Err(Denial::PolicyNotPermitted.into()),
            Decision::Deny => Err(Refused { denial: Denial::PolicyForbidden, policies: deciding }),
        }
    }

    /// Asks the guardrails alone, with the principal `Anonymous`: for public operations, and where leniency lets a request
    /// without a principal pass.
    ///
    /// # Errors
    /// [`Refused`] with `policy_guardrail` or `fault_policy_errored`.
    pub fn guardrails(&self) -> Result<(), Refused> {
        let policies = self.policies()?;
        let principal = uid("Anonymous", "anonymous")?;
        let entity = Entity::new_no_attrs(principal.clone(), HashSet::new());
        let response = self.ask(policies, &policies.guardrails, principal, entity, None)?;
        self.no_guardrail(policies, &response)
    }

    fn policies(&self) -> Result<&ActionPolicies, Refused> {
        self.index.of(&self.route.operation().action).ok_or_else(errored)
    }

    fn ask(
        &self,
        policies: &ActionPolicies,
        set: &PolicySet,
        principal: EntityUid,
        entity: Entity,
        subject: Option<&Subject<'_>>,
    ) -> Result<Response, Refused> {
        let api = self.route.api();
        let resource = uid("Api", &api.id)?;
        let attributes = attributes::api(api).into_iter().collect();
        let resource_entity = Entity::new(resource.clone(), attributes, HashSet::new()).map_err(|_| errored())?;
        let entities: Entities =
            policies.entities.clone().add_entities([entity, resource_entity], None).map_err(|_| errored())?;
        let pairs = attributes::context(self.facts, self.route, subject, self.now).ok_or_else(errored)?;
        let context = Context::from_pairs(pairs).map_err(|_| errored())?;
        let request =
            Request::new(principal, policies.action.clone(), resource, context, None).map_err(|_| errored())?;
        let response = Authorizer::new().is_authorized(&request, set, &entities);
        let mut errors = response.diagnostics().errors().peekable();
        if errors.peek().is_some() {
            let policies =
                errors.map(|AuthorizationError::PolicyEvaluationError(error)| self.named(error.policy_id())).collect();
            return Err(Refused { denial: Denial::FaultPolicyErrored, policies });
        }
        drop(errors);
        Ok(response)
    }

    fn no_guardrail(&self, policies: &ActionPolicies, response: &Response) -> Result<(), Refused> {
        let forbidding: Vec<_> = response
            .diagnostics()
            .reason()
            .filter(|id| policies.guardrails.policy(id).is_some())
            .map(|id| self.named(id))
            .collect();
        if forbidding.is_empty() {
            Ok(())
        } else {
            Err(Refused { denial: Denial::PolicyGuardrail, policies: forbidding })
        }
    }

    fn deciding(&self, response: &Response) -> Vec<DecidingPolicy> {
        let mut deciding: Vec<_> = response.diagnostics().reason().map(|id| self.named(id)).collect();
        deciding.sort_unstable_by(|one, two| one.id.cmp(&two.id));
        deciding
    }

    fn named(&self, id: &cedar_policy::PolicyId) -> DecidingPolicy {
        let reason = self.index.reason(id).unwrap_or_default().to_owned();
        DecidingPolicy { id: id.to_string(), reason }
    }
}

fn errored() -> Refused {
    Denial::FaultPolicyErrored.into()
}

fn uid(entity_type: &str, id: &str) -> Result<EntityUid, Refused> {
    let name = EntityTypeName::from_str(entity_type).map_err(|_| errored())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}
