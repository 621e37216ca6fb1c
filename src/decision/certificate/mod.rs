//! The client certificate: read from the one configured source, reduced to what is evidence.
//!
//! Proves: the SHA-256 of exactly one DER certificate (RFC 8705 §3.1) and, only where the chain above it is vouched
//! for, the names in it. Trusts: Envoy for `source.*`; for a header, whoever the rules name as its writer; for the
//! chain, what `ChainTrust` says. Refuses: more than one certificate, anything that is not exactly the grammar, a hop
//! that is not listed. Possession of the key is not shown here: the TLS connection that the mesh ended has shown it.
//!
//! An expired certificate, or one of X.509 v1, still has a thumbprint: binding to a certificate is not trusting it.

mod client_cert;
mod crl;
mod leaf;
mod named;
mod names;
mod pem;
mod thumbprint;
mod trust;
mod xfcc;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use core::fmt;
use std::sync::Arc;

pub use crl::{Crl, CrlError, CrlRules};
pub use leaf::{KnownCertificates, Leaf};
pub use names::CertificateNames;
pub use trust::{TrustBundle, TrustBundleError};

/// Where the client certificate comes from, and who vouches for it. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRules {
    /// Exactly one source; another one's header is ignored.
    pub source: CertificateSource,
    /// Who has verified the chain; without it the names in a certificate are not evidence.
    pub chain: ChainTrust,
}

/// The one place that the client certificate is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// There is none: a certificate-bound token cannot be used.
    None,
    /// `source.certificate` of the `CheckRequest` (`include_peer_certificate`).
    EnvoyPeerCertificate,
    /// The `x-forwarded-client-cert` header.
    Xfcc(XfccRules),
    /// The `Client-Cert` header (RFC 9440), set by a terminating proxy in front. The direct peer must be listed,
    /// unless the list is empty.
    ClientCert {
        /// Identities (`source.principal`) of the proxies that may set the header.
        trusted_hops: Vec<String>,
    },
}

/// How the right element of `x-forwarded-client-cert` is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XfccRules {
    /// Which element, counted from the right; 1 is the last one, what the direct peer wrote.
    pub hop: usize,
    /// Identities (URI) that every element right of the chosen one, and the direct peer, must carry.
    pub trusted_hops: Vec<String>,
    /// Our own identity, if the element's `By` must name it.
    pub by: Option<String>,
}

/// Who vouches for the chain above the client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainTrust {
    /// Nobody: only the thumbprint is evidence.
    Nobody,
    /// Envoy has verified it (`trusted_ca`, and no `ACCEPT_UNTRUSTED`).
    Envoy,
    /// We verify it against our own trust bundle.
    Keybound,
}

/// What the mesh says about the client certificate, straight from the request; borrowed.
pub struct CertificateFacts<'a> {
    /// `source.certificate`: URL-encoded PEM of the leaf; empty when there is none.
    pub peer_certificate: &'a [u8],
    /// `source.principal`: the identity of the direct peer.
    pub peer_principal: &'a [u8],
    /// Every field named exactly `x-forwarded-client-cert`, in order; with underscores it is another header (XF-11).
    pub xfcc: &'a [&'a [u8]],
    /// Every `client-cert` field, in order.
    pub client_cert: &'a [&'a [u8]],
    /// Every `client-cert-chain` field, in order.
    pub client_cert_chain: &'a [&'a [u8]],
}

/// A client certificate from the one configured source.
pub struct PeerCertificate {
    thumbprint: [u8; 32],
    leaf: Option<Arc<Leaf>>,
    names: Option<Arc<CertificateNames>>,
}

impl PeerCertificate {
    /// SHA-256 of the DER: what `x5t#S256` is compared with (RFC 8705 §3.1).
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Its issuer's name and its serial number, written as in [`CertificateNames`], whoever vouches for it: only to find it among
    /// what is revoked. `None` where its hash is all that was given.
    #[must_use]
    pub fn serial(&self) -> Option<(&str, &str)> {
        self.leaf.as_ref()?.serial()
    }

    /// The names in it; there are none unless the chain above it is vouched for.
    #[must_use]
    pub fn names(&self) -> Option<&CertificateNames> {
        self.names.as_deref()
    }
}

/// Says nothing about the certificate.
impl fmt::Debug for PeerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificate").finish_non_exhaustive()
    }
}

/// Why a certificate that was presented is not evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateDenial {
    /// It cannot be read: not the grammar, not one certificate, not the element that the rules ask for.
    Malformed,
    /// It reads well, but nobody we trust vouches for it: an unlisted hop, another `By`, no chain to our bundle.
    Untrusted,
    /// A certificate of its chain is on a revocation list of its issuer.
    Revoked,
    /// Lists are wanted, and none says whether it is revoked.
    StatusUnknown,
}

/// What a source gave, before anybody vouched for it.
struct Shown {
    thumbprint: [u8; 32],
    /// The certificate; absent when the source gave the hash alone.
    leaf: Option<Arc<Leaf>>,
    /// Certificates that may link it to a root; neither ordered nor checked.
    chain: Vec<Vec<u8>>,
}

/// The names in a certificate whose chain the caller has verified; `None` if they cannot be read.
#[must_use]
pub fn names_of(verified: &[u8]) -> Option<CertificateNames> {
    names::read(verified).ok()
}

/// Reads the certificate from the configured source; `Ok(None)` when none was presented.
///
/// `now` is in Unix seconds; only the chain check of [`ChainTrust::Keybound`] looks at it.
///
/// # Errors
/// A certificate was presented, and it is not evidence.
pub fn present(
    rules: &CertificateRules,
    trust: Option<&TrustBundle>,
    facts: &CertificateFacts<'_>,
    known: &dyn KnownCertificates,
    now: i64,
) -> Result<Option<PeerCertificate>, CertificateDenial> {
    let wants_chain = rules.chain == ChainTrust::Keybound;
    let shown = match &rules.source {
        CertificateSource::None => None,
        CertificateSource::EnvoyPeerCertificate => from_envoy(facts.peer_certificate, known)?,
        CertificateSource::Xfcc(xfcc) => xfcc::read(xfcc, facts.xfcc, facts.peer_principal, wants_chain, known)?,
        CertificateSource::ClientCert { trusted_hops } => {
            client_cert::read(trusted_hops, facts.client_cert, facts.client_cert_chain, facts.peer_principal)?
        }
    };
    let Some(shown) = shown else { return Ok(None) };
    let names = vouched_names(rules, trust, &shown, now)?;
    Ok(Some(PeerCertificate { thumbprint: shown.thumbprint, leaf: shown.leaf, names }))
}

fn from_envoy(peer_certificate: &[u8], known: &dyn KnownCertificates) -> Result<Option<Shown>, CertificateDenial> {
    if peer_certificate.is_empty() {
        return Ok(None);
    }
    let leaf = Leaf::from_pem(peer_certificate, known)?;
    // `source.certificate` is the leaf alone: our bundle must hold the intermediates.
    Ok(Some(Shown { thumbprint: leaf.thumbprint, leaf: Some(leaf), chain: Vec::new() }))
}

/// The names, if the rules say who vouches for the chain and that holds.
fn vouched_names(
    rules: &CertificateRules,
    trust: Option<&TrustBundle>,
    shown: &Shown,
    now: i64,
) -> Result<Option<Arc<CertificateNames>>, CertificateDenial> {
    match (rules.chain, &shown.leaf) {
        (ChainTrust::Nobody, _) | (ChainTrust::Envoy, None) => Ok(None),
        // Another proxy ended that TLS connection: what Envoy verified is not this certificate.
        (ChainTrust::Envoy, Some(_)) if matches!(rules.source, CertificateSource::ClientCert { .. }) => Ok(None),
        (ChainTrust::Envoy, Some(leaf)) => leaf.names().map(Some),
        // A hash alone cannot be followed to a root; and without a bundle nothing can.
        (ChainTrust::Keybound, None) => Err(CertificateDenial::Untrusted),
        (ChainTrust::Keybound, Some(leaf)) => {
            leaf.chains_to(trust.ok_or(CertificateDenial::Untrusted)?, &shown.chain, now)?;
            leaf.names().map(Some)
        }
    }
}

/// Whether `who` is one of the listed identities: exactly, never by prefix (SP-04). Nobody is never listed.
fn listed(identities: &[String], who: &[u8]) -> bool {
    !who.is_empty() && identities.iter().any(|identity| identity.as_bytes() == who)
}
