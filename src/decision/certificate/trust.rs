//! Our own trust bundle: whether a client certificate chains to a root that the operator chose (RFC 5280 §6).
//!
//! Proves: signatures, dates, name constraints, CA flags and the client-authentication usage, at the time told, by
//! rustls' webpki; no path is built here. Trusts: every root of the bundle, whatever its dates. Refuses: a file with
//! anything but CA certificates in it, so that a misplaced leaf or key is seen when it is loaded.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, BasicConstraints, KeyIdentifier};
use x509_parser::oid_registry as oid;

use super::{CertificateDenial, names, thumbprint};

/// Roots and intermediates to verify client certificates against.
pub struct TrustBundle {
    verifier: Arc<dyn ClientCertVerifier>,
    intermediates: Vec<CertificateDer<'static>>,
    /// Which bundle this is: no other one has the same, not even of the same content.
    itself: Arc<()>,
}

/// That a certificate chains to a root of one bundle by the intermediates of that bundle, and from when until when.
pub(super) struct Vouched {
    by: Arc<()>,
    from: i64,
    until: i64,
}

impl Vouched {
    pub(super) fn holds(&self, trust: &TrustBundle, now: i64) -> bool {
        Arc::ptr_eq(&self.by, &trust.itself) && self.from <= now && now <= self.until
    }
}

/// Says nothing about the certificates.
impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustBundle").finish_non_exhaustive()
    }
}

/// Why a trust bundle is refused; blocks are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustBundleError {
    /// A block without its end, or with bad base64.
    #[error("block {block} of the trust bundle is not PEM")]
    NotPem {
        /// Which block.
        block: usize,
    },
    /// A block with another label, such as a private key.
    #[error("block {block} of the trust bundle is not a certificate: the file holds CA certificates, nothing else")]
    NotACertificate {
        /// Which block.
        block: usize,
    },
    /// A certificate that cannot be read.
    #[error("block {block} of the trust bundle is labelled CERTIFICATE, but is not a well-formed X.509 v3 certificate")]
    Malformed {
        /// Which block.
        block: usize,
    },
    /// A certificate without `CA:TRUE`.
    #[error("block {block} of the trust bundle is not a CA certificate: its basic constraints do not say CA:TRUE")]
    NotAnAuthority {
        /// Which block.
        block: usize,
    },
    /// Nothing to trust.
    #[error("the trust bundle holds no root: at least one self-signed CA certificate is needed")]
    NoRoot,
}

impl TrustBundle {
    /// Reads roots (self-signed) and intermediates from PEM; text between the blocks is passed over.
    ///
    /// # Errors
    /// The file holds anything but CA certificates, or no root.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustBundleError> {
        let mut roots = RootCertStore::empty();
        let mut intermediates = Vec::new();
        for (index, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).enumerate() {
            let block = index.saturating_add(1);
            let (kind, der) = section.map_err(|_| TrustBundleError::NotPem { block })?;
            if kind != SectionKind::Certificate {
                return Err(TrustBundleError::NotACertificate { block });
            }
            let is_root = is_root(&der, block)?;
            let der = CertificateDer::from(der);
            if is_root {
                roots.add(der).map_err(|_| TrustBundleError::Malformed { block })?;
            } else {
                intermediates.push(der);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| TrustBundleError::NoRoot)?;
        Ok(Self { verifier, intermediates, itself: Arc::new(()) })
    }

    /// Whether the certificate chains to one of our roots at `now`, through our intermediates or the presented ones.
    pub(super) fn verify(&self, certificate: &[u8], chain: &[Vec<u8>], now: i64) -> Result<(), CertificateDenial> {
        let seconds = u64::try_from(now).map_err(|_| CertificateDenial::Untrusted)?;
        // Presented ones are only candidates: webpki takes those that link, within its own budget of signatures.
        let intermediates: Vec<CertificateDer<'_>> = self
            .intermediates
            .iter()
            .map(|ours| CertificateDer::from(ours.as_ref()))
            .chain(chain.iter().map(|theirs| CertificateDer::from(theirs.as_slice())))
            .collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        self.verifier
            .verify_client_cert(&CertificateDer::from(certificate), &intermediates, time)
            .map(|_| ())
            .map_err(|_| CertificateDenial::Untrusted)
    }

    /// How long what [`Self::verify`] just said of a certificate without a presented chain stays so: as long as each certificate that
    /// its path can have, the certificate itself and every intermediate of ours that is good now. Roots have no dates here. `None` if
    /// one of them does not tell.
    pub(super) fn vouched(&self, certificate: &[u8], now: i64) -> Option<Vouched> {
        let (mut from, mut until) = dates(certificate)?;
        for intermediate in &self.intermediates {
            let (begins, ends) = dates(intermediate)?;
            // One that is not good now is no part of the path that was found.
            if begins <= now && now <= ends {
                (from, until) = (from.max(begins), until.min(ends));
            }
        }
        (from <= now && now <= until).then(|| Vouched { by: Arc::clone(&self.itself), from: from.max(0), until })
    }
}

/// The first and the last second of a certificate (RFC 5280 §4.1.2.5), Unix time.
fn dates(der: &[u8]) -> Option<(i64, i64)> {
    let certificate = thumbprint::certificate(der).ok()?;
    let validity = certificate.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Whether a CA certificate is self-signed; the alternative is an intermediate.
fn is_root(der: &[u8], block: usize) -> Result<bool, TrustBundleError> {
    let malformed = |_| TrustBundleError::Malformed { block };
    let certificate = thumbprint::certificate(der).map_err(malformed)?;
    let constraints = names::extension::<BasicConstraints>(&certificate, &oid::OID_X509_EXT_BASIC_CONSTRAINTS);
    if !constraints.map_err(malformed)?.is_some_and(|constraints| constraints.ca) {
        return Err(TrustBundleError::NotAnAuthority { block });
    }
    let same_name = certificate.issuer().as_raw() == certificate.subject().as_raw();
    Ok(same_name && !names_another_key(&certificate).map_err(malformed)?)
}

/// Whether the authority key identifier is not the certificate's own: a CA that changed its key signs the new one
/// under its own name (RFC 5280 §4.2.1.1), and such a link must not outlive the root that signed it.
fn names_another_key(certificate: &X509Certificate<'_>) -> Result<bool, CertificateDenial> {
    let authority =
        names::extension::<AuthorityKeyIdentifier<'_>>(certificate, &oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER)?;
    let subject = names::extension::<KeyIdentifier<'_>>(certificate, &oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER)?;
    let authority = authority.and_then(|authority| authority.key_identifier);
    Ok(authority.is_some_and(|authority| subject.is_some_and(|subject| subject != authority)))
}

#[cfg(test)]
mod tests;
