//! A JWT access token (RFC 9068), from text to [`IssuedToken`].
//!
//! The issuer is judged before its keys are looked at, so that no token can draw another issuer's key (RFC 8725 §3.8).

use std::sync::Arc;

use super::standard::{self, Demanded, text};
use super::{IssuedToken, Issuer, Issuers, Keyring, TokenType, Vouched};
use crate::decision::denial::Denial;
use crate::decision::jose::{Compact, Header, Map};
use crate::decision::limits;
use crate::decision::status_list;

/// A token that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRefused<'s> {
    /// Why.
    pub denial: Denial,
    /// The configured issuer that it claims to be from; nothing is proven about that.
    pub issuer: Option<&'s str>,
}

impl From<Denial> for TokenRefused<'_> {
    fn from(denial: Denial) -> Self {
        Self { denial, issuer: None }
    }
}

/// Verifies everything about a token that does not depend on API, time or sender, and gives its claims beside it. Cheap checks come
/// before the signature.
///
/// # Errors
/// A denial of class `token`, or `fault_keys_unavailable`.
pub(super) fn verify<'s>(token: &[u8], issuers: &'s Issuers) -> Result<(IssuedToken, Map), TokenRefused<'s>> {
    let jws = Compact::parse(token, limits::TOKEN_BYTES).map_err(|_| Denial::TokenMalformed)?;
    let header = Header::read(&jws.header).map_err(|_| Denial::TokenMalformed)?;
    if header.asks_for_extension {
        return Err(Denial::TokenCriticalHeader.into());
    }
    // RFC 9068 §4: exact match; an array or a prefix is not the issuer.
    let issuer = text(&jws.payload, "iss")?.ok_or(Denial::TokenClaimMissing)?;
    let issuer = issuers.find(issuer).ok_or(Denial::TokenIssuerUnknown)?;
    let (keys, key) = by_issuer(&jws, &header, issuer)
        .map_err(|denial| TokenRefused { denial, issuer: Some(&issuer.rules.issuer) })?;
    let demanded = match issuer.rules.token_type {
        TokenType::AtJwt => Demanded::All,
        TokenType::LegacyJwt => Demanded::Least,
    };
    let (rules, vouched) = (Arc::clone(&issuer.rules), Vouched::Signed { keys: Arc::clone(keys), key });
    let mut token = standard::issued(rules, vouched, demanded, &jws.payload, jws.payload_bytes)?;
    token.status = status_list::reference(&jws.payload, &token.issuer.status)?;
    Ok((token, jws.payload))
}

/// What the issuer's rules and keys say: type, algorithm, signature. The keys that it was verified with, and the thumbprint of the one.
fn by_issuer<'s>(
    jws: &Compact<'_>,
    header: &Header<'_>,
    issuer: &'s Issuer,
) -> Result<(&'s Arc<Keyring>, [u8; 32]), Denial> {
    let rules = &issuer.rules;
    if !has_type(rules.token_type, header.token_type) {
        return Err(Denial::TokenTypeUnexpected);
    }
    let algorithm = header.algorithm.filter(|algorithm| rules.algorithms.contains(*algorithm));
    let algorithm = algorithm.ok_or(Denial::TokenAlgorithmForbidden)?;
    let keys = issuer.keys.as_ref().ok_or(Denial::FaultKeysUnavailable)?;
    let mut candidates = keys.candidates(header.key_id, algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(Denial::TokenKeyUnknown);
    }
    let verified = candidates.find(|(_, key)| key.verifies(algorithm, jws.signing_input, &jws.signature));
    let (_, key) = verified.ok_or(Denial::TokenSignatureInvalid)?;
    Ok((keys, *key.thumbprint()))
}

/// RFC 9068 §4, media type names compare without case (RFC 2045 §5.1).
fn has_type(expected: TokenType, actual: Option<&str>) -> bool {
    let Some(actual) = actual else { return false };
    let is = |name: &str| actual.eq_ignore_ascii_case(name);
    is("at+jwt") || is("application/at+jwt") || (expected == TokenType::LegacyJwt && is("JWT"))
}
