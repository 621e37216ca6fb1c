#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::decision::jose::parse_object;

fn key(jwk: &Value) -> Result<PublicKey, KeyDenial> {
    PublicKey::from_jwk(&parse_object(jwk.to_string().as_bytes()).unwrap())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// RFC 7638 §3.1.
fn rfc7638() -> Value {
    json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    })
}

/// RFC 8037 Appendix A.2 and A.3.
fn rfc8037() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// RFC 9449 §4.1, the key of the example proof, whose thumbprint is in §6.1.
fn rfc9449() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"})
}

#[test]
fn tp_01_thumbprints_are_those_of_the_rfcs() {
    let of = |jwk| encode(key(&jwk).ok().unwrap().thumbprint());
    assert_eq!(of(rfc7638()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(of(rfc8037()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(of(rfc9449()), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn tp_02_other_members_do_not_change_the_thumbprint() {
    let mut jwk = rfc9449();
    jwk["kid"] = json!("x");
    jwk["use"] = json!("sig");
    jwk["x5u"] = json!("https://evil.test/");
    assert_eq!(key(&jwk).ok().unwrap().thumbprint(), key(&rfc9449()).ok().unwrap().thumbprint());
}

#[test]
fn dp_07_each_private_member_alone_refuses_the_key() {
    for good in [rfc7638(), rfc8037(), rfc9449()] {
        assert!(key(&good).is_ok());
        for member in PRIVATE_MEMBERS {
            for junk in [json!("AQ"), json!(null), json!(1)] {
                let mut jwk = good.clone();
                jwk[member] = junk;
                assert_eq!(key(&jwk).err(), Some(KeyDenial::Private), "{member}");
            }
        }
    }
    assert_eq!(key(&json!({"kty": "oct"})).err(), Some(KeyDenial::Private));
}

#[test]
fn dp_07b_points_off_the_curve_and_of_wrong_length_are_refused() {
    let zero = encode(&[0; 32]);
    for (member, value) in [
        ("x", zero.clone()),
        ("y", zero.clone()),
        ("x", encode(&[0; 31])),
        ("x", encode(&[0; 33])),
        ("x", String::new()),
        ("x", format!("{}=", rfc9449()["x"].as_str().unwrap())),
        ("crv", "P-384".to_owned()),
    ] {
        let mut jwk = rfc9449();
        jwk[member] = json!(value);
        assert_eq!(key(&jwk).err(), Some(KeyDenial::Malformed), "{member}");
    }
    assert_eq!(key(&json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero})).err(), Some(KeyDenial::Malformed));
    assert_eq!(
        key(&json!({"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ"})).err(),
        Some(KeyDenial::Unsupported)
    );
}

#[test]
fn dp_07b_weak_rsa_is_refused() {
    for (member, value) in [
        ("e", encode(&[1])),
        ("e", encode(&[4])),
        ("e", encode(&[0, 1, 0, 1])),
        ("e", encode(&[1, 0, 0, 0, 1])),
        ("e", String::new()),
        ("n", encode(&[0xff; 128])),
        ("n", encode(&[0xff; 1025])),
        ("n", encode(&[&[0], &[0xff; 256][..]].concat())),
        ("n", String::new()),
    ] {
        let mut jwk = rfc7638();
        jwk[member] = json!(value);
        assert_eq!(key(&jwk).err(), Some(KeyDenial::Malformed), "{member}");
    }
}

#[test]
fn dp_07b_small_order_and_non_canonical_ed25519_points_are_refused() {
    for point in SMALL_ORDER {
        for sign in [0, 0x80] {
            let mut point = point;
            point[31] |= sign;
            assert!(key(&json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&point)})).is_err());
        }
    }
    for lowest in 0xed..=0xff {
        let mut point = [0xff; 32];
        point[0] = lowest;
        point[31] = 0x7f;
        assert!(!sound_ed25519(point), "{lowest:x}");
    }
    assert_eq!(key(&json!({"kty": "OKP", "crv": "X25519", "x": encode(&[9; 32])})).err(), Some(KeyDenial::Unsupported));
}

#[test]
fn tp_03_a_required_member_that_is_missing_or_no_string_is_refused() {
    for (good, members) in [
        (rfc7638(), vec!["kty", "n", "e"]),
        (rfc8037(), vec!["kty", "crv", "x"]),
        (rfc9449(), vec!["kty", "crv", "x", "y"]),
    ] {
        for member in members {
            for value in [json!(null), json!(1), json!(["x"])] {
                let mut jwk = good.clone();
                jwk[member] = value;
                assert_eq!(key(&jwk).err(), Some(KeyDenial::Malformed), "{member}");
            }
        }
    }
}

#[test]
fn a_signature_is_good_only_with_its_key_message_and_algorithm() {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])});
    let public = key(&jwk).ok().unwrap();
    let signature = pair.sign(&random, b"message").unwrap();
    assert!(public.verifies(Algorithm::Es256, b"message", signature.as_ref()));
    assert!(!public.verifies(Algorithm::Es256, b"massage", signature.as_ref()));
    assert!(!public.verifies(Algorithm::Es384, b"message", signature.as_ref()));
    assert!(!public.verifies(Algorithm::Ed25519, b"message", signature.as_ref()));
    assert!(!public.verifies(Algorithm::Es256, b"message", &[0; 64]), "CVE-2022-21449");
    assert!(!public.verifies(Algorithm::Es256, b"message", &signature.as_ref()[..63]));
    assert!(!public.verifies(Algorithm::Es256, b"message", &[signature.as_ref(), &[0]].concat()));

    let pair = Ed25519KeyPair::generate().unwrap();
    let public = key(&json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})).ok().unwrap();
    let signature = pair.sign(b"message");
    for algorithm in [Algorithm::EdDsa, Algorithm::Ed25519] {
        assert!(public.verifies(algorithm, b"message", signature.as_ref()));
    }
    assert!(!public.verifies(Algorithm::Es256, b"message", signature.as_ref()));
}

#[test]
fn an_ed25519_signature_with_s_plus_the_group_order_is_refused() {
    // L, little-endian (RFC 8032 §5.1).
    let order: [u8; 32] = hex32(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = key(&json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})).ok().unwrap();
    let mut signature = pair.sign(b"message").as_ref().to_vec();
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert!(!public.verifies(Algorithm::Ed25519, b"message", &signature));
}
