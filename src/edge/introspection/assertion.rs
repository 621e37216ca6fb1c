//! A client's assertion (RFC 7523 §3): a JWT that is signed for each call, names us and the issuer, and lives for a minute.
//!
//! All that is signed here is signed in this room: a drill's proofs (RFC 9449 §4.2) too. The key is read strictly, and is in no
//! `Debug`, log or message.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::config::AssertionAlgorithm;
use crate::decision::jose::{Map, Value, base64url, base64url_of, parse_object};
use crate::edge::random;

/// How long one lives, seconds.
const LIFE: i64 = 60;

/// Signs assertions.
pub struct Signer {
    pair: Pair,
    algorithm: AssertionAlgorithm,
    key_id: Option<String>,
}

enum Pair {
    Elliptic(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// With the key in a file: PEM (PKCS#8), or a JWK.
    ///
    /// # Errors
    /// Says what is wrong, without a word of the content.
    pub fn read(
        file: &[u8],
        algorithm: Option<AssertionAlgorithm>,
        key_id: Option<&str>,
    ) -> Result<Self, &'static str> {
        let jwk = file.trim_ascii_start().starts_with(b"{").then(|| parse_object(file)).transpose();
        let jwk = jwk.map_err(|_| "this is no JSON object, or one with members that are there twice")?;
        let pair = match &jwk {
            Some(jwk) => Pair::of_jwk(jwk).ok_or("this JWK is no private key of P-256, RSA (2048 bits) or Ed25519")?,
            None => Pair::of_pem(file).ok_or("this is no PKCS#8 key in PEM of P-256, RSA (2048 bits) or Ed25519")?,
        };
        let algorithm = algorithm.unwrap_or(match pair {
            Pair::Elliptic(_) => AssertionAlgorithm::Es256,
            Pair::Rsa(_) => AssertionAlgorithm::Ps256,
            Pair::Ed25519(_) => AssertionAlgorithm::EdDsa,
        });
        let fits = match pair {
            Pair::Elliptic(_) => algorithm == AssertionAlgorithm::Es256,
            Pair::Rsa(_) => matches!(algorithm, AssertionAlgorithm::Ps256 | AssertionAlgorithm::Rs256),
            Pair::Ed25519(_) => algorithm == AssertionAlgorithm::EdDsa,
        };
        if !fits {
            return Err("this key is of another kind than `algorithm`");
        }
        let own = || jwk.as_ref().and_then(|jwk| jwk.get("kid")).and_then(Value::as_str);
        Ok(Self { pair, algorithm, key_id: key_id.or_else(own).map(str::to_owned) })
    }

    /// With a P-256 key that nobody had before; `None` if there are no random bytes.
    #[must_use]
    pub fn fresh() -> Option<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
        Some(Self { pair: Pair::Elliptic(pair), algorithm: AssertionAlgorithm::Es256, key_id: None })
    }

    /// The public key as a JWK, without a word more than what it is; `None` for RSA.
    #[must_use]
    pub fn public_jwk(&self) -> Option<serde_json::Value> {
        match &self.pair {
            Pair::Elliptic(pair) => {
                // SEC 1 §2.3.3: an uncompressed point.
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                Some(json!({"kty": "EC", "crv": "P-256", "x": base64url_of(x), "y": base64url_of(y)}))
            }
            Pair::Ed25519(pair) => {
                Some(json!({"kty": "OKP", "crv": "Ed25519", "x": base64url_of(pair.public_key().as_ref())}))
            }
            Pair::Rsa(_) => None,
        }
    }

    /// An assertion of this client for this audience, made at `now`, Unix seconds; `None` if there are no random bytes.
    #[must_use]
    pub fn assertion(&self, client: &str, audience: &str, now: i64) -> Option<String> {
        let mut header = json!({"typ": "JWT"});
        if let (Some(key_id), Some(header)) = (&self.key_id, header.as_object_mut()) {
            header.insert("kid".to_owned(), key_id.as_str().into());
        }
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": audience,
            "jti": base64url_of(&random::sixteen()?),
            "iat": now,
            "exp": now.saturating_add(LIFE),
        });
        self.signed(header, &claims)
    }

    /// A JWS with these claims and this header, to which `alg` is added; `None` if there are no random bytes.
    #[must_use]
    pub fn signed(&self, mut header: serde_json::Value, claims: &serde_json::Value) -> Option<String> {
        header.as_object_mut()?.insert("alg".to_owned(), name(self.algorithm).into());
        let part = |value: &serde_json::Value| base64url_of(value.to_string().as_bytes());
        let input = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(self.algorithm, input.as_bytes())?;
        Some(format!("{input}.{}", base64url_of(&signature)))
    }
}

const fn name(algorithm: AssertionAlgorithm) -> &'static str {
    match algorithm {
        AssertionAlgorithm::Es256 => "ES256",
        AssertionAlgorithm::Ps256 => "PS256",
        AssertionAlgorithm::Rs256 => "RS256",
        AssertionAlgorithm::EdDsa => "EdDSA",
    }
}

impl Pair {
    fn of_pem(file: &[u8]) -> Option<Self> {
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(file).ok()? else { return None };
        let key = key.secret_pkcs8_der();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key) {
            return Some(Self::Elliptic(pair));
        }
        // Without the public key, as some tools write it.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key) {
            return Some(Self::Ed25519(pair));
        }
        RsaKeyPair::from_pkcs8(key).ok().and_then(Self::rsa)
    }

    /// RFC 7518 §6, RFC 8037 §2.
    fn of_jwk(jwk: &Map) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|text| base64url(text.as_bytes()));
        match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => {
                // SEC 1 §2.3.3: an uncompressed point.
                let public = [&[4][..], &bytes("x")?, &bytes("y")?].concat();
                let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes("d")?, &public);
                pair.ok().map(Self::Elliptic)
            }
            ("OKP", Some("Ed25519")) => {
                Ed25519KeyPair::from_seed_and_public_key(&bytes("d")?, &bytes("x")?).ok().map(Self::Ed25519)
            }
            ("RSA", None) => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n: bytes("n")?, e: bytes("e")? },
                    d: bytes("d")?,
                    p: bytes("p")?,
                    q: bytes("q")?,
                    dP: bytes("dp")?,
                    dQ: bytes("dq")?,
                    qInv: bytes("qi")?,
                };
                RsaKeyPair::from_components(&components).ok().and_then(Self::rsa)
            }
            _ => None,
        }
    }

    fn rsa(pair: RsaKeyPair) -> Option<Self> {
        (pair.public_modulus_len() >= 256).then(|| Self::Rsa(Box::new(pair)))
    }

    fn sign(&self, algorithm: AssertionAlgorithm, input: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Elliptic(pair) => pair.sign(&random, input).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(input).as_ref().to_vec()),
            Self::Rsa(pair) => {
                let padding = if algorithm == AssertionAlgorithm::Rs256 { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, input, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests;
