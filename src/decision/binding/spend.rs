//! Spending a proof: what is remembered of it, for how long, and what the memory answered (RFC 9449 §11.1).
//!
//! The proof is spent after every other check of it, so that nobody without the key can fill the memory or burn somebody's
//! `jti`. The key is (enforcement point, key thumbprint, `jti`): verified values, never raw text of the request.

use std::sync::Arc;

use super::{BoundSender, ProofMethod, Sender, dpop};
use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::jose::sha256_of;
use crate::decision::limits;

/// What must be remembered before the walk may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// SHA-256 over (enforcement point, key thumbprint, `jti`).
    pub key: [u8; 32],
    /// Whose share of the memory it takes.
    pub client: Arc<ClientId>,
    /// The time that the proof vouches for, Unix seconds: when its nonce was minted, or else its `iat`. A proof that is older
    /// than the memory cannot be told from a spent one.
    pub made_at: i64,
    /// Whether `made_at` is ours: the minting time of a nonce.
    pub by_nonce: bool,
    /// Until when it must be remembered, Unix seconds: the last instant at which the proof could pass, and a clock allowance.
    pub until: i64,
}

/// What the memory of spent proofs answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spending {
    /// Never seen; it is remembered now.
    Fresh,
    /// Seen before.
    Replayed,
    /// Made before the memory begins.
    Predates,
    /// The client has used up its share.
    ShareExceeded,
    /// There is no room.
    Full,
    /// The memory did not answer: nobody can say.
    Unavailable,
}

impl Spend {
    pub(super) fn new(sender: &Sender<'_, '_>, key: &[u8; 32], proof: &dpop::CheckedProof) -> Self {
        let (age, ahead) = dpop::window_seconds(&sender.occasion);
        // The API may come to demand nonces while this proof is remembered, and then takes it for longer.
        let wider = if proof.carries_nonce() { limits::NONCE_IAT_WINDOW_SECONDS } else { 0 };
        let (age, ahead) = (age.max(wider), ahead.max(wider));
        let issued = proof.issued().floor;
        Self {
            key: spend_key(sender.occasion.facts.point(), key, proof.token_id()),
            client: Arc::clone(sender.token.client()),
            made_at: proof.nonce_minted().unwrap_or(issued),
            by_nonce: proof.nonce_minted().is_some(),
            // One second more: the last instant is inside the window. The allowance lets our clock step back by `ahead`.
            until: issued.saturating_add(age).saturating_add(ahead).saturating_add(1),
        }
    }
}

fn spend_key(point: &str, key: &[u8; 32], token_id: &str) -> [u8; 32] {
    // The name of the point ends with a byte that no name has; the thumbprint has a fixed length: no two triples read alike.
    sha256_of(&[point.as_bytes(), &[0], key, token_id.as_bytes()])
}

/// A sender who showed every key that the token names, with a proof not seen before. Or one that leniency let pass unproven: then
/// the method is `None`.
pub struct ProvenSender {
    method: ProofMethod,
    proof: Option<dpop::CheckedProof>,
    waived: bool,
}

impl BoundSender {
    /// What must be remembered before this sender is proven.
    #[must_use]
    pub fn spend(&self) -> &Spend {
        &self.spend
    }

    /// The sender is proven, if the memory said that its proof is fresh.
    ///
    /// # Errors
    /// A denial of class `binding`, or that of a memory that is full or does not answer.
    pub fn settle(self, spending: Spending) -> Result<ProvenSender, Denial> {
        match spending {
            Spending::Fresh => {
                Ok(ProvenSender { method: ProofMethod::Dpop, proof: Some(self.proof), waived: self.waived })
            }
            Spending::Replayed => Err(Denial::ProofReplayed),
            // With nonces a new one puts it right at once.
            Spending::Predates if self.spend.by_nonce => Err(Denial::ProofNonceRequired),
            Spending::Predates => Err(Denial::ProofPredatesMemory),
            Spending::ShareExceeded => Err(Denial::ProofShareExceeded),
            Spending::Full => Err(Denial::FaultSpentStoreFull),
            Spending::Unavailable => Err(Denial::FaultSpentStoreUnavailable),
        }
    }
}

impl ProvenSender {
    /// A sender with nothing to spend.
    pub(super) fn at_once(method: ProofMethod, waived: bool) -> Self {
        Self { method, proof: None, waived }
    }

    /// A sender that leniency lets pass without proof.
    pub(in crate::decision) fn unproven() -> Self {
        Self { method: ProofMethod::None, proof: None, waived: false }
    }

    /// How it was proven.
    #[must_use]
    pub fn method(&self) -> ProofMethod {
        self.method
    }

    /// The DPoP proof.
    #[must_use]
    pub fn proof(&self) -> Option<&dpop::CheckedProof> {
        self.proof.as_ref()
    }

    /// Whether an exception waived the API's demand for proof.
    #[must_use]
    pub fn demand_waived(&self) -> bool {
        self.waived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_42_point_key_and_jti_make_the_replay_key() {
        let key = |point: &str, thumbprint: u8, id: &str| spend_key(point, &[thumbprint; 32], id);
        assert_eq!(key("edge", 1, "a"), key("edge", 1, "a"));
        assert_ne!(key("edge", 1, "a"), key("sidecar", 1, "a"));
        assert_ne!(key("edge", 1, "a"), key("edge", 2, "a"));
        assert_ne!(key("edge", 1, "a"), key("edge", 1, "b"));
    }
}
