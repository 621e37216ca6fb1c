//! What the fuzz targets share: requests that are good but for the fuzzer's part, and how they are judged.
//!
//! Each target holds a property that is stronger than not to panic: what is allowed must be good by a second reading. Texts hold words
//! for the keys of the run (`tests/support/placeholders.rs`) and are signed here, so that the fuzzer gets behind the signature.

#[path = "../../tests/support/mod.rs"]
#[allow(clippy::all, reason = "checked where it belongs")]
pub mod support;

use serde_json::Value;
use support::placeholders::filled;
use support::{Encoding, Good, Jws, Memory, NOW, Outcome, judge};

/// Judges a request with a memory of its own.
pub fn judged(good: &Good) -> Outcome {
    judge(&good.build(), Encoding::Raw, &Memory::new(10, 100), NOW)
}

/// Whether it goes on to the API.
pub fn allowed(good: &Good) -> bool {
    judged(good).status == 200
}

/// The token of a good request, as it was signed.
pub fn token_of(good: &Good) -> String {
    let mut token = String::new();
    let _ = good.clone().token(|jws| token = jws.compact());
    token
}

/// Header and payload of the fuzzer, a line each, in the place of the JWS's own; the key is the one that may sign.
pub fn with_parts(jws: &mut Jws, data: &[u8], token: &str) {
    let (header, payload) = parts(data, token);
    jws.replace_header(move |_| header.clone());
    jws.replace_claims(move |_| payload.clone());
}

/// Header and payload of the fuzzer.
pub fn parts(data: &[u8], token: &str) -> (Vec<u8>, Vec<u8>) {
    let data = filled(data, token);
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    (data[..at].to_vec(), data.get(at + 1..).unwrap_or_default().to_vec())
}

/// JSON as a lenient reader takes it.
pub fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_default()
}
