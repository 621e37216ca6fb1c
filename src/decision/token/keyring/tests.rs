#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;
use serde_json::{Value, json};

fn ed(kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut jwk: Value, member: &str, value: Value) -> Value {
    if let Some(map) = jwk.as_object_mut() {
        map.insert(member.to_owned(), value);
    }
    jwk
}

fn ring(keys: &[Value]) -> Result<Keyring, KeysRefused> {
    Keyring::parse(json!({"keys": keys}).to_string().as_bytes())
}

#[test]
fn jw_09_unusable_keys_are_skipped_and_the_rest_stays_usable() {
    let bad = [
        (with(ed("enc"), "use", json!("enc")), RemarkKind::OtherUse),
        (with(ed("use"), "use", json!(1)), RemarkKind::WrongType("use")),
        (with(ed("ops"), "key_ops", json!(["sign"])), RemarkKind::OtherOperations),
        (with(ed("ops2"), "key_ops", json!("verify")), RemarkKind::WrongType("key_ops")),
        (with(ed("kty"), "kty", json!("XYZ")), RemarkKind::Kind),
        (with(ed("crv"), "crv", json!("Ed448")), RemarkKind::Curve),
        (with(ed("alg"), "alg", json!("HS256")), RemarkKind::Algorithm),
        (with(ed("fit"), "alg", json!("ES256")), RemarkKind::AlgorithmMisfit),
        (with(ed("private"), "d", json!("AQ")), RemarkKind::Private),
        (with(with(ed("both"), "d", json!("AQ")), "use", json!("enc")), RemarkKind::Private),
        (with(ed("number"), "kid", json!(7)), RemarkKind::WrongType("kid")),
        (with(ed("x"), "x", json!("AQ")), RemarkKind::Malformed),
        (json!({"kty": "oct", "k": "AQ", "kid": "oct"}), RemarkKind::Symmetric),
        (rsa(128), RemarkKind::RsaBits(1024)),
        (rsa(2048), RemarkKind::RsaBits(16_384)),
        (json!("no key"), RemarkKind::NoObject),
    ];
    for (key, kind) in &bad {
        let Err(KeysRefused::NoneUsable(remarks)) = ring(std::slice::from_ref(key)) else { panic!("{key}") };
        assert_eq!(remarks.iter().map(|remark| remark.kind).collect::<Vec<_>>(), [*kind], "{key}");
    }
    let good = with(ed("good"), "key_ops", json!(["verify"]));
    let keys: Vec<_> = bad.iter().map(|(key, _)| key.clone()).chain([good]).collect();
    let ring = ring(&keys).unwrap();
    assert_eq!(ring.len(), 1);
    let told: Vec<_> = ring.remarks().iter().map(|remark| (remark.index, remark.kind)).collect();
    assert_eq!(told, bad.iter().map(|(_, kind)| *kind).enumerate().collect::<Vec<_>>());
}

/// An RSA key whose modulus has so many bytes.
fn rsa(bytes: usize) -> Value {
    let modulus = crate::decision::jose::base64url_of(&vec![0xff; bytes]);
    json!({"kty": "RSA", "kid": "rsa", "e": "AQAB", "n": modulus})
}

#[test]
fn a_key_without_a_kid_is_used_and_told_of() {
    let mut unnamed = ed("");
    unnamed.as_object_mut().unwrap().remove("kid");
    let ring = ring(&[ed("a"), unnamed]).unwrap();
    assert_eq!(ring.len(), 2);
    assert_eq!(ring.remarks(), [KeyRemark { index: 1, kid: None, kind: RemarkKind::Unnamed }]);
    // It verifies what names no key, and nothing that names one.
    assert_eq!(ring.candidates(None, Algorithm::EdDsa).count(), 2);
    assert_eq!(ring.candidates(Some("a"), Algorithm::EdDsa).count(), 1);
}

#[test]
fn a_remark_names_its_key_and_quotes_little_of_it() {
    let told = |kid: &str| KeyRemark { index: 3, kid: Some(kid.to_owned()), kind: RemarkKind::Private }.to_string();
    assert_eq!(told("a"), r#"keys[3] (kid "a") holds a private key: the issuer's secret is exposed"#);
    let long = told(&format!("\n{}", "x".repeat(10_000)));
    assert!(long.len() < 200 && !long.contains('\n'), "{long}");
}

#[test]
fn documents_that_are_no_key_set_are_refused() {
    for bad in ["", "[]", "{}", "{\"keys\":{}}", "<html>", "{\"keys\":[],\"keys\":[]}"] {
        assert_eq!(Keyring::parse(bad.as_bytes()).err(), Some(KeysRefused::NotAKeySet), "{bad}");
    }
    assert_eq!(ring(&[]).err(), Some(KeysRefused::NoneUsable(Vec::new())));
    let many: Vec<_> = (0..=limits::KEYS).map(|index| ed(&index.to_string())).collect();
    assert_eq!(ring(&many).err(), Some(KeysRefused::TooMany));
}

#[test]
fn jw_10_candidates_fit_kid_family_and_algorithm_and_are_few() {
    let ring = ring(&[ed("a"), ed("a"), with(ed("b"), "alg", json!("EdDSA")), ed("c"), ed("d"), ed("e")]).unwrap();
    let count = |kid, algorithm| ring.candidates(kid, algorithm).count();
    assert_eq!(count(Some("a"), Algorithm::EdDsa), 2);
    assert_eq!(count(Some("b"), Algorithm::Ed25519), 1);
    assert_eq!(count(Some("x"), Algorithm::EdDsa), 0);
    assert_eq!(count(Some("a"), Algorithm::Es256), 0);
    assert_eq!(count(None, Algorithm::EdDsa), limits::KEY_TRIES);
}
