//! Certificate revocation lists (RFC 5280 §5) for the chains that we verify ourselves.
//!
//! Proves, when a list is read: a CA of the trust bundle signed it. That it covers a certificate, names it or has run out is judged by
//! rustls' webpki for each certificate of a path, by the first list that covers it; so [`super::trust`] looks for its serial number on
//! every list of its issuer beside that. Refuses what webpki cannot read: deltas, indirect
//! lists, partitions by reason, unknown critical extensions (a list that is half understood says nothing).

use core::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateRevocationListDer, SignatureVerificationAlgorithm};
use rustls::server::WebPkiClientVerifier;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry as oid;
use x509_parser::revocation_list::CertificateRevocationList;

use super::thumbprint;

/// What is done where lists do not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlRules {
    /// A list that has run out is still believed.
    pub accept_expired: bool,
    /// A certificate that no list covers is taken for good.
    pub accept_uncovered: bool,
    /// The client's certificate alone is looked for, and not the intermediates above it.
    pub leaf_alone: bool,
}

/// A list that a CA of the trust bundle signed.
#[derive(Clone)]
pub struct Crl {
    pub(super) der: CertificateRevocationListDer<'static>,
    /// Issuer and distribution point, as encoded: of two lists with the same, the newer one counts.
    scope: Arc<[u8]>,
    /// The issuer's name, as encoded.
    pub(super) issuer: Arc<[u8]>,
    /// It is published in parts, and tells of one of them alone (RFC 5280 §5.2.5).
    pub(super) is_part: bool,
    /// The serial numbers that it names, as encoded.
    pub(super) serials: Arc<[Box<[u8]>]>,
    issued: i64,
    /// `CRLNumber`, most significant byte first.
    number: Vec<u8>,
    pub(super) until: Option<i64>,
}

/// Says nothing about the certificates in it.
impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl").finish_non_exhaustive()
    }
}

/// Why a list is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// It cannot be read, or asks for what is not understood.
    #[error("this is no certificate revocation list that can be used: {0}")]
    Unusable(String),
    /// No CA of ours has its issuer's name.
    #[error("no CA of the trust bundle has the name of this list's issuer, {0}")]
    UnknownIssuer(String),
    /// The signature is not by a key of that CA.
    #[error("the signature of this list is not by its issuer, {0}")]
    BadSignature(String),
}

impl Crl {
    /// Reads one list in DER. `authorities` are the CAs of the trust bundle, in DER.
    ///
    /// # Errors
    /// It cannot be used, or none of them signed it.
    pub(super) fn read(
        der: &[u8],
        roots: &Arc<RootCertStore>,
        authorities: &[impl AsRef<[u8]>],
    ) -> Result<Self, CrlError> {
        let unusable = |why: &dyn fmt::Display| CrlError::Unusable(why.to_string());
        let owned = CertificateRevocationListDer::from(der.to_vec());
        // First by the reader that will judge with it, which is strict.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
            .with_crls([owned.clone()])
            .build()
            .map_err(|error| unusable(&error))?;
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|error| unusable(&error))?;
        if !rest.is_empty() {
            return Err(unusable(&"there is more behind it"));
        }
        let issuer = list.tbs_cert_list.issuer.as_raw();
        let name = || list.tbs_cert_list.issuer.to_string();
        let named: Vec<_> = authorities
            .iter()
            .filter_map(|der| thumbprint::certificate(der.as_ref()).ok())
            .filter(|authority| authority.subject().as_raw() == issuer)
            .collect();
        if named.is_empty() {
            return Err(CrlError::UnknownIssuer(name()));
        }
        let algorithms = provider.signature_verification_algorithms.all;
        let signed = signed(der).ok_or_else(|| unusable(&"its signature cannot be read"))?;
        if !named.iter().any(|authority| is_by(authority, &signed, algorithms)) {
            return Err(CrlError::BadSignature(name()));
        }
        let tbs = &list.tbs_cert_list;
        let distribution =
            tbs.extensions().iter().find(|extension| extension.oid == oid::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
        let scope = [issuer, distribution.map_or(&[], |extension| extension.value)].concat();
        let is_part = match distribution.map(X509Extension::parsed_extension) {
            None => false,
            Some(ParsedExtension::IssuingDistributionPoint(point)) => point.distribution_point.is_some(),
            Some(_) => return Err(unusable(&"its distribution point cannot be read")),
        };
        let serials = tbs.revoked_certificates.iter().map(|revoked| Box::from(revoked.raw_serial()));
        // The strict reader asks for one.
        let number = list.crl_number().map(BigUint::to_bytes_be).ok_or_else(|| unusable(&"it has no number"))?;
        Ok(Self {
            scope: scope.into(),
            issuer: issuer.into(),
            is_part,
            serials: serials.collect(),
            number,
            issued: tbs.this_update.timestamp(),
            until: tbs.next_update.map(|time| time.timestamp()),
            der: owned,
        })
    }

    /// Whether it may take the place of `other`: it tells of the same certificates, and is not older.
    #[must_use]
    pub fn may_follow(&self, other: &Self) -> bool {
        let number = |list: &Self| (list.number.len(), list.number.clone());
        self.scope == other.scope && self.issued >= other.issued && number(self) >= number(other)
    }

    /// When it was issued, Unix seconds.
    #[must_use]
    pub fn issued(&self) -> i64 {
        self.issued
    }

    /// When the next one is due, Unix seconds.
    #[must_use]
    pub fn until(&self) -> Option<i64> {
        self.until
    }

    /// How many certificates it names.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.serials.len()
    }
}

/// What was signed, how, and the signature.
struct Signed<'d> {
    message: &'d [u8],
    algorithm: &'d [u8],
    signature: &'d [u8],
}

/// RFC 5280 §5.1.1: `SEQUENCE { tbsCertList, signatureAlgorithm, signatureValue }`. The algorithm is compared as it is encoded, its
/// parameters too, so it is taken from the bytes.
fn signed(der: &[u8]) -> Option<Signed<'_>> {
    let (_, whole) = Any::from_der(der).ok()?;
    let (after, _) = Any::from_der(whole.data).ok()?;
    let message = whole.data.get(..whole.data.len().checked_sub(after.len())?)?;
    let (after, algorithm) = Any::from_der(after).ok()?;
    let (_, signature) = Any::from_der(after).ok()?;
    // A bit string of whole bytes.
    let signature = signature.data.strip_prefix(&[0])?;
    Some(Signed { message, algorithm: algorithm.data, signature })
}

fn is_by(
    authority: &X509Certificate<'_>,
    signed: &Signed<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let key = authority.public_key();
    let Ok((_, info)) = Any::from_der(key.raw) else { return false };
    let Ok((_, kind)) = Any::from_der(info.data) else { return false };
    algorithms
        .iter()
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == signed.algorithm)
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == kind.data)
        .any(|algorithm| {
            algorithm.verify_signature(&key.subject_public_key.data, signed.message, signed.signature).is_ok()
        })
}

#[cfg(test)]
mod tests;
