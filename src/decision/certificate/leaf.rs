//! One client certificate, read: what a source gives as text is decoded and hashed once, and remembered by that very text.
//!
//! What is remembered of it does not change with time or trust, but for one thing: that it chains to a root is remembered with the
//! trust bundle that said so and the dates between which it holds, and only where no chain was presented with it.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;

use super::trust::{TrustBundle, Vouched};
use super::{CertificateDenial, CertificateNames, names, pem, thumbprint};

/// A certificate that is well formed.
pub struct Leaf {
    pub(super) thumbprint: [u8; 32],
    /// The DER.
    pub(super) certificate: Vec<u8>,
    /// Its issuer's name and its serial number.
    serial: OnceLock<Option<(String, String)>>,
    names: OnceLock<Result<Arc<CertificateNames>, CertificateDenial>>,
    vouched: ArcSwapOption<Vouched>,
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
        Ok(Arc::new(Self {
            thumbprint,
            certificate,
            serial: OnceLock::new(),
            names: OnceLock::new(),
            vouched: ArcSwapOption::empty(),
        }))
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

    /// Whether it chains to a root of the bundle at `now`.
    pub(super) fn chains_to(&self, trust: &TrustBundle, chain: &[Vec<u8>], now: i64) -> Result<(), CertificateDenial> {
        // Which certificates came along differs from request to request: then it is another question each time.
        if !chain.is_empty() {
            return trust.verify(&self.certificate, chain, now);
        }
        if self.vouched.load().as_ref().is_some_and(|vouched| vouched.holds(trust, now)) {
            return Ok(());
        }
        trust.verify(&self.certificate, chain, now)?;
        self.vouched.store(trust.vouched(&self.certificate, now).map(Arc::new));
        Ok(())
    }

    /// Its issuer's name and its serial number.
    pub(super) fn serial(&self) -> Option<(&str, &str)> {
        let serial = self.serial.get_or_init(|| names::serial_of(&self.certificate).ok());
        serial.as_ref().map(|(issuer, serial)| (issuer.as_str(), serial.as_str()))
    }

    /// The names in it, for who knows that its chain is vouched for.
    pub(super) fn names(&self) -> Result<Arc<CertificateNames>, CertificateDenial> {
        self.names.get_or_init(|| names::read(&self.certificate).map(Arc::new)).clone()
    }
}
