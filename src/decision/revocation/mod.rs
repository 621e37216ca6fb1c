//! Revocation: what was withdrawn before its time is refused, whoever vouches for it.
//!
//! Proves, of a token that is good for this API and of the certificate that came with it: no entry of the list names them, and the
//! list is fresh enough to say so. Entries name a token, its subject, client, session, key or issuer, or the key or certificate of
//! its sender. Asked on every use, so that no memory of tokens outlives a revocation. A certificate is judged for unbound tokens too.

mod target;

pub use target::{EntryId, Kind, Name, Target, Thumbprint};

use crate::decision::certificate::PeerCertificate;
use crate::decision::credential::TokenText;
use crate::decision::denial::Denial;
use crate::decision::token::{Confirmation, VerifiedToken};

/// The list of what is revoked. It changes while it is read: what is revoked is refused from the next look on.
pub trait Revocations: Send + Sync {
    /// Whether anything of this kind is revoked.
    fn has(&self, kind: Kind) -> bool;

    /// The entry that hits this name, if one does.
    fn find(&self, name: &Name<'_>, bearer: &Bearer) -> Option<EntryId>;

    /// Whether somebody who fills it has been silent for too long.
    fn is_stale(&self, now: i64) -> bool;

    /// Whether somebody who fills it has been silent for too long, and the operator lets requests pass all the same.
    fn is_behind(&self, now: i64) -> bool {
        let _ = now;
        false
    }
}

/// What one entry says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which entry.
    pub entry: EntryId,
    /// Tokens issued at or before this time are refused, Unix seconds; `i64::MAX` refuses every token.
    pub not_issued_after: i64,
    /// When the entry ends, Unix seconds; `i64::MAX` never.
    pub until: i64,
}

/// Of a token and its use: what decides whether a mark hits it.
#[derive(Clone, Copy, Debug)]
pub struct Bearer {
    /// `iat`, Unix seconds, rounded down.
    pub issued: i64,
    /// How far the issuer's clock may be ahead of ours.
    pub skew_seconds: i64,
    /// Unix seconds.
    pub now: i64,
}

impl Mark {
    /// Whether this use of the token is refused.
    #[must_use]
    pub fn hits(&self, bearer: &Bearer) -> bool {
        bearer.now < self.until && bearer.issued <= self.not_issued_after.saturating_add(bearer.skew_seconds)
    }
}

/// A verified token that is not revoked, nor is what came with it; and the list is fresh enough to say so.
pub struct LiveToken(VerifiedToken);

/// What is refused, and by which entry if one says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Why.
    pub denial: Denial,
    /// Which entry names it.
    pub entry: Option<EntryId>,
}

impl LiveToken {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.0
    }
}

/// Looks for the token, by all that names it, and for the certificate presented with it.
///
/// # Errors
/// `token_revoked`, `certificate_revoked`, `certificate_status_unknown`, `fault_revocations_stale`.
pub fn check(
    token: VerifiedToken,
    text: &TokenText<'_>,
    certificate: Option<&PeerCertificate>,
    list: &dyn Revocations,
    now: i64,
) -> Result<LiveToken, Revoked> {
    check_again(&token, text, certificate, list, now)?;
    if list.is_stale(now) {
        return Err(Revoked { denial: Denial::FaultRevocationsStale, entry: None });
    }
    Ok(LiveToken(token))
}

/// The same after something was waited for: what was revoked meanwhile is refused.
///
/// # Errors
/// `token_revoked`, `certificate_revoked`, `certificate_status_unknown`.
pub fn check_again(
    token: &VerifiedToken,
    text: &TokenText<'_>,
    certificate: Option<&PeerCertificate>,
    list: &dyn Revocations,
    now: i64,
) -> Result<(), Revoked> {
    check_token(token, text, list, now)?;
    certificate.map_or(Ok(()), |certificate| check_certificate(certificate, list, &bearer(token, now)))
}

fn bearer(token: &VerifiedToken, now: i64) -> Bearer {
    Bearer { issued: token.issued_at(), skew_seconds: token.clock_skew_seconds(), now }
}

/// Whether the list names the token, by anything that is known of it. Says nothing of what it is not told.
///
/// # Errors
/// `token_revoked`.
pub fn check_token(
    token: &VerifiedToken,
    presented: &TokenText<'_>,
    list: &dyn Revocations,
    now: i64,
) -> Result<(), Revoked> {
    let bearer = bearer(token, now);
    let issuer = token.issuer().as_bytes();
    let (certificate_key, proof_key) = match token.confirmation() {
        Confirmation::Keys { certificate, proof_key } => (certificate, proof_key),
        Confirmation::Unbound | Confirmation::Unknown => (None, None),
    };
    // Hashed only where somebody may be found by it.
    let signed = if list.has(Kind::TokenHash) { presented.signed_hash() } else { None };
    let names = [
        Name::new(Kind::Issuer, issuer, &[]),
        Name::new(Kind::Client, issuer, token.client().id.as_bytes()),
        Name::new(Kind::Subject, issuer, text(token.subject())),
        Name::new(Kind::Token, issuer, text(token.token_id())),
        Name::new(Kind::TokenHash, issuer, presented.hash()),
        Name::new(Kind::TokenHash, issuer, signed.as_ref().map_or(&[], |hash| hash.as_slice())),
        Name::new(Kind::Session, issuer, text(token.session())),
        Name::new(Kind::ProofKey, &[], proof_key.as_ref().map_or(&[], |key| key.as_slice())),
        Name::new(Kind::Certificate, &[], certificate_key.as_ref().map_or(&[], |key| key.as_slice())),
    ];
    let by_key = || {
        let has_any = list.has(Kind::Key);
        let mut ids = token.key_ids().filter(|_| has_any);
        ids.find_map(|id| hit(list, &Name::new(Kind::Key, issuer, id.as_bytes()), &bearer))
    };
    match names.iter().find_map(|name| hit(list, name, &bearer)).or_else(by_key) {
        Some(entry) => Err(Revoked { denial: Denial::TokenRevoked, entry: Some(entry) }),
        None => Ok(()),
    }
}

/// The entry that hits a name. What is not there is not looked for.
fn hit(list: &dyn Revocations, name: &Name<'_>, bearer: &Bearer) -> Option<EntryId> {
    (!name.is_empty() && list.has(name.kind())).then(|| list.find(name, bearer)).flatten()
}

/// What a token does not have is empty.
fn text(text: Option<&str>) -> &[u8] {
    text.map_or(&[], str::as_bytes)
}

/// Whether a token whose text is all that is known of it is on the list: before anybody else is asked about it.
///
/// # Errors
/// `token_revoked`.
pub fn check_unread(issuer: &str, hash: &[u8; 32], list: &dyn Revocations, now: i64) -> Result<(), Revoked> {
    // When it was issued is not known, so only what is refused whenever it was issued can be found.
    let bearer = Bearer { issued: i64::MAX, skew_seconds: 0, now };
    let names = [Name::new(Kind::Issuer, issuer.as_bytes(), &[]), Name::new(Kind::TokenHash, issuer.as_bytes(), hash)];
    match names.iter().find_map(|name| hit(list, name, &bearer)) {
        Some(entry) => Err(Revoked { denial: Denial::TokenRevoked, entry: Some(entry) }),
        None => Ok(()),
    }
}

fn check_certificate(certificate: &PeerCertificate, list: &dyn Revocations, bearer: &Bearer) -> Result<(), Revoked> {
    let revoked = |entry| Revoked { denial: Denial::CertificateRevoked, entry: Some(entry) };
    if let Some(entry) = hit(list, &Name::new(Kind::Certificate, &[], certificate.thumbprint()), bearer) {
        return Err(revoked(entry));
    }
    if list.has(Kind::CertificateSerial) {
        // A hash has no serial number that could be looked for.
        let Some((issuer, serial)) = certificate.serial() else {
            return Err(Revoked { denial: Denial::CertificateStatusUnknown, entry: None });
        };
        let name = Name::new(Kind::CertificateSerial, issuer.as_bytes(), serial.as_bytes());
        if let Some(entry) = hit(list, &name, bearer) {
            return Err(revoked(entry));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows every name.
    struct Everything;

    impl Revocations for Everything {
        fn has(&self, kind: Kind) -> bool {
            kind != Kind::Session
        }
        fn find(&self, _: &Name<'_>, _: &Bearer) -> Option<EntryId> {
            Some(EntryId([1; 16]))
        }
        fn is_stale(&self, _: i64) -> bool {
            false
        }
    }

    #[test]
    fn what_a_token_does_not_have_is_not_looked_for_nor_a_kind_that_is_not_there() {
        let asked = |kind, rest: &str| {
            let bearer = Bearer { issued: 0, skew_seconds: 0, now: 0 };
            hit(&Everything, &Name::new(kind, b"a", rest.as_bytes()), &bearer).is_some()
        };
        assert!(asked(Kind::Subject, "s") && asked(Kind::Issuer, ""));
        assert!(!asked(Kind::Subject, "") && !asked(Kind::Token, "") && !asked(Kind::Session, "s"));
    }
}
