//! The judgement of Cedar (ABAC): default deny, forbid wins, and any error denies.
//!
//! Cedar skips a policy that errors; a skipped `forbid` would allow, so an error of any policy that was looked at is a denial.

mod ask;
pub mod attributes;
mod estate;
mod index;
pub mod values;
mod whole;

use std::sync::Arc;

use cedar_policy_core::ast::Entity;

#[cfg(test)]
pub(crate) use ask::Asking;
pub use estate::Estate;
pub use index::{AuthoredPolicy, Evaluation, IndexRefused, PolicyIndex};

use crate::decision::binding::ProvenSender;
use crate::decision::certificate::PeerCertificate;
use crate::decision::client::Registration;
use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::route::Route;
use crate::decision::token::VerifiedToken;
use ask::{Answer, Asked};

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
    /// Whom and what they are about.
    pub estate: &'w Estate,
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
    policies: Vec<Arc<DecidingPolicy>>,
}

impl Authorised {
    /// The policies that permitted it.
    #[must_use]
    pub fn policies(&self) -> &[Arc<DecidingPolicy>] {
        &self.policies
    }
}

/// A refusal, and the policies behind it.
#[derive(Debug)]
pub struct Refused {
    /// The code.
    pub denial: Denial,
    /// The forbids that were satisfied, or the policies that errored.
    pub policies: Vec<Arc<DecidingPolicy>>,
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
        let principal = self.estate.client(subject.token.client(), subject.registration).ok_or_else(errored)?;
        // A guardrail is stronger than a scope that is short: it is never softened, so it must be heard first.
        let answer = self.ask(principal, Some(subject))?;
        let scopes = &self.route.operation().scopes;
        if !scopes.iter().all(|scope| subject.token.scopes().contains(scope)) {
            return Err(Denial::ScopeInsufficient.into());
        }
        let forbidding = answer.named(|policy| policy.forbids);
        if !forbidding.is_empty() {
            return Err(Refused { denial: Denial::PolicyForbidden, policies: forbidding });
        }
        let permitting = answer.named(|policy| !policy.forbids);
        if permitting.is_empty() {
            return Err(Denial::PolicyNotPermitted.into());
        }
        Ok(Authorised { policies: permitting })
    }

    /// Asks the guardrails alone, with the principal `Anonymous`: for public operations, and where leniency lets a request
    /// without a principal pass.
    ///
    /// # Errors
    /// [`Refused`] with `policy_guardrail` or `fault_policy_errored`.
    pub fn guardrails(&self) -> Result<(), Refused> {
        self.ask(estate::anonymous().ok_or_else(errored)?, None).map(|_| ())
    }

    /// Asks the policies about a principal; without a subject the guardrails alone. Nothing errored, and no guardrail forbids.
    fn ask(&self, principal: Arc<Entity>, subject: Option<&Subject<'_>>) -> Result<Answer<'_>, Refused> {
        let resource = self.estate.api(self.route.api()).ok_or_else(errored)?;
        let context = values::context(self.facts, self.route, subject, self.now).ok_or_else(errored)?;
        let asked = if subject.is_some() { Asked::Everything } else { Asked::Guardrails };
        let action = &self.route.operation().action;
        let answer = self.index.ask(action, principal, resource, context, asked).ok_or_else(errored)?;
        if !answer.errored.is_empty() {
            return Err(Refused {
                denial: Denial::FaultPolicyErrored,
                policies: ask::names(answer.errored.into_iter()),
            });
        }
        let guardrails = answer.named(|policy| policy.forbids && policy.guardrail);
        if guardrails.is_empty() {
            Ok(answer)
        } else {
            Err(Refused { denial: Denial::PolicyGuardrail, policies: guardrails })
        }
    }
}

fn errored() -> Refused {
    Denial::FaultPolicyErrored.into()
}
