//! Good requests with tokens of other issuers, or of another audience.

use serde_json::json;

use super::super::issuers::{NARROW_AUDIENCE, token_of_key_set, token_of_legacy, token_of_second};
use super::{Good, base, bearer, dpop, host, keys, token};

/// The same with a token of the second issuer.
pub fn good_second() -> Good {
    good_second_at(host::SECOND)
}

/// The same at another API.
pub fn good_second_at(host: &'static str) -> Good {
    base(format!("DPoP at {host}, second issuer"), move || dpop(host, token_of_second(), &keys().client, "ES256"))
}

/// The same with a token of the issuer that has this key set.
pub fn good_key_set(name: &'static str) -> Good {
    base(format!("DPoP, key set {name}"), move || dpop(host::KEYS, token_of_key_set(name), &keys().client, "ES256"))
}

/// The same at the API that wants an audience of its own.
pub fn good_narrow() -> Good {
    base("DPoP, narrow audience".to_owned(), || {
        dpop(host::NARROW, token(), &keys().client, "ES256").token(|token| token.claims["aud"] = json!(NARROW_AUDIENCE))
    })
}

/// The same with a token of the legacy issuer.
pub fn good_legacy() -> Good {
    base("Bearer, legacy issuer".to_owned(), || bearer(host::LEGACY, token_of_legacy()))
}
