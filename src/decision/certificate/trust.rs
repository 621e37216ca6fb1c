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
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, BasicConstraints, KeyIdentifier};
use x509_parser::oid_registry as oid;

use super::crl::{Crl, CrlError, CrlRules};
use super::named::{Named, Said};
use super::{CertificateDenial, names, thumbprint};

/// Roots and intermediates to verify client certificates against.
pub struct TrustBundle {
    verifier: Arc<dyn ClientCertVerifier>,
    roots: Arc<RootCertStore>,
    /// Roots and intermediates.
    authorities: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    lists: Lists,
    named: Named,
    rules: Option<CrlRules>,
    /// Which bundle this is: no other one has the same, not even of the same content.
    itself: Arc<()>,
}

/// What is known of certificates that were revoked.
#[derive(Clone, Copy)]
enum Lists {
    /// Nobody asks.
    Unasked,
    /// Lists are wanted, and there is none: nothing is known of any certificate.
    Missing,
    /// There are some; until the first of them runs out (Unix seconds), if that counts.
    Until(Option<i64>),
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
        let (mut authorities, mut intermediates) = (Vec::new(), Vec::new());
        for (index, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).enumerate() {
            let block = index.saturating_add(1);
            let (kind, der) = section.map_err(|_| TrustBundleError::NotPem { block })?;
            if kind != SectionKind::Certificate {
                return Err(TrustBundleError::NotACertificate { block });
            }
            let is_root = is_root(&der, block)?;
            let der = CertificateDer::from(der);
            authorities.push(der.clone());
            if is_root {
                roots.add(der).map_err(|_| TrustBundleError::Malformed { block })?;
            } else {
                intermediates.push(der);
            }
        }
        let roots = Arc::new(roots);
        let verifier = builder(&roots).build().map_err(|_| TrustBundleError::NoRoot)?;
        let (lists, named, itself) = (Lists::Unasked, Named::default(), Arc::new(()));
        Ok(Self { verifier, roots, authorities, intermediates, lists, named, rules: None, itself })
    }

    /// Reads certificate revocation lists that its CAs signed: PEM, one or several, or one in DER.
    ///
    /// # Errors
    /// One of them cannot be used, or none of the CAs signed it.
    pub fn read_crls(&self, bytes: &[u8]) -> Result<Vec<Crl>, CrlError> {
        let read = |der: &[u8]| Crl::read(der, &self.roots, &self.authorities);
        if !bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Ok(vec![read(bytes)?]);
        }
        let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes).map(|section| match section {
            Ok((SectionKind::Crl, der)) => read(&der),
            Ok(_) => Err(CrlError::Unusable("a block of it is labelled otherwise than X509 CRL".to_owned())),
            Err(_) => Err(CrlError::Unusable("it is not PEM".to_owned())),
        });
        let lists = sections.collect::<Result<Vec<_>, _>>()?;
        if lists.is_empty() { Err(CrlError::Unusable("it is not PEM".to_owned())) } else { Ok(lists) }
    }

    /// Whether one of its CAs signed a list that was read with another bundle.
    #[must_use]
    pub fn vouches_for(&self, list: &Crl) -> bool {
        Crl::read(&list.der, &self.roots, &self.authorities).is_ok()
    }

    /// The same CAs, which from now on are asked for what they have revoked.
    ///
    /// # Errors
    /// A list cannot be read any more; none is that was read by [`Self::read_crls`].
    pub fn with_crls(&self, crls: &[Crl], rules: CrlRules) -> Result<Self, CrlError> {
        // webpki takes the first that covers a certificate.
        let mut newest_first: Vec<_> = crls.iter().collect();
        newest_first.sort_by_key(|crl| core::cmp::Reverse(crl.issued()));
        let mut builder = builder(&self.roots).with_crls(newest_first.into_iter().map(|crl| crl.der.clone()));
        if !rules.accept_expired {
            builder = builder.enforce_revocation_expiration();
        }
        if rules.accept_uncovered {
            builder = builder.allow_unknown_revocation_status();
        }
        if rules.leaf_alone {
            builder = builder.only_check_end_entity_revocation();
        }
        let until = crls.iter().filter_map(Crl::until).min().filter(|_| !rules.accept_expired);
        let missing = crls.is_empty() && !rules.accept_uncovered;
        Ok(Self {
            verifier: builder.build().map_err(|error| CrlError::Unusable(error.to_string()))?,
            roots: Arc::clone(&self.roots),
            authorities: self.authorities.clone(),
            intermediates: self.intermediates.clone(),
            lists: if missing { Lists::Missing } else { Lists::Until(until) },
            named: Named::of(crls),
            rules: Some(rules),
            itself: Arc::new(()),
        })
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
        let leaf = CertificateDer::from(certificate);
        let path = |intermediates: &[CertificateDer<'_>]| {
            self.verifier.verify_client_cert(&leaf, intermediates, time).map_err(|error| denial(&error))
        };
        path(&intermediates)?;
        self.judge_by_every_list(certificate)?;
        if self.rules.is_some_and(|rules| !rules.leaf_alone) {
            let sound = |intermediate: &&CertificateDer<'_>| self.judge_by_every_list(intermediate).is_ok();
            let sound: Vec<_> = intermediates.iter().filter(sound).cloned().collect();
            if sound.len() < intermediates.len() {
                // Which of them the path went through is not said: there must be one without those.
                path(&sound).map_err(|_| CertificateDenial::Revoked)?;
            }
        }
        if matches!(self.lists, Lists::Missing) { Err(CertificateDenial::StatusUnknown) } else { Ok(()) }
    }

    fn judge_by_every_list(&self, certificate: &[u8]) -> Result<(), CertificateDenial> {
        match self.named.judge(certificate) {
            Said::Nothing => Ok(()),
            Said::Revoked => Err(CertificateDenial::Revoked),
            Said::Uncovered if self.rules.is_some_and(|rules| rules.accept_uncovered) => Ok(()),
            Said::Uncovered => Err(CertificateDenial::StatusUnknown),
        }
    }

    /// How long what [`Self::verify`] just said of a certificate without a presented chain stays so: as long as each certificate that
    /// its path can have, the certificate itself and every intermediate of ours that is good now, and as every revocation list. Roots
    /// have no dates here. `None` if one of them does not tell.
    pub(super) fn vouched(&self, certificate: &[u8], now: i64) -> Option<Vouched> {
        let (mut from, mut until) = dates(certificate)?;
        if let Lists::Until(Some(first)) = self.lists {
            until = until.min(first);
        }
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

fn builder(roots: &Arc<RootCertStore>) -> ClientCertVerifierBuilder {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider)
}

/// What webpki says of a path, as far as it concerns revocation.
fn denial(error: &rustls::Error) -> CertificateDenial {
    use rustls::CertificateError::{
        ExpiredRevocationList, ExpiredRevocationListContext, Revoked, UnknownRevocationStatus,
    };
    if matches!(error, rustls::Error::InvalidCertificate(Revoked)) {
        CertificateDenial::Revoked
    } else if matches!(
        error,
        rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::InvalidCertificate(
                UnknownRevocationStatus | ExpiredRevocationList | ExpiredRevocationListContext { .. }
            )
    ) {
        CertificateDenial::StatusUnknown
    } else {
        CertificateDenial::Untrusted
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
