#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Value, json};
use x509_parser::der_parser::der::parse_der;

use super::AssertionAlgorithm::{EdDsa, Es256, Ps256, Rs256};
use super::*;
use crate::decision::jose::algorithm::Algorithm;
use crate::decision::jose::{Compact, Header, PublicKey};

const NOW: i64 = 1_800_000_000;

/// RFC 7515 appendix A.3.
fn elliptic() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "own",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    })
}

/// RFC 8037 appendix A.1.
fn ed25519() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    })
}

/// An RSA key made for the run, in PKCS#8 and as a JWK.
fn rsa(size: KeySize) -> (Vec<u8>, Value) {
    let pair = RsaKeyPair::generate(size).unwrap();
    let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
    let (_, outer) = parse_der(der.as_ref()).unwrap();
    let inner = outer.as_sequence().unwrap()[2].as_slice().unwrap().to_vec();
    let (_, inner) = parse_der(&inner).unwrap();
    let number = |index: usize| {
        let bytes = inner.as_sequence().unwrap()[index].as_slice().unwrap();
        base64url_of(bytes.strip_prefix(&[0]).unwrap_or(bytes))
    };
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk = json!({"kty": "RSA"});
    for (index, name) in names.into_iter().enumerate() {
        jwk[name] = number(index.checked_add(1).unwrap()).into();
    }
    (der.as_ref().to_vec(), jwk)
}

fn pem(der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes()
}

fn public(jwk: &Value) -> PublicKey {
    let names = ["kty", "crv", "x", "y", "n", "e"];
    let members: serde_json::Map<_, _> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), jwk.get(*name)?.clone()))).collect();
    PublicKey::from_jwk(&parse_object(Value::Object(members).to_string().as_bytes()).unwrap()).unwrap()
}

/// What a server reads of an assertion: `alg`, `kid`, claims; the signature is good.
fn read(signer: &Signer, key: &PublicKey) -> (String, Option<String>, Value) {
    let text = signer.assertion("keybound", "https://as.test", NOW).unwrap();
    let jws = Compact::parse(text.as_bytes(), 4_096).unwrap();
    let header = Header::read(&jws.header).unwrap();
    assert!(key.verifies(header.algorithm.unwrap(), jws.signing_input, &jws.signature));
    let algorithm = jws.header.get("alg").unwrap().as_str().unwrap().to_owned();
    (algorithm, header.key_id.map(str::to_owned), serde_json::from_slice(&jws.payload_bytes).unwrap())
}

#[test]
fn in_05_an_assertion_names_us_and_the_issuer_and_lives_for_a_minute() {
    let signer = Signer::read(elliptic().to_string().as_bytes(), None, None).unwrap();
    let (algorithm, key_id, mut claims) = read(&signer, &public(&elliptic()));
    assert_eq!((algorithm.as_str(), key_id.as_deref()), ("ES256", Some("own")));
    let first = claims["jti"].take();
    let expected = json!({
        "iss": "keybound", "sub": "keybound", "aud": "https://as.test", "jti": null, "iat": NOW, "exp": NOW + 60
    });
    assert_eq!(claims, expected);
    assert_eq!(first.as_str().unwrap().len(), 22);
    let (_, _, again) = read(&signer, &public(&elliptic()));
    assert_ne!(again["jti"], first, "each is used once");
}

#[test]
fn in_05_every_kind_of_key_signs_from_a_jwk_and_from_pem() {
    let (der, rsa) = rsa(KeySize::Rsa2048);
    let seed = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = seed.public_key().as_ref();
    let of_pem =
        json!({"kty": "EC", "crv": "P-256", "x": base64url_of(&point[1..33]), "y": base64url_of(&point[33..])});
    let ed = Ed25519KeyPair::generate().unwrap();
    let ed_public = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url_of(ed.public_key().as_ref())});
    let jwk = |value: &Value| value.to_string().into_bytes();
    for (file, algorithm, key, name) in [
        (jwk(&elliptic()), None, elliptic(), "ES256"),
        (pem(seed.to_pkcs8v1().unwrap().as_ref()), Some(Es256), of_pem, "ES256"),
        (jwk(&ed25519()), Some(EdDsa), ed25519(), "EdDSA"),
        (pem(ed.to_pkcs8().unwrap().as_ref()), None, ed_public.clone(), "EdDSA"),
        (pem(ed.to_pkcs8v1().unwrap().as_ref()), None, ed_public, "EdDSA"),
        (jwk(&rsa), None, rsa.clone(), "PS256"),
        (jwk(&rsa), Some(Rs256), rsa.clone(), "RS256"),
        (pem(&der), Some(Ps256), rsa.clone(), "PS256"),
    ] {
        let signer = Signer::read(&file, algorithm, Some("named")).unwrap_or_else(|why| panic!("{name}: {why}"));
        let (signed_with, key_id, _) = read(&signer, &public(&key));
        assert_eq!((signed_with.as_str(), key_id.as_deref()), (name, Some("named")));
    }
    assert!(Algorithm::from_name("PS256").is_some());
}

#[test]
fn in_05_a_key_that_is_none_or_of_another_kind_is_refused() {
    let file = |value: Value| value.to_string().into_bytes();
    let mut public_only = elliptic();
    public_only.as_object_mut().unwrap().remove("d");
    let mut other_public = elliptic();
    other_public["x"] = ed25519()["x"].clone();
    for (bad, algorithm) in [
        (Vec::new(), None),
        (b"secret".to_vec(), None),
        (b"{".to_vec(), None),
        (b"{\"kty\":\"EC\",\"kty\":\"EC\"}".to_vec(), None),
        (pem(b"not a key"), None),
        (file(public_only), None),
        (file(other_public), None),
        (file(json!({"kty": "oct", "k": "AQ"})), None),
        (file(elliptic()), Some(AssertionAlgorithm::EdDsa)),
        (file(ed25519()), Some(AssertionAlgorithm::Es256)),
    ] {
        assert!(Signer::read(&bad, algorithm, None).is_err(), "{}", String::from_utf8_lossy(&bad));
    }
}
