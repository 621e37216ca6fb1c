//! Keys and certificates from the bytes of files, with a word for the operator when they are not what they should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::certificate::TrustBundle;
use crate::decision::token::{Keyring, KeysRefused};
use crate::edge::files::{self, whole};
use crate::edge::jwks::Feeds;
use crate::problem::Problem;

/// A JWK Set, at most: 128 RSA-8192 keys with certificates stay below it.
pub const KEYS_BYTES: u64 = 1024 * 1024;
/// A nonce key, at most and at least.
pub const NONCE_KEY_BYTES: core::ops::RangeInclusive<u64> = 32..=4096;

/// An issuer's keys.
///
/// # Errors
/// It is no JWK Set with a usable key.
pub fn keyring(path: &Path, bytes: &[u8]) -> Result<Arc<Keyring>, Problem> {
    Keyring::parse(bytes).map(Arc::new).map_err(|denial| {
        let (what, remedy) = match denial {
            KeysRefused::NotAKeySet => {
                ("this is no JWK Set", "write {\"keys\": [...]} without duplicate members (RFC 7517 §5)")
            }
            KeysRefused::TooMany => ("this JWK Set has too many keys", "keep at most 128"),
            KeysRefused::NoneUsable => (
                "no key of this JWK Set can verify a token",
                "give public signature keys: EC P-256 or P-384, RSA of 2048 bits or more, Ed25519",
            ),
        };
        whole(path, what.to_owned(), remedy)
    })
}

/// What client certificates must lead to.
///
/// # Errors
/// It holds no PEM certificates of CAs.
pub fn trust_bundle(path: &Path, bytes: &[u8]) -> Result<Arc<TrustBundle>, Problem> {
    let bundle = TrustBundle::from_pem(bytes).map(Arc::new);
    bundle.map_err(|error| whole(path, error.to_string(), "give PEM certificates of the CAs, intermediates too"))
}

/// The keys of our nonces, the minting one first; one is generated if there is none.
///
/// # Errors
/// A key is too short, or no random bytes can be had.
pub fn nonce_keys(keys: &[(PathBuf, Vec<u8>)]) -> Result<Arc<NonceKeys>, Problem> {
    let mut secrets = Vec::new();
    for (path, key) in keys {
        if !u64::try_from(key.len()).is_ok_and(|length| NONCE_KEY_BYTES.contains(&length)) {
            let what = format!("this nonce key has {} bytes", key.len());
            return Err(whole(path, what, "give 32 to 4096 random bytes"));
        }
        secrets.push(key.clone());
    }
    if secrets.is_empty() {
        let mut generated = vec![0; 32];
        if aws_lc_rs::rand::fill(&mut generated).is_err() {
            return Err(whole(Path::new("nonce key"), "no random bytes could be had".to_owned(), "try again"));
        }
        secrets.push(generated);
    }
    let others = secrets.split_off(1);
    Ok(Arc::new(NonceKeys::new(secrets.first().map(Vec::as_slice).unwrap_or_default(), &others)))
}

/// What fetches keys.
///
/// # Errors
/// `jwks.ca_file` cannot be read or holds no PEM certificates.
pub fn feeds(config: &Config) -> Result<Feeds, Problem> {
    let path = config.jwks.ca_file.as_deref();
    let ca = path.map(|path| files::read(path, files::FILE_BYTES)).transpose()?;
    Feeds::new(config, ca.as_deref()).map_err(|error| {
        let path = path.unwrap_or(Path::new("jwks.ca_file"));
        whole(path, error.to_string(), "give PEM certificates of CAs")
    })
}
