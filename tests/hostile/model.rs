//! Tokens and proofs whose claims are whatever JSON there is, signed well: judged as a second, plain reading of the rules says.
//!
//! The model below is written from the RFCs and `docs/`, not from the code; both must agree on every input, both ways.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::issuers::{AUDIENCE, NARROW_AUDIENCE, SERVER};
use crate::support::{Encoding, Good, Memory, NOW, good, good_mtls, judge, keys, pki};

/// JSON as a broken or hostile issuer may write it, often near to what is right.
fn json() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        (-4_000_i64..4_000).prop_map(|off| NOW + off),
        Just(0),
        Just(i64::MAX),
        Just(i64::MIN)
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers.prop_map(Value::from),
        (-4_000.0_f64..4_000.0).prop_map(|off| json!(1_800_000_000.0 + off)),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        let named = (prop_oneof![text(), Just("jkt".to_owned()), Just("x5t#S256".to_owned())], inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            vec(named, 0..3).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    let known = [
        SERVER,
        AUDIENCE,
        NARROW_AUDIENCE,
        "robot",
        "retired-robot",
        "excepted-robot",
        "items.read",
        "items.read  x",
        "suspended",
        "GET",
        "https://rs.example.com/items/7",
        "",
        "1800000000",
        "DPoP",
    ];
    let mut known: Vec<String> = known.map(str::to_owned).to_vec();
    known.extend([keys().client.thumbprint(), keys().stranger.thumbprint(), pki().client.thumbprint()]);
    known.extend([pki().other.thumbprint(), "x".repeat(256), "x".repeat(257), "x".repeat(512), "x".repeat(513)]);
    prop_oneof![proptest::sample::select(known), any::<String>(), "[ -~]{0,12}"]
}

/// Members set, or left out.
fn changes(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, Option<Value>)>> {
    vec((proptest::sample::select(names), prop_oneof![6 => json().prop_map(Some), 1 => Just(None)]), 1..4)
}

fn change(claims: &mut Value, changes: &[(&'static str, Option<Value>)]) {
    for (name, value) in changes {
        match value {
            Some(value) => claims[name] = value.clone(),
            None => {
                claims.as_object_mut().expect("claims").remove(*name);
            }
        }
    }
}

const TOKEN: &[&str] = &[
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "sub",
    "client_id",
    "scope",
    "cnf",
    "acr",
    "amr",
    "auth_time",
    "groups",
    "roles",
    "entitlements",
    "other",
];
const PROOF: &[&str] = &["jti", "htm", "iat", "exp", "nbf", "nonce", "other"];

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
fn token_is_good(claims: &Value) -> bool {
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
fn named(cnf: Option<&Value>) -> Option<(Option<&str>, Option<&str>)> {
    let Some(cnf) = cnf else { return Some((None, None)) };
    let member = |name: &str| match cnf.as_object()?.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    };
    let (proof_key, certificate) = (member("jkt")?, member("x5t#S256")?);
    (proof_key.is_some() || certificate.is_some()).then_some((proof_key, certificate))
}

/// RFC 9449 §4.3, with a good token and target.
fn proof_is_good(claims: &Value) -> bool {
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

fn allowed(good: &Good) -> (bool, &'static str) {
    let request = good.build();
    let outcomes = Encoding::BOTH.map(|encoding| judge(&request, encoding, &Memory::new(10, 100), NOW));
    assert_eq!(outcomes[0], outcomes[1], "the two encodings agree");
    (outcomes[0].status == 200, outcomes[0].code)
}

proptest! {
    #![proptest_config(crate::more(3_000))]

    #[test]
    fn a_token_with_any_claims_is_judged_as_the_model_says(changes in changes(TOKEN)) {
        let dpop = good().token(|token| change(&mut token.claims, &changes));
        let mtls = good_mtls().token(|token| change(&mut token.claims, &changes));
        let (mut with_proof, mut with_certificate) = (Value::Null, Value::Null);
        let _ = dpop.clone().token(|token| with_proof = token.claims.clone());
        let _ = mtls.clone().token(|token| with_certificate = token.claims.clone());
        // One exception: this client may send unbound tokens, but only as Bearer.
        let excepted = with_certificate.get("client_id") == Some(&json!("excepted-robot"));
        let (key, certificate) = (keys().client.thumbprint(), pki().client.thumbprint());
        let by_proof = matches!(named(with_proof.get("cnf")), Some((Some(jkt), None)) if jkt == key);
        let by_certificate = match named(with_certificate.get("cnf")) {
            Some((None, Some(thumbprint))) => thumbprint == certificate,
            Some((None, None)) => excepted,
            _ => false,
        };
        let (is, code) = allowed(&dpop);
        prop_assert_eq!(is, token_is_good(&with_proof) && by_proof, "DPoP: {} for {}", code, with_proof);
        let (is, code) = allowed(&mtls);
        prop_assert_eq!(is, token_is_good(&with_certificate) && by_certificate, "mTLS: {} for {}", code, with_certificate);
    }

    #[test]
    fn a_proof_with_any_claims_is_judged_as_the_model_says(changes in changes(PROOF)) {
        let good = good().proof(|proof| change(&mut proof.claims, &changes));
        let mut claims = Value::Null;
        let _ = good.clone().proof(|proof| claims = proof.claims.clone());
        let (is, code) = allowed(&good);
        prop_assert_eq!(is, proof_is_good(&claims), "{} for {}", code, claims);
    }
}
