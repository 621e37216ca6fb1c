//! SHA-256, which names tokens, keys, certificates and proofs.

use aws_lc_rs::digest::{Context, SHA256};

/// SHA-256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_of(&[bytes])
}

/// SHA-256 of parts, one after the other.
#[must_use]
pub fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    for (byte, hashed) in digest.iter_mut().zip(context.finish().as_ref()) {
        *byte = *hashed;
    }
    digest
}
