//! One issuer's keys, from a JWK Set (RFC 7517 §5). Keys belong to their issuer: a `kid` means nothing elsewhere.

mod remark;
#[cfg(test)]
mod tests;

pub use remark::{KeyRemark, RemarkKind};

use std::sync::Arc;

use crate::decision::jose::algorithm::Algorithm;
use crate::decision::jose::{Map, PublicKey, Value, parse_object};
use crate::decision::limits;

/// The usable keys of one issuer.
#[derive(PartialEq, Eq)]
pub struct Keyring {
    keys: Vec<IssuerKey>,
    remarks: Vec<KeyRemark>,
}

#[derive(PartialEq, Eq)]
struct IssuerKey {
    id: Option<Arc<str>>,
    /// The one algorithm it may be used with, if the JWK says so (RFC 8725 §3.1).
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

/// Why a document is no key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysRefused {
    /// Not a JSON object with an array `keys`, or duplicate members.
    NotAKeySet,
    /// More than [`limits::KEYS`] keys.
    TooMany,
    /// Not one usable signature key, and why for each.
    NoneUsable(Vec<KeyRemark>),
}

impl Keyring {
    /// Reads a JWK Set. A key that we cannot use (encryption, symmetric, unknown curve, malformed) is skipped, with a remark.
    ///
    /// # Errors
    /// [`KeysRefused`].
    pub fn parse(document: &[u8]) -> Result<Self, KeysRefused> {
        let document = parse_object(document).map_err(|_| KeysRefused::NotAKeySet)?;
        let Some(Value::Array(keys)) = document.get("keys") else { return Err(KeysRefused::NotAKeySet) };
        if keys.len() > limits::KEYS {
            return Err(KeysRefused::TooMany);
        }
        let (mut usable, mut remarks) = (Vec::new(), Vec::new());
        for (index, jwk) in keys.iter().enumerate() {
            let read = jwk.as_object().ok_or(RemarkKind::NoObject).and_then(issuer_key);
            let remark = match read {
                Ok(key) => {
                    let unnamed = key.id.is_none().then_some(RemarkKind::Unnamed);
                    usable.push(key);
                    unnamed
                }
                Err(remark) => Some(remark),
            };
            let kid = || jwk.as_object()?.get("kid")?.as_str().map(str::to_owned);
            remarks.extend(remark.map(|kind| KeyRemark { index, kid: kid(), kind }));
        }
        if usable.is_empty() { Err(KeysRefused::NoneUsable(remarks)) } else { Ok(Self { keys: usable, remarks }) }
    }

    /// That of an issuer whose tokens are never signed: no token can be verified with it.
    #[must_use]
    pub fn without_keys() -> Self {
        Self { keys: Vec::new(), remarks: Vec::new() }
    }

    /// What is to be said of its keys, in their order: those that are not used, and those that have no `kid`.
    #[must_use]
    pub fn remarks(&self) -> &[KeyRemark] {
        &self.remarks
    }

    /// Each usable key: its `kid` and its thumbprint (RFC 7638).
    pub fn names(&self) -> impl Iterator<Item = (Option<&str>, &[u8; 32])> {
        self.keys.iter().map(|key| (key.id.as_deref(), key.key.thumbprint()))
    }

    /// The keys that may verify a token with this header, each with its `kid`, at most [`limits::KEY_TRIES`].
    pub fn candidates(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = (Option<&Arc<str>>, &PublicKey)> {
        self.keys
            .iter()
            .filter(move |key| key_id.is_none() || key.id.as_deref() == key_id)
            .filter(move |key| key.key.family() == algorithm.family())
            .filter(move |key| key.algorithm.is_none_or(|only| same(only, algorithm)))
            .map(|key| (key.id.as_ref(), &key.key))
            .take(limits::KEY_TRIES)
    }

    /// How many keys are usable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it is that of an issuer whose tokens are never signed: a set without a usable key is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// `EdDSA` and `Ed25519` are two names of one algorithm over the keys we accept.
fn same(one: Algorithm, two: Algorithm) -> bool {
    let ed = |algorithm| matches!(algorithm, Algorithm::EdDsa | Algorithm::Ed25519);
    one == two || (ed(one) && ed(two))
}

fn issuer_key(jwk: &Map) -> Result<IssuerKey, RemarkKind> {
    let text = |member: &'static str| match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(RemarkKind::WrongType(member)),
    };
    // First, so that a secret is told of whatever else is wrong with the key.
    let key = PublicKey::from_jwk(jwk).map_err(|denial| RemarkKind::of_denial(denial, jwk));
    if let Err(secret @ (RemarkKind::Private | RemarkKind::Symmetric)) = key {
        return Err(secret);
    }
    if text("use")?.is_some_and(|usage| usage != "sig") {
        return Err(RemarkKind::OtherUse);
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation.as_str() == Some("verify")) => {}
        Some(Value::Array(_)) => return Err(RemarkKind::OtherOperations),
        Some(_) => return Err(RemarkKind::WrongType("key_ops")),
    }
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or(RemarkKind::Algorithm)?),
    };
    let key = key?;
    if algorithm.is_some_and(|algorithm| algorithm.family() != key.family()) {
        return Err(RemarkKind::AlgorithmMisfit);
    }
    Ok(IssuerKey { id: text("kid")?.map(Arc::from), algorithm, key })
}
