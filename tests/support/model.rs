//! A second, plain reading of the rules for tokens and proofs, written from the RFCs and `docs/`, not from the code under test.
//!
//! It is about the first issuer's tokens for the API of [`super::good`], at [`NOW`].
#![allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "dates are far below 2^53")]

use serde_json::{Value, json};

use super::NOW;
use super::issuers::{AUDIENCE, NARROW_AUDIENCE, SERVER};

/// The whole seconds on either side of a NumericDate (RFC 7519 §2), if it is one before the year 10000.
fn date(value: &Value) -> Option<(f64, f64)> {
    let number = value.as_f64().filter(|_| value.is_number())?;
    // A whole number is read exactly; beyond a float's own precision only whole numbers are left.
    let (floor, ceil) = value.as_i64().map_or((number.floor(), number.ceil()), |whole| (whole as f64, whole as f64));
    (floor >= -253_402_300_799.0 && ceil <= 253_402_300_799.0).then_some((floor, ceil))
}

fn text_of(value: Option<&Value>, most: usize) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.is_empty() && text.len() <= most)
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// A NUL anywhere in a text ends it for some readers: refused.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// RFC 9068 §4, RFC 7519 §4.1, and the claims that the policies declare.
pub fn token_is_good(claims: &Value) -> bool {
    let now = NOW as f64;
    let claim = |name: &str| claims.get(name);
    let dates = claim("exp").and_then(date).zip(claim("iat").and_then(date));
    let Some((exp, iat)) = dates else { return false };
    let began = match claim("nbf") {
        None => true,
        Some(nbf) => date(nbf).is_some_and(|(_, ceil)| ceil <= now + 10.0),
    };
    let audiences = match claim("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(many) => texts(many).unwrap_or_default(),
        None => Vec::new(),
    };
    let optional = |name: &str, is: &dyn Fn(&Value) -> bool| claim(name).is_none_or(is);
    let list = |name: &str| optional(name, &|value| texts(value).is_some());
    let suspended = claim("groups").and_then(texts).is_some_and(|groups| groups.contains(&"suspended"));
    claim("iss") == Some(&json!(SERVER))
        && audiences.iter().any(|audience| [AUDIENCE, NARROW_AUDIENCE].contains(audience))
        && now < exp.0
        && iat.1 <= now + 10.0
        && exp.1 - iat.0 <= 3600.0
        && began
        && ["jti", "sub", "client_id"].iter().all(|name| text_of(claim(name), 512))
        && claim("client_id") != Some(&json!("retired-robot"))
        && scope_is_good(claim("scope"))
        && optional("acr", &Value::is_string)
        && optional("auth_time", &|value| date(value).is_some())
        && ["amr", "groups", "roles", "entitlements"].iter().all(|name| list(name))
        && !suspended
        && !has_nul(claims)
}

/// RFC 6749 §3.3.
fn scope_is_good(scope: Option<&Value>) -> bool {
    let Some(text) = scope.and_then(Value::as_str) else { return false };
    let legal = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    text.bytes().all(legal) && text.split(' ').any(|scope| scope == "items.read")
}

/// Which keys a token names: `None` if what it says of them cannot be read, or is nothing that can be checked.
pub fn named(cnf: Option<&Value>) -> Option<(Option<&str>, Option<&str>)> {
    let Some(cnf) = cnf else { return Some((None, None)) };
    let member = |name: &str| match cnf.as_object()?.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    };
    let (proof_key, certificate) = (member("jkt")?, member("x5t#S256")?);
    (proof_key.is_some() || certificate.is_some()).then_some((proof_key, certificate))
}

/// RFC 9449 §4.3, with a good token and target.
pub fn proof_is_good(claims: &Value) -> bool {
    let now = NOW as f64;
    let claim = |name: &str| claims.get(name);
    let optional =
        |name: &str, is: &dyn Fn((f64, f64)) -> bool| claim(name).is_none_or(|value| date(value).is_some_and(is));
    text_of(claim("jti"), 256)
        && claim("htm") == Some(&json!("GET"))
        && claim("iat").and_then(date).is_some_and(|(floor, ceil)| now - floor <= 60.0 && ceil <= now + 10.0)
        && optional("exp", &|(floor, _)| now < floor)
        && optional("nbf", &|(_, ceil)| ceil <= now + 10.0)
        && !has_nul(claims)
}
