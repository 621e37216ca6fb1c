//! The judgement: pure, synchronous, total. It is told everything, the time too, and does no I/O.
//!
//! [`examine`] walks facts → route → credential → token → client → certificate → binding and ends, or asks for one thing: that the
//! proof be spent. [`Unsettled::settle`] takes the answer, [`Proven::conclude`] asks policy. Each step consumes the evidence of the
//! step before it, so none can be skipped. A relaxed denial is noted and the walk goes on with weaker evidence ([`leniency`]).

pub mod binding;
pub mod certificate;
pub mod challenge;
pub mod client;
pub mod credential;
pub mod denial;
pub mod facts;
pub mod jose;
pub mod leniency;
pub mod limits;
pub mod metadata;
pub mod policy;
pub mod route;
pub mod snapshot;
pub mod target;
mod template;
pub mod token;
mod walk;

pub use walk::{Examined, Proven, Unsettled, examine};

use binding::ProofMethod;
use client::ClientId;
use denial::Denial;
use leniency::Waiver;
use policy::{Authorised, DecidingPolicy};

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
    pub client: ClientId,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// How the sender was proven.
    pub proof: ProofMethod,
}

/// What was learned on the way, for the record; nothing decides by it.
#[derive(Default)]
pub struct Findings {
    /// The API.
    pub api: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// The configured issuer that the token claims to be from.
    pub issuer: Option<String>,
    /// The client that a verified token names.
    pub client: Option<ClientId>,
    /// How the sender was proven.
    pub proof: Option<ProofMethod>,
    /// Denials that leniency softened, in order.
    pub softened: Vec<Denial>,
    /// Demands that an exception waived.
    pub waived: Vec<Waiver>,
    /// The policies that decided, or errored.
    pub policies: Vec<DecidingPolicy>,
    /// A `DPoP` header beside the scheme Bearer was ignored.
    pub stray_proof: bool,
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
