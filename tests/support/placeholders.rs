//! Words that stand for what is made anew in each run: so that a text of one run says the same in another.

use serde_json::Value;

use super::{keys, pki, sha256};

/// The hash of the token that a proof goes with.
const ATH: &str = "@ath";

/// Word and text.
fn table() -> Vec<(&'static str, String)> {
    let member = |jwk: &Value, name: &str| jwk[name].as_str().expect("a member").to_owned();
    let client = keys().client.jwk();
    vec![
        ("@jkt", keys().client.thumbprint()),
        ("@x5t", pki().client.thumbprint()),
        ("@other-jkt", keys().stranger.thumbprint()),
        ("@other-x5t", pki().other.thumbprint()),
        ("@hash", pki().client.hash()),
        ("@other-hash", pki().other.hash()),
        ("@cert", pki().client.encoded()),
        ("@bytes", pki().client.byte_sequence()),
        ("@x", member(&client, "x")),
        ("@y", member(&client, "y")),
    ]
}

/// The text with words in the place of what only this run has; `token` is the one that a proof goes with.
pub fn abstracted(text: &[u8], token: &str) -> Vec<u8> {
    let text = replaced(text, sha256(token).as_bytes(), ATH.as_bytes());
    table().iter().fold(text, |text, (word, actual)| replaced(&text, actual.as_bytes(), word.as_bytes()))
}

/// The text with what this run has in the place of the words.
pub fn filled(text: &[u8], token: &str) -> Vec<u8> {
    let text = replaced(text, ATH.as_bytes(), sha256(token).as_bytes());
    table().iter().fold(text, |text, (word, actual)| replaced(&text, word.as_bytes(), actual.as_bytes()))
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from) {
            replaced.extend_from_slice(to);
            rest = after;
        } else {
            replaced.push(*first);
            rest = after;
        }
    }
    replaced
}
