//! Proof of possession: the sender shows every key that the token names, for this very request.
//!
//! RFC 8705 §3 and RFC 9449 §4.3, §7, with `cnf` handled totally: a token with a `cnf` is never a bearer token, and one that
//! names both keys needs both proofs. What the API demands comes on top; an exception may waive that demand, never a check.

pub mod dpop;
pub mod nonce;
mod spend;

use aws_lc_rs::constant_time::verify_slices_are_equal;

pub use spend::{ProvenSender, Spend, Spending};

use crate::decision::certificate::{CertificateRules, CertificateSource, PeerCertificate};
use crate::decision::credential::{PresentedCredential, Scheme};
use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::leniency::Waiver;
use crate::decision::route::{ProofDemand, Route};
use crate::decision::token::{Confirmation, VerifiedToken};

/// What every DPoP proof must look like. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRules {
    /// The signature algorithms a proof may use; also what challenges list as `algs`.
    pub algorithms: AlgorithmSet,
    /// Without nonces: how old `iat` may be, seconds.
    pub max_age_seconds: i64,
    /// Without nonces: how far ahead `iat` may be, seconds.
    pub future_skew_seconds: i64,
    /// How long a nonce lives, seconds.
    pub nonce_lifetime_seconds: i64,
}

/// How a sender proved that it holds the token's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofMethod {
    /// A DPoP proof (with the certificate too, if the token names both).
    Dpop,
    /// The client certificate of the connection.
    Mtls,
    /// Not at all.
    None,
}

impl ProofMethod {
    /// The word used in Cedar, headers and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpop => "dpop",
            Self::Mtls => "mtls",
            Self::None => "none",
        }
    }
}

/// What a DPoP proof is judged by, whatever the token says.
#[derive(Clone, Copy)]
pub struct Occasion<'w, 'a> {
    /// The request.
    pub facts: &'w RequestFacts<'a>,
    /// What it is for.
    pub route: &'w Route<'w>,
    /// What was presented.
    pub credential: &'w PresentedCredential<'a>,
    /// What proofs must look like.
    pub proofs: &'w ProofRules,
    /// The keys of our nonces.
    pub nonces: &'w nonce::NonceKeys,
    /// Unix seconds.
    pub now: i64,
}

/// Everything that a sender is judged by.
pub struct Sender<'w, 'a> {
    /// The request and what was presented.
    pub occasion: Occasion<'w, 'a>,
    /// The verified token.
    pub token: &'w VerifiedToken,
    /// The client certificate, if one was presented.
    pub certificate: Option<&'w PeerCertificate>,
    /// Where certificates come from.
    pub certificates: &'w CertificateRules,
}

/// What was found of the DPoP proof before the token was known.
pub type ProofAhead = Result<dpop::ProofOfSomeKey, Denial>;

/// A sender who showed every key that the token names, for this request; its DPoP proof may have been seen before.
pub struct BoundSender {
    proof: dpop::CheckedProof,
    spend: Spend,
    waived: bool,
}

/// What proving came to.
pub enum Bound {
    /// There is nothing to spend.
    Proven(ProvenSender),
    /// A proof must be spent first.
    MustSpend(Box<BoundSender>),
}

/// Checks the DPoP proof before the token is known, in everything but the key that the token names. `None` under the scheme Bearer.
#[must_use]
pub fn look_ahead(occasion: &Occasion<'_, '_>) -> Option<ProofAhead> {
    match occasion.credential.proof() {
        Ok(proof) => proof.map(|proof| dpop::check_of_some_key(proof, occasion)),
        Err(denial) => Some(Err(denial)),
    }
}

/// Proves the sender. The proof is not checked once more where it was checked ahead.
///
/// # Errors
/// A denial of class `binding`.
pub fn prove(sender: &Sender<'_, '_>, ahead: Option<ProofAhead>) -> Result<Bound, Denial> {
    let occasion = &sender.occasion;
    let (certificate, proof_key) = match sender.token.confirmation() {
        Confirmation::Unknown => return Err(Denial::BindingMethodUnknown),
        Confirmation::Unbound => (None, None),
        Confirmation::Keys { certificate, proof_key } => (certificate, proof_key),
    };
    // RFC 9449 §7.1, §7.2: the scheme says which kind of token it is; a downgrade to Bearer must not work.
    let scheme_fits = match occasion.credential.scheme() {
        Scheme::Dpop => proof_key.is_some(),
        Scheme::Bearer => proof_key.is_none(),
    };
    if !scheme_fits {
        return Err(Denial::BindingSchemeMismatch);
    }
    let waived = demand(sender, certificate.is_some(), proof_key.is_some())?;
    if let Some(expected) = certificate {
        check_certificate(sender, &expected)?;
    }
    let Some(key) = proof_key else {
        let method = if certificate.is_some() { ProofMethod::Mtls } else { ProofMethod::None };
        return Ok(Bound::Proven(ProvenSender::at_once(method, waived)));
    };
    let proof = match ahead {
        None => dpop::check(occasion.credential.proof()?.ok_or(Denial::ProofMissing)?, &key, occasion)?,
        Some(proof) => proof?.of_key(&key)?,
    };
    let spend = Spend::new(sender, &key, &proof);
    Ok(Bound::MustSpend(Box::new(BoundSender { proof, spend, waived })))
}

/// What the API demands of the token's kind; whether an exception waived it.
fn demand(sender: &Sender<'_, '_>, certificate: bool, proof_key: bool) -> Result<bool, Denial> {
    let api = sender.occasion.route.api();
    let met = match api.proof {
        ProofDemand::Required => certificate || proof_key,
        ProofDemand::Mtls => certificate,
        ProofDemand::Dpop => proof_key,
        ProofDemand::None => true,
    };
    if met {
        Ok(false)
    } else if api.leniency.waives(Waiver::Proof, sender.token.client(), sender.occasion.now) {
        Ok(true)
    } else {
        Err(Denial::BindingMissing)
    }
}

/// RFC 8705 §3: the SHA-256 of the certificate presented is the one that the token names.
fn check_certificate(sender: &Sender<'_, '_>, expected: &[u8; 32]) -> Result<(), Denial> {
    if sender.certificates.source == CertificateSource::None {
        return Err(Denial::BindingMethodUnknown);
    }
    let presented = sender.certificate.ok_or(Denial::CertificateMissing)?;
    verify_slices_are_equal(presented.thumbprint(), expected).map_err(|_| Denial::CertificateMismatch)
}
