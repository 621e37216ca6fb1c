//! What every suite needs: an issuer, clients with keys and certificates, and good requests to change one thing of.
//!
//! A request is plain data ([`Request`]); it is encoded as Envoy encodes it, by another crate than the one that decodes it
//! ([`wire`]), and judged behind one function ([`judge()`]). Keys are made when the suite starts; nothing here is a secret.
#![allow(dead_code, unused_imports, reason = "each suite uses its part of this module")]

pub mod inventory;
pub mod issuer;
pub mod issuers;
pub mod judge;
pub mod jws;
pub mod keys;
pub mod model;
pub mod pki;
pub mod placeholders;
pub mod policies;
pub mod request;
pub mod revoked;
pub mod setting;
pub mod wire;

pub use issuer::{SaysThis, ServesThis};
pub use judge::{Memory, Outcome, decide, judge, judge_under};
pub use jws::Jws;
pub use keys::{SigningKey, keys, thumbprint};
pub use pki::{Leaf, pki};
pub use request::{
    Good, LIST, Listing, Request, STATUS_HOST, good, good_asked, good_at, good_bearer, good_bearer_at, good_both,
    good_key_set, good_legacy, good_listed, good_listed_by_signer, good_listed_mtls, good_mtls, good_mtls_at,
    good_mtls_by_header, good_mtls_with, good_narrow, good_nonce, good_opaque, good_opaque_at, good_opaque_bearer,
    good_opaque_mtls, good_opaque_nonce, good_second, good_second_at, good_with, status_list,
};
pub use setting::Setting;
pub use wire::Encoding;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The time of the tests, Unix seconds: 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000;

/// base64url without padding (RFC 7515 §2).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text.
pub fn from_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Lower-case hexadecimal.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).expect("a digit")).collect()
}

/// SHA-256 in base64url: `ath`, `x5t#S256`, thumbprints.
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    base64url(digest(&SHA256, bytes.as_ref()))
}

/// An identifier that no other request has: `jti`.
pub fn fresh_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    base64url(bytes)
}
