//! A JWT access token (RFC 9068), from text to [`SignedToken`].
//!
//! The issuer is judged before its keys are looked at, so that no token can draw another issuer's key (RFC 8725 §3.8).

use std::sync::Arc;

use super::told::Claims;
use super::{Confirmation, Issuer, IssuerRules, Issuers, Keyring, SignedToken, TokenType, claims};
use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::jose::{Compact, Header, Map, NumericDate, Value, base64url_32};
use crate::decision::limits;

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
pub(super) fn verify<'s>(token: &[u8], issuers: &'s Issuers) -> Result<(SignedToken, Map), TokenRefused<'s>> {
    let jws = Compact::parse(token, limits::TOKEN_BYTES).map_err(|_| Denial::TokenMalformed)?;
    let header = Header::read(&jws.header).map_err(|_| Denial::TokenMalformed)?;
    if header.asks_for_extension {
        return Err(Denial::TokenCriticalHeader.into());
    }
    // RFC 9068 §4: exact match; an array or a prefix is not the issuer.
    let issuer = text(&jws.payload, "iss")?.ok_or(Denial::TokenClaimMissing)?;
    let issuer = issuers.find(issuer).ok_or(Denial::TokenIssuerUnknown)?;
    let (keys, key_id) = by_issuer(&jws, &header, issuer)
        .map_err(|denial| TokenRefused { denial, issuer: Some(&issuer.rules.issuer) })?;
    let mut signed = signed((Arc::clone(&issuer.rules), Arc::clone(keys)), &jws.payload, jws.payload_bytes)?;
    signed.key_id = key_id;
    Ok((signed, jws.payload))
}

/// What the issuer's rules and keys say: type, algorithm, signature. The keys that it was verified with, and the name of the one.
fn by_issuer<'s>(
    jws: &Compact<'_>,
    header: &Header<'_>,
    issuer: &'s Issuer,
) -> Result<(&'s Arc<Keyring>, Option<Arc<str>>), Denial> {
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
    let (key_id, _) = verified.ok_or(Denial::TokenSignatureInvalid)?;
    Ok((keys, key_id.cloned()))
}

/// RFC 9068 §4, media type names compare without case (RFC 2045 §5.1).
fn has_type(expected: TokenType, actual: Option<&str>) -> bool {
    let Some(actual) = actual else { return false };
    let is = |name: &str| actual.eq_ignore_ascii_case(name);
    is("at+jwt") || is("application/at+jwt") || (expected == TokenType::LegacyJwt && is("JWT"))
}

fn signed(
    (issuer, keys): (Arc<IssuerRules>, Arc<Keyring>),
    claims: &Map,
    payload: Vec<u8>,
) -> Result<SignedToken, Denial> {
    let strict = issuer.token_type == TokenType::AtJwt;
    let identifier = |name: &str, required: bool| match identifier(claims, name)? {
        None if required => Err(Denial::TokenClaimMissing),
        found => Ok(found.map(str::to_owned)),
    };
    let client = identifier(&issuer.client_claim, true)?.ok_or(Denial::TokenClaimMissing)?;
    let (audiences, scopes) = (audiences(claims)?, scopes(claims, &issuer.scope_claim)?);
    Ok(SignedToken {
        client: Arc::new(ClientId { issuer: issuer.issuer.clone(), id: client }),
        subject: identifier("sub", strict)?,
        token_id: identifier("jti", strict)?,
        session: identifier("sid", false)?,
        key_id: None,
        told_bytes: claims::told_bytes(claims, audiences.len().saturating_add(scopes.len())),
        audiences: audiences.into(),
        scopes: scopes.into(),
        expires: date(claims, "exp")?.ok_or(Denial::TokenClaimMissing)?,
        issued: date(claims, "iat")?.ok_or(Denial::TokenClaimMissing)?,
        not_before: date(claims, "nbf")?,
        confirmation: confirmation(claims)?,
        claims: Claims::of(payload),
        issuer,
        keys,
    })
}

fn text<'c>(claims: &'c Map, name: &str) -> Result<Option<&'c str>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Denial::TokenClaimMalformed),
    }
}

fn identifier<'c>(claims: &'c Map, name: &str) -> Result<Option<&'c str>, Denial> {
    match text(claims, name)? {
        Some(text) if text.is_empty() || text.len() > limits::IDENTIFIER_BYTES => Err(Denial::TokenClaimMalformed),
        found => Ok(found),
    }
}

fn date(claims: &Map, name: &str) -> Result<Option<NumericDate>, Denial> {
    claims.get(name).map(|value| NumericDate::read(value).ok_or(Denial::TokenClaimMalformed)).transpose()
}

/// RFC 7519 §4.1.3: a string or an array of strings.
fn audiences(claims: &Map) -> Result<Vec<String>, Denial> {
    match claims.get("aud") {
        None => Err(Denial::TokenClaimMissing),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) if many.len() <= limits::AUDIENCES => strings(many),
        Some(_) => Err(Denial::TokenClaimMalformed),
    }
}

fn strings(array: &[Value]) -> Result<Vec<String>, Denial> {
    array.iter().map(|value| value.as_str().map(str::to_owned).ok_or(Denial::TokenClaimMalformed)).collect()
}

/// RFC 8693 §4.2: `scope` is a space-delimited string. A claim that the operator names instead may be an array too.
fn scopes(claims: &Map, claim: &str) -> Result<Vec<String>, Denial> {
    let mut scopes = match claims.get(claim) {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        Some(Value::Array(many)) if claim != "scope" => strings(many)?,
        Some(_) => return Err(Denial::TokenClaimMalformed),
    };
    // RFC 6749 §3.3: scope-token.
    let sound = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
    };
    if scopes.len() > limits::SCOPES || !scopes.iter().all(sound) {
        return Err(Denial::TokenClaimMalformed);
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

/// RFC 7800 §3.1, total: whatever `cnf` is, a token that has one is never a bearer token.
fn confirmation(claims: &Map) -> Result<Confirmation, Denial> {
    let members = match claims.get("cnf") {
        None => return Ok(Confirmation::Unbound),
        Some(Value::Object(members)) => members,
        Some(_) => return Ok(Confirmation::Unknown),
    };
    let thumbprint = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().and_then(base64url_32).map(Some).ok_or(Denial::TokenClaimMalformed),
    };
    match (thumbprint("x5t#S256")?, thumbprint("jkt")?) {
        (None, None) => Ok(Confirmation::Unknown),
        (certificate, proof_key) => Ok(Confirmation::Keys { certificate, proof_key }),
    }
}
