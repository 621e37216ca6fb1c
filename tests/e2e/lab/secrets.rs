//! What must never be written anywhere: every token, proof, private key and certificate of the run, and a search for any part of
//! one.
//!
//! Each secret is cut into pieces of [`PIECE`] bytes; a text that repeats twice that many characters of it holds a whole piece.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{LazyLock, RwLock};

/// Shorter runs may be chance, or a name: thumbprints and ids are told on purpose.
const PIECE: usize = 20;

struct Secrets {
    hasher: RandomState,
    pieces: RwLock<HashSet<u64>>,
}

static SECRETS: LazyLock<Secrets> = LazyLock::new(|| Secrets { hasher: RandomState::new(), pieces: RwLock::default() });

/// From now on this text may be written nowhere. Called before it is sent to anybody.
pub fn keep(secret: impl AsRef<[u8]>) {
    let mut pieces = SECRETS.pieces.write().expect("no panic while adding");
    // A JWS in its parts, PEM line by line: what is quoted may begin at either.
    for part in secret.as_ref().split(|byte| matches!(byte, b'.' | b'\n' | b' ')) {
        if !part.starts_with(b"-----") {
            pieces.extend(part.chunks_exact(PIECE).map(|piece| SECRETS.hasher.hash_one(piece)));
        }
    }
}

/// Where the first secret is in a text.
pub fn find(text: &[u8]) -> Option<usize> {
    let pieces = SECRETS.pieces.read().expect("no panic while adding");
    text.windows(PIECE).position(|window| pieces.contains(&SECRETS.hasher.hash_one(window)))
}

/// How many pieces are looked for.
pub fn count() -> usize {
    SECRETS.pieces.read().expect("no panic while adding").len()
}
