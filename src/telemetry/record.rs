//! What is told of a decision, everywhere.

use std::sync::Arc;
use std::time::Duration;

use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::policy::DecidingPolicy;
use crate::decision::revocation::EntryId;
use crate::decision::{Decision, Heard, Remembered, Verdict};

/// Names one decision: 128 random bits, in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionId([u8; 32]);

impl DecisionId {
    /// The id of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        let digit = |bits: u8| if bits < 10 { b'0'.saturating_add(bits) } else { (b'a' - 10).saturating_add(bits) };
        let digits = random.into_iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]);
        let mut text = [b'0'; 32];
        text.iter_mut().zip(digits).for_each(|(byte, digit)| *byte = digit);
        Self(text)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// One decision.
pub struct DecisionRecord<'d> {
    /// Its name.
    pub id: DecisionId,
    /// The enforcement point that asked.
    pub point: &'d str,
    /// How long the judgement took.
    pub took: Duration,
    decision: &'d Decision,
}

impl<'d> DecisionRecord<'d> {
    /// The record of a decision.
    #[must_use]
    pub fn new(id: DecisionId, point: &'d str, took: Duration, decision: &'d Decision) -> Self {
        Self { id, point, took, decision }
    }

    /// The denial's slug, or how else the request ended: `allowed`, `observed`, `public`, `answered`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.decision.verdict {
            Verdict::Allowed { .. } => "allowed",
            Verdict::Observed { .. } => "observed",
            Verdict::Public => "public",
            Verdict::Answer(_) => "answered",
            Verdict::Denied(refusal) => refusal.denial.slug(),
        }
    }

    /// The denial, if it is one.
    #[must_use]
    pub fn denial(&self) -> Option<Denial> {
        match &self.decision.verdict {
            Verdict::Denied(refusal) => Some(refusal.denial),
            Verdict::Allowed { .. } | Verdict::Observed { .. } | Verdict::Public | Verdict::Answer(_) => None,
        }
    }

    /// In observe mode: the first denial that was softened.
    #[must_use]
    pub fn would_be(&self) -> Option<Denial> {
        self.decision.findings.softened.first().copied()
    }

    /// The API, once it is known.
    #[must_use]
    pub fn api(&self) -> Option<&'d str> {
        self.decision.findings.api.as_deref()
    }

    /// The action, once it is known.
    #[must_use]
    pub fn action(&self) -> Option<&'d str> {
        self.decision.findings.action.as_deref()
    }

    /// The client of a verified token. An observed request names none: nobody may mistake it for proven.
    #[must_use]
    pub fn client(&self) -> Option<&'d ClientId> {
        match self.decision.verdict {
            Verdict::Observed { .. } => None,
            Verdict::Allowed { .. } | Verdict::Public | Verdict::Answer(_) | Verdict::Denied(_) => {
                self.decision.findings.client.as_deref()
            }
        }
    }

    /// In an observed request: the client of a verified token whose sender is not proven. Who would be refused, and who nobody is.
    #[must_use]
    pub fn unproven(&self) -> Option<&'d ClientId> {
        match self.decision.verdict {
            Verdict::Observed { .. } => self.decision.findings.client.as_deref(),
            Verdict::Allowed { .. } | Verdict::Public | Verdict::Answer(_) | Verdict::Denied(_) => None,
        }
    }

    /// `X-Request-Id`, under which others know the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&'d str> {
        self.decision.findings.request_id.as_deref()
    }

    /// The trusted issuer that a token names, once that is known; not yet a proof that it made the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&'d str> {
        match self.decision.verdict {
            Verdict::Observed { .. } => None,
            Verdict::Allowed { .. } | Verdict::Public | Verdict::Answer(_) | Verdict::Denied(_) => {
                let client = self.decision.findings.client.as_ref().map(|client| client.issuer.as_str());
                client.or(self.decision.findings.issuer.as_deref())
            }
        }
    }

    /// How the sender was proven.
    #[must_use]
    pub fn proof(&self) -> Option<&'static str> {
        self.decision.findings.proof.map(crate::decision::binding::ProofMethod::name)
    }

    /// The entry by which the token or the certificate is revoked.
    #[must_use]
    pub fn revocation(&self) -> Option<EntryId> {
        self.decision.findings.revoked_by
    }

    /// The policies that decided, or errored.
    #[must_use]
    pub fn policies(&self) -> &'d [Arc<DecidingPolicy>] {
        &self.decision.findings.policies
    }

    /// Whether the operation is public.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.decision.findings.public
    }

    /// `enforce` or `observe`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        if self.decision.findings.observing { "observe" } else { "enforce" }
    }

    /// Demands that an exception waived.
    pub fn waived(&self) -> impl Iterator<Item = &'static str> + use<'d> {
        self.decision.findings.waived.iter().map(|waiver| waiver.name())
    }

    /// Whether a `DPoP` header beside the scheme Bearer was ignored.
    #[must_use]
    pub fn stray_proof(&self) -> bool {
        self.decision.findings.stray_proof
    }

    /// `local` if the proof is remembered by this process alone, because the memory that replicas share was not there.
    #[must_use]
    pub fn spent(&self) -> Option<&'static str> {
        (self.decision.findings.remembered == Remembered::Locally).then_some("local")
    }

    /// `stale` if revocations that are known elsewhere may not be known here.
    #[must_use]
    pub fn revocations(&self) -> Option<&'static str> {
        (self.decision.findings.revocations == Heard::Stale).then_some("stale")
    }

    /// The bundle's revision.
    #[must_use]
    pub fn bundle(&self) -> Option<&'d str> {
        self.decision.findings.bundle.as_deref()
    }
}
