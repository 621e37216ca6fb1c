//! One client certificate, read: what a source gives as text is decoded and hashed once, and remembered by that very text.
//!
//! What is remembered does not change with time or trust: chains are verified on every use.

use std::sync::{Arc, OnceLock};

use super::{CertificateDenial, CertificateNames, names, pem, thumbprint};

/// A certificate that is well formed.
pub struct Leaf {
    pub(super) thumbprint: [u8; 32],
    /// The DER.
    pub(super) certificate: Vec<u8>,
    names: OnceLock<Result<Arc<CertificateNames>, CertificateDenial>>,
}

/// Where certificates that were read are remembered, by their text, all of it. A memory may forget; it never makes one.
pub trait KnownCertificates: Send + Sync {
    /// The certificate that was read from this text.
    fn find(&self, text: &[u8]) -> Option<Arc<Leaf>>;

    /// Remembers one.
    fn keep(&self, text: &[u8], leaf: &Arc<Leaf>);
}

impl Leaf {
    pub(super) fn of(certificate: Vec<u8>) -> Result<Arc<Self>, CertificateDenial> {
        let thumbprint = thumbprint::of(&certificate)?;
        Ok(Arc::new(Self { thumbprint, certificate, names: OnceLock::new() }))
    }

    /// Reads the one certificate of a URL-encoded PEM text.
    pub(super) fn from_pem(text: &[u8], known: &dyn KnownCertificates) -> Result<Arc<Self>, CertificateDenial> {
        if let Some(leaf) = known.find(text) {
            return Ok(leaf);
        }
        let leaf = Self::of(pem::certificate(text)?)?;
        known.keep(text, &leaf);
        Ok(leaf)
    }

    /// The names in it, for who knows that its chain is vouched for.
    pub(super) fn names(&self) -> Result<Arc<CertificateNames>, CertificateDenial> {
        self.names.get_or_init(|| names::read(&self.certificate).map(Arc::new)).clone()
    }
}
