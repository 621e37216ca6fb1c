//! Key pairs made for the run, their JWKs, and thumbprints computed apart from the code under test (RFC 7638).

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

use super::{base64url, sha256};

/// A key pair and its public JWK.
pub struct SigningKey {
    pair: Pair,
    jwk: Value,
}

enum Pair {
    Elliptic(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    pub fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
        Self { jwk: elliptic_jwk("P-256", &pair), pair: Pair::Elliptic(pair) }
    }

    pub fn p384() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a P-384 key");
        Self { jwk: elliptic_jwk("P-384", &pair), pair: Pair::Elliptic(pair) }
    }

    pub fn rsa() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref()).expect("a public key");
        let unsigned = |integer: &[u8]| base64url(integer.strip_prefix(&[0]).unwrap_or(integer));
        let jwk = json!({"kty": "RSA", "n": unsigned(public.modulus), "e": unsigned(public.exponent)});
        Self { pair: Pair::Rsa(pair), jwk }
    }

    pub fn ed25519() -> Self {
        Self::from_ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key"))
    }

    /// A published key.
    pub fn ed25519_from_seed(seed: &[u8]) -> Self {
        Self::from_ed25519(Ed25519KeyPair::from_seed_unchecked(seed).expect("an Ed25519 key"))
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Self {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())});
        Self { pair: Pair::Ed25519(pair), jwk }
    }

    /// For keys that a row makes for itself.
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// The public JWK, without `kid`, `use` or `alg`.
    pub fn jwk(&self) -> Value {
        self.jwk.clone()
    }

    /// The public JWK with a `kid` and more members.
    pub fn jwk_as(&self, kid: &str, more: &Value) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = json!(kid);
        for (name, value) in more.as_object().expect("members") {
            jwk[name] = value.clone();
        }
        jwk
    }

    pub fn thumbprint(&self) -> String {
        thumbprint(&self.jwk)
    }

    /// The `SubjectPublicKeyInfo` in DER: what a public key taken for an HMAC secret looks like.
    pub fn spki(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'static>, _> = match &self.pair {
            Pair::Elliptic(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.expect("a public key").as_ref().to_vec()
    }

    /// A signature with the algorithm of that name; `EdDSA` and `Ed25519` are one.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (&self.pair, algorithm) {
            (Pair::Elliptic(pair), "ES256" | "ES384") => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
            (Pair::Ed25519(pair), "EdDSA" | "Ed25519") => pair.sign(message).as_ref().to_vec(),
            (Pair::Rsa(pair), "RS256" | "PS256") => {
                let padding = if algorithm == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).expect("signed");
                signature
            }
            _ => panic!("this key does not sign with {algorithm}"),
        }
    }
}

fn elliptic_jwk(curve: &str, pair: &EcdsaKeyPair) -> Value {
    // SEC 1 §2.3.3: an uncompressed point.
    let coordinates = &pair.public_key().as_ref()[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
}

/// RFC 7638 §3: the required members, in lexicographic order, without white space.
pub fn thumbprint(jwk: &Value) -> String {
    let required: &[&str] = match jwk["kty"].as_str().expect("kty") {
        "EC" => &["crv", "kty", "x", "y"],
        "RSA" => &["e", "kty", "n"],
        "OKP" => &["crv", "kty", "x"],
        "AKP" => &["alg", "kty", "pub"],
        "oct" => &["k", "kty"],
        other => panic!("no thumbprint for {other}"),
    };
    let members: Vec<_> = required.iter().map(|name| format!("\"{name}\":{}", jwk[name])).collect();
    sha256(format!("{{{}}}", members.join(",")))
}

/// The keys of everybody in the tests.
pub struct Keys {
    /// The authorization server's.
    pub server: SigningKey,
    pub server_rsa: SigningKey,
    pub server_ed25519: SigningKey,
    pub server_p384: SigningKey,
    /// Those of two other issuers.
    pub second: SigningKey,
    pub legacy: SigningKey,
    /// The client's.
    pub client: SigningKey,
    pub client_rsa: SigningKey,
    pub client_ed25519: SigningKey,
    pub client_p384: SigningKey,
    /// Somebody else's, known to nobody.
    pub stranger: SigningKey,
    pub stranger_rsa: SigningKey,
}

/// Made once per run.
pub fn keys() -> &'static Keys {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
        server: SigningKey::p256(),
        server_rsa: SigningKey::rsa(),
        server_ed25519: SigningKey::ed25519(),
        server_p384: SigningKey::p384(),
        second: SigningKey::p256(),
        legacy: SigningKey::p256(),
        client: SigningKey::p256(),
        client_rsa: SigningKey::rsa(),
        client_ed25519: SigningKey::ed25519(),
        client_p384: SigningKey::p384(),
        stranger: SigningKey::p256(),
        stranger_rsa: SigningKey::rsa(),
    });
    &KEYS
}
