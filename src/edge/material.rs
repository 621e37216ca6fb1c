//! Keys and certificates from the bytes of files, with a word for the operator when they are not what they should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use crate::config::{Config, Tls};
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::certificate::TrustBundle;
use crate::decision::token::{KeyRemark, Keyring, KeysRefused};
use crate::edge::door::DoorFiles;
use crate::edge::files::{self, whole};
use crate::problem::Problem;

/// A JWK Set, at most: 128 RSA-8192 keys with certificates stay below it.
pub const KEYS_BYTES: u64 = 1024 * 1024;
/// A nonce key, at most and at least.
pub const NONCE_KEY_BYTES: core::ops::RangeInclusive<u64> = 32..=4096;

/// An issuer's keys, and what is to be said of them.
///
/// # Errors
/// It is no JWK Set with a usable key.
pub fn keyring(path: &Path, bytes: &[u8]) -> Result<(Arc<Keyring>, Vec<Problem>), Problem> {
    let ring = Keyring::parse(bytes).map_err(|refused| {
        let Refusal { at: (line, column), what, remedy } = refusal(bytes, &refused);
        Problem::at(&path.display().to_string(), "", line, column, what, remedy)
    })?;
    let warning = |remark: &KeyRemark| whole(path, remark.to_string(), remark.kind.remedy()).warning();
    let warnings = ring.remarks().iter().map(warning).collect();
    Ok((Arc::new(ring), warnings))
}

/// Why a document is no key set.
pub struct Refusal {
    /// Line and column, from 1.
    pub at: (usize, usize),
    /// What is wrong, without a word of the content.
    pub what: String,
    /// What would be right.
    pub remedy: &'static str,
}

/// What is wrong with a document that was refused as a key set. It is read once more for that, and for nothing else.
#[must_use]
pub fn refusal(document: &[u8], refused: &KeysRefused) -> Refusal {
    let plain = Refusal { at: (1, 1), what: refused.to_string(), remedy: refused.remedy() };
    if *refused != KeysRefused::NotAKeySet {
        return plain;
    }
    let because = |why: &str, remedy| Refusal { at: (1, 1), what: format!("{}: {why}", plain.what), remedy };
    let wrap = "is it the key alone? Wrap it: {\"keys\": [ … ]}";
    match serde_json::from_slice::<Value>(document) {
        Err(error) => {
            let at = (error.line().max(1), error.column().max(1));
            let why = format!("from line {}, column {} on it is not JSON", at.0, at.1);
            Refusal { at, ..because(&why, "give the issuer's public keys as JSON: {\"keys\": [ … ]} (RFC 7517 §5)") }
        }
        Ok(Value::Object(set)) if set.get("keys").is_some_and(Value::is_array) => plain,
        Ok(Value::Object(set)) if set.contains_key("keys") => because("its `keys` is no array", plain.remedy),
        Ok(Value::Object(_)) => because("it has no array `keys`", wrap),
        Ok(Value::Array(_)) => because("it is an array", "name it: {\"keys\": [ … ]}"),
        Ok(_) => because("it is no JSON object", plain.remedy),
    }
}

/// Whether this is a sound JWK Set without a key that verifies a token: its issuer says that it has none.
#[must_use]
pub fn is_withdrawal(document: &[u8]) -> bool {
    matches!(Keyring::parse(document), Err(KeysRefused::NoneUsable(_)))
}

/// Names a set of keys: SHA-256 over the `kid` and thumbprint of each, in whatever order the set has them; in hexadecimal.
#[must_use]
pub fn digest_of(ring: &Keyring) -> String {
    let mut names: Vec<_> = ring.names().map(|(kid, thumbprint)| format!("{kid:?}{thumbprint:?}")).collect();
    names.sort_unstable();
    let digest = digest(&SHA256, names.join("\n").as_bytes());
    digest.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What the files of a TLS listener hold.
///
/// # Errors
/// One of them cannot be read.
pub fn door_files(tls: &Tls) -> Result<DoorFiles, Problem> {
    let read = |path: &PathBuf| files::read(path, files::FILE_BYTES);
    Ok(DoorFiles {
        certificate: read(&tls.certificate)?,
        key: read(&tls.key)?,
        client_ca: tls.client_ca.as_ref().map(read).transpose()?,
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

/// A directory for keys that does not exist costs the next start its keys; it is worth a word before.
#[must_use]
pub fn cache_warning(config: &Config) -> Option<Problem> {
    let path = config.jwks.cache_directory.as_deref()?;
    let what = "this is no directory: fetched keys are not kept for the next start".to_owned();
    let problem = whole(path, what, "make a directory that keybound may write to").warning();
    (!path.is_dir()).then(|| config.where_named(path, problem))
}

/// A journal that cannot be made where it is named; whether one that is there can be read is for the start to find out.
#[must_use]
pub fn journal_problem(config: &Config) -> Option<Problem> {
    let path = config.revocations.journal.as_deref()?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let what = "this file's directory does not exist".to_owned();
    let problem = whole(path, what, "make a directory that keybound may write to");
    (!directory.is_dir()).then(|| config.where_named(path, problem))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn set(keys: &[Value]) -> Vec<u8> {
        json!({ "keys": keys }).to_string().into_bytes()
    }

    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": X})
    }

    #[test]
    fn a_set_without_a_usable_key_says_why_for_each() {
        let told = |keys: &[Value]| keyring(Path::new("keys.json"), &set(keys)).err().unwrap().what;
        let bad = [
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": X, "use": "enc"}),
            json!({"kty": "oct", "k": "AQ"}),
        ];
        assert_eq!(
            told(&bad),
            "no key of this JWK Set can verify a token: \
             keys[0] (kid \"a\") is not for signatures (`use` is not `sig`); \
             keys[1] holds a symmetric key: whoever can read it can sign tokens"
        );
        assert!(told(&vec![json!(1); 100]).ends_with("; and 92 more"));
        assert!(told(&[]).ends_with(": it is empty"));
    }

    #[test]
    fn what_is_no_set_says_what_it_is_instead_and_quotes_nothing() {
        for (document, place, why, remedy) in [
            ("{\n  \"keys\": [hush]\n}", (2, 12), ": from line 2, column 12 on it is not JSON", "as JSON"),
            ("", (1, 1), ": from line 1, column 1 on it is not JSON", "as JSON"),
            ("{\"keys\": [\n", (2, 1), ": from line 2, column 1 on it is not JSON", "as JSON"),
            ("-----BEGIN PUBLIC KEY-----", (1, 2), ": from line 1, column 2 on it is not JSON", "as JSON"),
            ("{\"kty\": \"hush\"}", (1, 1), ": it has no array `keys`", "Wrap it: {\"keys\": [ … ]}"),
            ("{\"keys\": {}}", (1, 1), ": its `keys` is no array", "{\"keys\": [...]}"),
            ("[{\"kty\": \"hush\"}]", (1, 1), ": it is an array", "name it: {\"keys\": [ … ]}"),
            ("\"hush\"", (1, 1), ": it is no JSON object", "{\"keys\": [...]}"),
            ("{\"keys\": [], \"keys\": []}", (1, 1), "", "without duplicate members"),
        ] {
            let told = keyring(Path::new("keys.json"), document.as_bytes()).err().unwrap();
            assert_eq!((told.place.line, told.place.column), place, "{document}");
            assert_eq!(told.what, format!("this is no JWK Set{why}"), "{document}");
            assert!(told.remedy.contains(remedy) && !told.to_string().contains("hush"), "{told}");
        }
    }

    #[test]
    fn what_is_unwise_in_a_usable_set_warns() {
        let private = json!({"kty": "OKP", "crv": "Ed25519", "kid": "b", "x": X, "d": X});
        let (ring, warnings) = keyring(Path::new("keys.json"), &set(&[ed("a"), private])).unwrap();
        assert_eq!(ring.len(), 1);
        let told: Vec<_> = warnings.iter().map(|warning| (warning.is_error(), warning.what.as_str())).collect();
        assert_eq!(told, [(false, "keys[1] (kid \"b\") holds a private key: the issuer's secret is exposed")]);
    }

    #[test]
    fn the_digest_is_of_the_keys_not_of_their_order() {
        let digest = |keys: &[Value]| digest_of(&Keyring::parse(&set(keys)).unwrap());
        assert_eq!(digest(&[ed("a"), ed("b")]), digest(&[ed("b"), ed("a")]));
        assert_ne!(digest(&[ed("a")]), digest(&[ed("b")]));
        assert_eq!(digest(&[ed("a")]).len(), 64);
    }
}
