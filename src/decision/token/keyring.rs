//! One issuer's keys, from a JWK Set (RFC 7517 §5). Keys belong to their issuer: a `kid` means nothing elsewhere.

use crate::decision::jose::algorithm::Algorithm;
use crate::decision::jose::{Map, PublicKey, Value, parse_object};
use crate::decision::limits;

/// The usable keys of one issuer.
pub struct Keyring(Vec<IssuerKey>);

struct IssuerKey {
    id: Option<String>,
    /// The one algorithm it may be used with, if the JWK says so (RFC 8725 §3.1).
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysRefused {
    /// Not a JSON object with an array `keys`, or duplicate members.
    NotAKeySet,
    /// More than [`limits::KEYS`] keys.
    TooMany,
    /// Not one usable signature key.
    NoneUsable,
}

impl Keyring {
    /// Reads a JWK Set. A key that we cannot use (encryption, symmetric, unknown curve, malformed) is skipped.
    ///
    /// # Errors
    /// [`KeysRefused`].
    pub fn parse(document: &[u8]) -> Result<Self, KeysRefused> {
        let document = parse_object(document).map_err(|_| KeysRefused::NotAKeySet)?;
        let Some(Value::Array(keys)) = document.get("keys") else { return Err(KeysRefused::NotAKeySet) };
        if keys.len() > limits::KEYS {
            return Err(KeysRefused::TooMany);
        }
        let usable: Vec<_> = keys.iter().filter_map(Value::as_object).filter_map(issuer_key).collect();
        if usable.is_empty() { Err(KeysRefused::NoneUsable) } else { Ok(Self(usable)) }
    }

    /// The keys that may verify a token with this header, at most [`limits::KEY_TRIES`].
    pub fn candidates(&self, key_id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &PublicKey> {
        self.0
            .iter()
            .filter(move |key| key_id.is_none() || key.id.as_deref() == key_id)
            .filter(move |key| key.key.family() == algorithm.family())
            .filter(move |key| key.algorithm.is_none_or(|only| same(only, algorithm)))
            .map(|key| &key.key)
            .take(limits::KEY_TRIES)
    }

    /// How many keys are usable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a set without a usable key is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `EdDSA` and `Ed25519` are two names of one algorithm over the keys we accept.
fn same(one: Algorithm, two: Algorithm) -> bool {
    let ed = |algorithm| matches!(algorithm, Algorithm::EdDsa | Algorithm::Ed25519);
    one == two || (ed(one) && ed(two))
}

fn issuer_key(jwk: &Map) -> Option<IssuerKey> {
    let text = |member: &str| match jwk.get(member) {
        None => Some(None),
        Some(Value::String(text)) => Some(Some(text.as_str())),
        Some(_) => None,
    };
    if text("use")?.is_some_and(|usage| usage != "sig") {
        return None;
    }
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    };
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => Some(Algorithm::from_name(name)?),
    };
    let key = PublicKey::from_jwk(jwk).ok()?;
    let fits = algorithm.is_none_or(|algorithm| algorithm.family() == key.family());
    (verifies && fits).then_some(IssuerKey { id: text("kid")?.map(str::to_owned), algorithm, key })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

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
            with(ed("enc"), "use", json!("enc")),
            with(ed("ops"), "key_ops", json!(["sign"])),
            with(ed("ops2"), "key_ops", json!("verify")),
            with(ed("kty"), "kty", json!("XYZ")),
            with(ed("crv"), "crv", json!("Ed448")),
            with(ed("alg"), "alg", json!("HS256")),
            with(ed("fit"), "alg", json!("ES256")),
            with(ed("private"), "d", json!("AQ")),
            with(ed("number"), "kid", json!(7)),
            json!({"kty": "oct", "k": "AQ", "kid": "oct"}),
            json!("no key"),
        ];
        for key in &bad {
            assert_eq!(ring(std::slice::from_ref(key)).err(), Some(KeysRefused::NoneUsable), "{key}");
        }
        let keys: Vec<_> = bad.into_iter().chain([with(ed("good"), "key_ops", json!(["verify"]))]).collect();
        assert_eq!(ring(&keys).unwrap().len(), 1);
    }

    #[test]
    fn documents_that_are_no_key_set_are_refused() {
        for bad in ["", "[]", "{}", "{\"keys\":{}}", "<html>", "{\"keys\":[],\"keys\":[]}"] {
            assert_eq!(Keyring::parse(bad.as_bytes()).err(), Some(KeysRefused::NotAKeySet), "{bad}");
        }
        assert_eq!(ring(&[]).err(), Some(KeysRefused::NoneUsable));
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
}
