//! Serial numbers on certificate revocation lists, found whichever list names them.
//!
//! webpki judges a certificate by the first list that covers it, and takes a list of one part of the certificates (RFC 5280 §5.2.5) to cover
//! one that does not say of which part it is. So a certificate that any list of its issuer names is revoked, and where an issuer has
//! lists of parts alone, one that does not name exactly one distribution point is covered by none.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use x509_parser::asn1_rs::FromDer as _;
use x509_parser::extensions::CRLDistributionPoints;
use x509_parser::oid_registry as oid;

use super::crl::Crl;
use super::thumbprint;

/// The lists of every issuer.
#[derive(Default)]
pub(super) struct Named(BTreeMap<Arc<[u8]>, OfIssuer>);

#[derive(Default)]
struct OfIssuer {
    serials: HashSet<Box<[u8]>>,
    /// One of its lists tells of all its certificates.
    has_whole: bool,
}

/// What the lists say beside webpki.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing against it.
    Nothing,
    /// It is revoked.
    Revoked,
    /// Lists there are, and none that surely covers it.
    Uncovered,
}

impl Named {
    pub fn of(lists: &[Crl]) -> Self {
        let mut all = BTreeMap::<_, OfIssuer>::new();
        for list in lists {
            let issuer = all.entry(Arc::clone(&list.issuer)).or_default();
            issuer.serials.extend(list.serials.iter().cloned());
            issuer.has_whole |= !list.is_part;
        }
        Self(all)
    }

    /// What they say of a certificate in DER; one that cannot be read is covered by none.
    pub fn judge(&self, certificate: &[u8]) -> Said {
        if self.0.is_empty() {
            return Said::Nothing;
        }
        let Ok(certificate) = thumbprint::certificate(certificate) else { return Said::Uncovered };
        let Some(issuer) = self.0.get(certificate.issuer().as_raw()) else { return Said::Nothing };
        if issuer.serials.contains(certificate.raw_serial()) {
            return Said::Revoked;
        }
        let points = certificate
            .extensions()
            .iter()
            .find(|extension| extension.oid == oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS);
        let points = points.and_then(|extension| CRLDistributionPoints::from_der(extension.value).ok());
        if issuer.has_whole || points.is_some_and(|(_, points)| points.points.len() == 1) {
            Said::Nothing
        } else {
            Said::Uncovered
        }
    }
}
