//! V: what the signature of a token or proof costs and nobody can avoid. The public key is parsed and the signature verified with
//! aws-lc-rs, over the very bytes that tokens and proofs of this run have, in this process on the server's core.

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::process::Cores;
use crate::world::support::from_base64url;
use crate::world::tokens::proof;
use crate::world::{Algorithm, Client, party, token};

/// Signatures that are verified for one figure.
const TIMES: usize = 4_000;

/// CPU time of one, µs.
#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "a small count")]
pub fn cost(algorithm: Algorithm, cores: &Cores) -> f64 {
    let (texts, jwk) = signed(algorithm);
    let parts: Vec<_> = texts.iter().map(|text| split(text)).collect();
    let jwk = Public::of(&jwk);
    cores.run(|| {
        let begun = thread_cpu();
        for (message, signature) in parts.iter().cycle().take(TIMES) {
            jwk.verify(message, signature);
        }
        thread_cpu().saturating_sub(begun).as_secs_f64() * 1e6 / TIMES as f64
    })
}

/// RS256 signs tokens; the others sign proofs.
fn signed(algorithm: Algorithm) -> (Vec<String>, Value) {
    let client = match algorithm {
        Algorithm::Rs256 => {
            let tokens = (0..50).map(|_| token(Client::Certificate, algorithm)).collect();
            return (tokens, party().issuer_key(algorithm).jwk());
        }
        Algorithm::Es256 => Client::DpopEs256,
        Algorithm::EdDsa => Client::DpopEdDsa,
    };
    let token = token(client, Algorithm::Es256);
    ((0..50).map(|_| proof(client, &token)).collect(), client.key().jwk())
}

fn split(text: &str) -> (Vec<u8>, Vec<u8>) {
    let (message, signature) = text.rsplit_once('.').expect("a signature");
    (message.as_bytes().to_vec(), from_base64url(signature))
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A public key as a JWK has it, its members decoded.
enum Public {
    Point(Vec<u8>),
    Edwards(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Public {
    fn of(jwk: &Value) -> Self {
        let member = |name: &str| from_base64url(jwk[name].as_str().expect("a member"));
        match jwk["kty"].as_str() {
            Some("EC") => Self::Point([vec![4], member("x"), member("y")].concat()),
            Some("OKP") => Self::Edwards(member("x")),
            _ => Self::Rsa { n: member("n"), e: member("e") },
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) {
        let verified = match self {
            Self::Point(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Self::Edwards(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.expect("a good signature");
    }
}
