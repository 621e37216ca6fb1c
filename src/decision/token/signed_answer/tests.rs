#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value as Json, json};

use super::super::{Ask, Issuer, Outcome, TokenType};
use super::*;
use crate::decision::jose::algorithm::Algorithm;
use crate::decision::jose::{base64url_of, sha256};
use crate::decision::status_list::StatusPolicy;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://as.test";
const US: &str = "keybound";

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn issuer() -> Issuer {
    let signed = SignedAnswers { audience: US.to_owned(), algorithms: AlgorithmSet::new(&[Algorithm::Ed25519]) };
    let rules = IssuerRules {
        issuer: ISSUER.to_owned(),
        audiences: vec!["https://api.test".to_owned()],
        algorithms: AlgorithmSet::new(&AlgorithmSet::TOKENS),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: None,
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
        signed_answers: Some(signed),
        status: StatusPolicy::default(),
    };
    let x = base64url_of(key(1).public_key().as_ref());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x}]}).to_string();
    let keys = Some(Arc::new(Keyring::parse(keys.as_bytes()).unwrap()));
    Issuer { rules: Arc::new(rules), keys, signer_keys: None }
}

fn header() -> Json {
    json!({"typ": "token-introspection+jwt", "alg": "Ed25519", "kid": "one"})
}

fn claims() -> Json {
    json!({
        "iss": ISSUER, "aud": US, "iat": NOW,
        "token_introspection": {
            "active": true, "token_type": "Bearer", "client_id": "robot", "aud": "https://api.test",
            "iat": NOW - 10, "exp": NOW + 290, "exact": 1.50,
        },
    })
}

fn signed(header: &Json, claims: &str, seed: u8) -> String {
    let input = format!("{}.{}", base64url_of(header.to_string().as_bytes()), base64url_of(claims.as_bytes()));
    let signature = key(seed).sign(input.as_bytes());
    format!("{input}.{}", base64url_of(signature.as_ref()))
}

fn read_from(issuer: &Issuer, response: &str) -> Result<Outcome, NotAnAnswer> {
    let ask = Ask::new(b"token", sha256(b"token"), issuer, None);
    ask.reader().read(response.as_bytes(), NOW).map(|answer| answer.outcome())
}

fn read(header: &Json, claims: &Json) -> Result<Outcome, NotAnAnswer> {
    read_from(&issuer(), &signed(header, &claims.to_string(), 1))
}

#[test]
fn a_signed_response_is_the_answer_within() {
    assert_eq!(read(&header(), &claims()), Ok(Outcome::Active));
    let mut inactive = claims();
    inactive["token_introspection"] = json!({"active": false});
    assert_eq!(read(&header(), &inactive), Ok(Outcome::Inactive));
    let mut two = claims();
    two["aud"] = json!(["https://other.test", US]);
    assert_eq!(read(&header(), &two), Ok(Outcome::Active));
    let long = json!({"typ": "application/Token-Introspection+JWT", "alg": "Ed25519", "kid": "one"});
    assert_eq!(read(&long, &claims()), Ok(Outcome::Active));
    assert_eq!(read(&json!({"typ": "token-introspection+jwt", "alg": "Ed25519"}), &claims()), Ok(Outcome::Active));
}

#[test]
fn the_answer_within_is_kept_as_it_was_signed() {
    let text = r#"{"iss":"https://as.test","aud":"keybound","iat":1800000000,"token_introspection": {"active":false, "exact" : 1.50}}"#;
    let (issuer, response) = (issuer(), signed(&header(), text, 1));
    let rules = (issuer.rules.as_ref(), issuer.rules.signed_answers.as_ref().unwrap());
    let opened = open(response.as_bytes(), rules, issuer.keys.as_deref(), NOW).unwrap();
    assert_eq!(opened, br#"{"active":false, "exact" : 1.50}"#);
}

#[test]
fn one_thing_that_is_wrong_is_no_answer() {
    let of_header = |name: &str, value: Json| {
        let mut header = header();
        header[name] = value;
        read(&header, &claims())
    };
    for typ in
        [json!("JWT"), json!("at+jwt"), json!(null), json!("token-introspection"), json!("jwt/token-introspection+jwt")]
    {
        assert_eq!(of_header("typ", typ.clone()), Err(NotAnAnswer::NotSigned), "{typ}");
    }
    assert_eq!(of_header("crit", json!(["exp"])), Err(NotAnAnswer::NotSigned));
    assert_eq!(of_header("b64", json!(false)), Err(NotAnAnswer::NotSigned));
    for alg in ["none", "HS256", "ES256", "RS256", "EdDSA"] {
        assert_eq!(of_header("alg", json!(alg)), Err(NotAnAnswer::Algorithm), "{alg}");
    }
    assert_eq!(of_header("kid", json!("two")), Err(NotAnAnswer::KeyUnknown));
    let of_claims = |name: &str, value: Json| {
        let mut claims = claims();
        claims[name] = value;
        read(&header(), &claims)
    };
    for iss in [json!("https://as.test/"), json!("https://other.test"), json!([ISSUER]), json!(null)] {
        assert_eq!(of_claims("iss", iss.clone()), Err(NotAnAnswer::Claims), "{iss}");
    }
    for aud in [json!("https://api.test"), json!([]), json!(["other"]), json!(null), json!([[US]])] {
        assert_eq!(of_claims("aud", aud.clone()), Err(NotAnAnswer::Claims), "{aud}");
    }
    for within in [json!(null), json!(true), json!("{\"active\":true}"), json!([{"active": true}])] {
        assert_eq!(of_claims("token_introspection", within.clone()), Err(NotAnAnswer::Claims), "{within}");
    }
    let ages = [NOW + 11, NOW - 71, NOW - 86_400, 0, i64::MAX];
    for iat in ages.map(|at| json!(at)).into_iter().chain([json!("1800000000"), json!(null)]) {
        assert_eq!(of_claims("iat", iat.clone()), Err(NotAnAnswer::Time), "{iat}");
    }
    assert_eq!(of_claims("exp", json!(NOW)), Err(NotAnAnswer::Time));
    assert_eq!(of_claims("nbf", json!(NOW + 11)), Err(NotAnAnswer::Time));
    for good in [("iat", NOW + 10), ("iat", NOW - 70), ("exp", NOW + 1), ("nbf", NOW + 10)] {
        assert_eq!(of_claims(good.0, json!(good.1)), Ok(Outcome::Active), "{good:?}");
    }
    for name in ["iss", "aud", "iat", "token_introspection"] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        assert!(read(&header(), &without).is_err(), "{name}");
    }
}

#[test]
fn a_stranger_and_somebody_in_the_middle_are_heard_by_nobody() {
    let good = signed(&header(), &claims().to_string(), 1);
    assert_eq!(read_from(&issuer(), &signed(&header(), &claims().to_string(), 2)), Err(NotAnAnswer::Signature));
    for place in 0..good.len() {
        let mut other = good.clone().into_bytes();
        other[place] = if other[place] == b'A' { b'B' } else { b'A' };
        assert!(read_from(&issuer(), &String::from_utf8(other).unwrap()).is_err(), "byte {place}");
    }
    let without = Issuer { keys: None, ..issuer() };
    assert_eq!(read_from(&without, &good), Err(NotAnAnswer::KeysUnavailable));
    // Plain answers, encrypted ones, and others' JWTs.
    let plain = claims()["token_introspection"].to_string();
    for other in [plain.as_str(), "", "a.b.c.d.e", "..", "{}"] {
        assert_eq!(read_from(&issuer(), other), Err(NotAnAnswer::NotSigned), "{other}");
    }
    let twice = format!("{{\"token_introspection\":{{\"active\":false}},{}", &claims().to_string()[1..]);
    assert_eq!(read_from(&issuer(), &signed(&header(), &twice, 1)), Err(NotAnAnswer::NotSigned), "a member twice");
}

#[test]
fn a_signed_answer_is_none_where_plain_ones_are_expected() {
    let mut issuer = issuer();
    let mut rules = issuer.rules.as_ref().clone();
    rules.signed_answers = None;
    issuer.rules = Arc::new(rules);
    let good = signed(&header(), &claims().to_string(), 1);
    assert_eq!(read_from(&issuer, &good), Err(NotAnAnswer::NotAnObject));
}
