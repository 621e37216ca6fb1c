//! All that one decision may read: keys, rules, bundle. A check holds one snapshot from its first step to its last.

use std::sync::Arc;

use crate::decision::binding::ProofRules;
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::certificate::{CertificateRules, KnownCertificates, TrustBundle};
use crate::decision::client::Registry;
use crate::decision::policy::{Estate, PolicyIndex};
use crate::decision::revocation::Revocations;
use crate::decision::route::Inventory;
use crate::decision::status_list::StatusLists;
use crate::decision::token::{Issuers, KnownTokens};

/// What is known at one moment.
pub struct Snapshot {
    /// The issuers and their keys.
    pub issuers: Issuers,
    /// Tokens whose signature was verified before, by whatever keys.
    pub tokens: Arc<dyn KnownTokens>,
    /// Certificates that were read before.
    pub leaves: Arc<dyn KnownCertificates>,
    /// The status lists at hand.
    pub status_lists: Arc<dyn StatusLists>,
    /// What is revoked.
    pub revocations: Arc<dyn Revocations>,
    /// Where client certificates come from.
    pub certificates: Arc<CertificateRules>,
    /// Our own trust bundle for them.
    pub trust: Option<Arc<TrustBundle>>,
    /// What proofs must look like.
    pub proofs: Arc<ProofRules>,
    /// The keys of our nonces.
    pub nonces: Arc<NonceKeys>,
    /// Whether resource metadata (RFC 9728) is offered.
    pub metadata: bool,
    /// What the authors wrote; `None` until a bundle has been loaded.
    pub bundle: Option<Arc<Bundle>>,
}

/// A bundle that has been read and validated whole.
pub struct Bundle {
    /// SHA-256 over its files, in hexadecimal.
    pub revision: String,
    /// Every API.
    pub inventory: Inventory,
    /// Every registered client.
    pub clients: Registry,
    /// The policies, indexed, and the claims that their schema declares.
    pub policies: PolicyIndex,
    /// Whom and what they are about.
    pub estate: Estate,
}
