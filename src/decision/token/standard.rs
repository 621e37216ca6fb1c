//! What every access token says, whoever vouches for it: its claims are read here, from a JWT's payload and from the answer to an
//! introspection alike (RFC 9068 §2.2, RFC 7662 §2.2, RFC 7800 §3.1).

use std::sync::Arc;

use super::told::Claims;
use super::{Confirmation, IssuedToken, IssuerRules, Vouched, claims};
use crate::decision::client::ClientId;
use crate::decision::denial::Denial;
use crate::decision::jose::{Map, NumericDate, Value, base64url_32};
use crate::decision::limits;

/// Which claims must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demanded {
    /// All that RFC 9068 §2.2 requires.
    All,
    /// The same without `sub` and `jti`.
    Least,
}

/// The token that claims make, vouched for by who does. `payload` is the JSON text that they were read from.
pub fn issued(
    issuer: Arc<IssuerRules>,
    vouched: Vouched,
    demanded: Demanded,
    claims: &Map,
    payload: Vec<u8>,
) -> Result<IssuedToken, Denial> {
    let strict = demanded == Demanded::All;
    let identifier = |name: &str, required: bool| match identifier(claims, name)? {
        None if required => Err(Denial::TokenClaimMissing),
        found => Ok(found.map(str::to_owned)),
    };
    let client = identifier(&issuer.client_claim, true)?.ok_or(Denial::TokenClaimMissing)?;
    let (audiences, scopes) = (audiences(claims)?, scopes(claims, &issuer.scope_claim)?);
    Ok(IssuedToken {
        client: Arc::new(ClientId { issuer: issuer.issuer.clone(), id: client }),
        subject: identifier("sub", strict)?,
        token_id: identifier("jti", strict)?,
        session: identifier("sid", false)?,
        told_bytes: claims::told_bytes(claims, audiences.len().saturating_add(scopes.len())),
        audiences: audiences.into(),
        scopes: scopes.into(),
        expires: date(claims, "exp")?.ok_or(Denial::TokenClaimMissing)?,
        issued: date(claims, "iat")?.ok_or(Denial::TokenClaimMissing)?,
        not_before: date(claims, "nbf")?,
        confirmation: confirmation(claims)?,
        status: None,
        claims: Claims::of(payload),
        issuer,
        vouched,
    })
}

/// A claim that is a string.
pub fn text<'c>(claims: &'c Map, name: &str) -> Result<Option<&'c str>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Denial::TokenClaimMalformed),
    }
}

/// A string that is carried on.
pub fn identifier<'c>(claims: &'c Map, name: &str) -> Result<Option<&'c str>, Denial> {
    match text(claims, name)? {
        Some(text) if text.is_empty() || text.len() > limits::IDENTIFIER_BYTES => Err(Denial::TokenClaimMalformed),
        found => Ok(found),
    }
}

/// A NumericDate.
pub fn date(claims: &Map, name: &str) -> Result<Option<NumericDate>, Denial> {
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
pub fn confirmation(claims: &Map) -> Result<Confirmation, Denial> {
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
