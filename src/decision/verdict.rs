//! What a walk comes to: the answer, and what was learned on the way to it.
//!
//! An allow holds the evidence of its permission. Findings are for the record; nothing decides by them.

use std::sync::Arc;

use crate::decision::binding::ProofMethod;
use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::leniency::Waiver;
use crate::decision::policy::{Authorised, DecidingPolicy};
use crate::decision::revocation::EntryId;

/// What is answered.
pub enum Verdict {
    /// Policy permitted a proven sender.
    Allowed {
        /// What the upstream is told.
        identity: Identity,
        /// What policy said.
        authorised: Authorised,
        /// A fresh nonce for the client (RFC 9449 §8.2).
        nonce: Option<String>,
    },
    /// It would have been denied; the API observes this class. Carries no identity.
    Observed {
        /// The first denial on the way.
        would_be: Denial,
    },
    /// A declared public operation.
    Public,
    /// Answered by us: the resource metadata document (RFC 9728), JSON.
    Answer(String),
    /// No.
    Denied(Refusal),
}

/// A denial and what the client is told with it.
pub struct Refusal {
    /// The code.
    pub denial: Denial,
    /// `WWW-Authenticate` field values.
    pub challenge: Vec<String>,
    /// A nonce to try again with.
    pub nonce: Option<String>,
}

/// Who sent an allowed request: what the upstream may be told.
pub struct Identity {
    /// The client and its issuer.
    pub client: Arc<ClientId>,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// How the sender was proven.
    pub proof: ProofMethod,
}

/// Where a spent proof is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remembered {
    /// Where the operator wants it.
    #[default]
    AsConfigured,
    /// By this process alone, because the memory that replicas share was not there.
    Locally,
}

/// Whether what is revoked elsewhere is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heard {
    /// As far as the operator wants to depend on it.
    #[default]
    AsConfigured,
    /// It may not be, and the operator lets requests pass all the same.
    Stale,
}

/// What was learned on the way, for the record; nothing decides by it.
#[derive(Default)]
pub struct Findings {
    /// `X-Request-Id`, under which others know the request.
    pub request_id: Option<String>,
    /// The API.
    pub api: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// The configured issuer that a refused token claims to be from.
    pub issuer: Option<String>,
    /// The client that a verified token names.
    pub client: Option<Arc<ClientId>>,
    /// How the sender was proven.
    pub proof: Option<ProofMethod>,
    /// Denials that leniency softened, in order.
    pub softened: Vec<Denial>,
    /// Demands that an exception waived.
    pub waived: Vec<Waiver>,
    /// The policies that decided, or errored.
    pub policies: Vec<Arc<DecidingPolicy>>,
    /// The entry by which the token or the certificate is revoked.
    pub revoked_by: Option<EntryId>,
    /// A `DPoP` header beside the scheme Bearer was ignored.
    pub stray_proof: bool,
    /// Where the proof is remembered, if it had to be spent.
    pub remembered: Remembered,
    /// Whether all that is revoked was known, as far as can be said.
    pub revocations: Heard,
    /// Whether the operation is public: what takes no credential is sent none.
    pub public: bool,
    /// Whether the API is in observe mode.
    pub observing: bool,
    /// The bundle's revision.
    pub bundle: Option<String>,
}

/// A verdict and what was learned on the way to it.
pub struct Decision {
    /// What is answered.
    pub verdict: Verdict,
    /// For the record.
    pub findings: Findings,
}

impl Decision {
    /// A denial before anything is known of the request.
    #[must_use]
    pub fn refuse(denial: Denial) -> Self {
        let refusal = Refusal { denial, challenge: Vec::new(), nonce: None };
        Self { verdict: Verdict::Denied(refusal), findings: Findings::default() }
    }
}
