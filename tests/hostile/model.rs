//! Tokens and proofs whose claims are whatever JSON there is, signed well: judged as a second, plain reading of the rules says.
//!
//! The model (`tests/support/model.rs`) is written from the RFCs and `docs/`, not from the code; both must agree on every input, both ways.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::issuers::{AUDIENCE, NARROW_AUDIENCE, SERVER};
use crate::support::model::{named, proof_is_good, token_is_good};
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
