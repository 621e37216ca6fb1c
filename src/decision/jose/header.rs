//! The members of a JOSE header that every reader must judge (RFC 7515 §4.1).

use super::algorithm::Algorithm;
use super::json::{Map, Value};
use crate::decision::limits;

/// A header, judged as far as it can be without knowing what the JWS is for.
pub struct Header<'h> {
    /// `alg`, or `None` for a name that we do not know or never allow.
    pub algorithm: Option<Algorithm>,
    /// `typ` as sent.
    pub token_type: Option<&'h str>,
    /// `kid`.
    pub key_id: Option<&'h str>,
    /// `crit`, `b64` or `zip` is present in any form: an extension is asked for, and we understand none
    /// (RFC 7515 §4.1.11, RFC 7797 §7, RFC 8725 §3.6).
    pub asks_for_extension: bool,
}

/// A member that must be a string is none, or is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderMalformed;

impl<'h> Header<'h> {
    /// Reads a header. `jku`, `x5u`, `x5c` and any other member are never used.
    ///
    /// # Errors
    /// [`HeaderMalformed`]: no `alg`, or `alg`, `typ` or `kid` is not a string, or `kid` is too long.
    pub fn read(header: &'h Map) -> Result<Self, HeaderMalformed> {
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(HeaderMalformed),
        };
        let key_id = text("kid")?;
        if key_id.is_some_and(|kid| kid.len() > limits::KID_BYTES) {
            return Err(HeaderMalformed);
        }
        Ok(Self {
            algorithm: Algorithm::from_name(text("alg")?.ok_or(HeaderMalformed)?),
            token_type: text("typ")?,
            key_id,
            asks_for_extension: ["crit", "b64", "zip"].iter().any(|name| header.contains_key(name)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn map(value: serde_json::Value) -> Map {
        let Value::Object(map) = value.into() else { panic!("an object") };
        map
    }

    #[test]
    fn members_of_the_wrong_type_are_malformed() {
        for bad in [
            json!({}),
            json!({"alg": 1}),
            json!({"alg": true}),
            json!({"alg": null}),
            json!({"alg": "ES256", "typ": 1}),
            json!({"alg": "ES256", "kid": 1}),
            json!({"alg": "ES256", "kid": "k".repeat(limits::KID_BYTES + 1)}),
        ] {
            assert!(Header::read(&map(bad.clone())).is_err(), "{bad}");
        }
        let good = map(json!({"alg": "ES256", "kid": "../../x", "jku": "https://evil.test", "x5c": []}));
        assert_eq!(Header::read(&good).unwrap().algorithm, Some(Algorithm::Es256));
    }

    #[test]
    fn any_crit_b64_or_zip_asks_for_an_extension() {
        for bad in [json!(["foo"]), json!([]), json!("exp"), json!(["alg"]), json!(1), json!(null)] {
            let header = map(json!({"alg": "ES256", "crit": bad}));
            assert!(Header::read(&header).unwrap().asks_for_extension);
        }
        for name in ["b64", "zip"] {
            let header = map(json!({"alg": "ES256", name: false}));
            assert!(Header::read(&header).unwrap().asks_for_extension);
        }
        let plain = map(json!({"alg": "ES256"}));
        assert!(!Header::read(&plain).unwrap().asks_for_extension);
    }
}
