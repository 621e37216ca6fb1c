//! A signed introspection response (RFC 9701), from text to the answer within.
//!
//! Proves: the issuer signed it with a key that it publishes, for us, now, and as nothing else than an introspection response. The JWT
//! does not name the token that it is about: that it answers our question is what the connection to the issuer proves, and its age
//! bounds what an old one is good for. Encrypted responses (RFC 9701 §6.2) have five parts and are refused as no signed one.

use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{IssuerRules, Keyring};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::{Compact, Header, Map, NumericDate, Value};
use crate::decision::limits;

/// How old a response may be, in seconds, beside what clocks differ by: it is made for the question that it answers.
const AGE_SECONDS: i64 = 60;

/// What the signed responses of one issuer must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAnswers {
    /// Who we are for the issuer: `aud` must name this.
    pub audience: String,
    /// The signature algorithms that they may use.
    pub algorithms: AlgorithmSet,
}

/// This is no answer: the issuer is at fault, and nothing is said of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnAnswer {
    /// Not one strict JSON object, or too large.
    NotAnObject,
    /// Not a compact JWS, or with a header that no signed response has.
    NotSigned,
    /// Under an algorithm that is not allowed.
    Algorithm,
    /// The issuer's keys could not be had.
    KeysUnavailable,
    /// With a key that the issuer does not publish, or not yet.
    KeyUnknown,
    /// Not by the key that it names.
    Signature,
    /// Of somebody else, for somebody else, or without `token_introspection`.
    Claims,
    /// Not of now.
    Time,
}

impl fmt::Display for NotAnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "the answer is not one strict JSON object",
            Self::NotSigned => "the answer is no signed response (RFC 9701 §5)",
            Self::Algorithm => "the answer is signed with an algorithm that is not allowed",
            Self::KeysUnavailable => "the answer is signed, and the issuer's keys could not be had",
            Self::KeyUnknown => "the answer is signed with a key that the issuer does not publish",
            Self::Signature => "the signature of the answer is not that of the key that it names",
            Self::Claims => "the signed answer has another issuer or audience, or no `token_introspection`",
            Self::Time => "the signed answer is not of now",
        })
    }
}

#[derive(Deserialize)]
struct Envelope<'j> {
    #[serde(borrow)]
    token_introspection: &'j RawValue,
}

/// Verifies a response and gives the JSON text of the answer within. `now` is Unix seconds.
pub(super) fn open(
    response: &[u8],
    (rules, signed): (&IssuerRules, &SignedAnswers),
    keys: Option<&Keyring>,
    now: i64,
) -> Result<Vec<u8>, NotAnAnswer> {
    let jws = Compact::parse(response, limits::INTROSPECTION_BYTES).map_err(|_| NotAnAnswer::NotSigned)?;
    let header = Header::read(&jws.header).map_err(|_| NotAnAnswer::NotSigned)?;
    // RFC 9701 §5. Media type names compare without case (RFC 2045 §5.1).
    let is = |name: &str| header.token_type.is_some_and(|actual| actual.eq_ignore_ascii_case(name));
    if header.asks_for_extension || !(is("token-introspection+jwt") || is("application/token-introspection+jwt")) {
        return Err(NotAnAnswer::NotSigned);
    }
    let algorithm = header.algorithm.filter(|algorithm| signed.algorithms.contains(*algorithm));
    let algorithm = algorithm.ok_or(NotAnAnswer::Algorithm)?;
    let mut candidates = keys.ok_or(NotAnAnswer::KeysUnavailable)?.candidates(header.key_id, algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(NotAnAnswer::KeyUnknown);
    }
    if !candidates.any(|(_, key)| key.verifies(algorithm, jws.signing_input, &jws.signature)) {
        return Err(NotAnAnswer::Signature);
    }
    let ours = jws.payload.get("iss").and_then(Value::as_str) == Some(&rules.issuer)
        && is_for(&jws.payload, &signed.audience)
        && matches!(jws.payload.get("token_introspection"), Some(Value::Object(_)));
    if !ours {
        return Err(NotAnAnswer::Claims);
    }
    check_time(&jws.payload, rules.future_skew_seconds, now)?;
    // Read strictly before, so that this can be read in one way alone.
    let envelope: Envelope<'_> = serde_json::from_slice(&jws.payload_bytes).map_err(|_| NotAnAnswer::Claims)?;
    Ok(envelope.token_introspection.get().as_bytes().to_vec())
}

/// RFC 7519 §4.1.3: a string or an array of strings.
fn is_for(claims: &Map, ours: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == ours,
        Some(Value::Array(many)) => {
            many.len() <= limits::AUDIENCES && many.iter().any(|one| one.as_str() == Some(ours))
        }
        _ => false,
    }
}

/// `iat` is of now, and nothing that is there besides says otherwise.
fn check_time(claims: &Map, skew: i64, now: i64) -> Result<(), NotAnAnswer> {
    let date = |name: &str| claims.get(name).map(|value| NumericDate::read(value).ok_or(NotAnAnswer::Time)).transpose();
    let issued = date("iat")?.ok_or(NotAnAnswer::Time)?;
    let (ahead, behind) = (now.saturating_add(skew), now.saturating_sub(skew));
    let of_now = issued.ceil <= ahead && issued.floor >= behind.saturating_sub(AGE_SECONDS);
    let begun = date("nbf")?.is_none_or(|begins| begins.ceil <= ahead);
    let not_ended = date("exp")?.is_none_or(|ends| now < ends.floor);
    if of_now && begun && not_ended { Ok(()) } else { Err(NotAnAnswer::Time) }
}

#[cfg(test)]
mod tests;
