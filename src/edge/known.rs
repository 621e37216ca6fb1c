//! Verified tokens and certificates that were read, in this process: bounded by the memory they take; tokens each until a while after
//! it has expired.
//!
//! A flood of what is seen once does not drive out what is seen again: what is asked for often stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use moka::Expiry;
use moka::sync::Cache;

use crate::decision::certificate::{KnownCertificates, Leaf};
use crate::decision::token::{KnownTokens, SignedToken};
use crate::edge::clock;

/// What an entry takes beside twice its text: its place in the cache, sets, fixed parts. `make bench` measured 4,162 bytes in all for
/// tokens of 900.
const ENTRY_BYTES: usize = 2_400;
/// Certificates get this part of the memory: clients have one, and many tokens.
const CERTIFICATES: u64 = 8;

/// How much longer than it lives a token is remembered, and how long one that had expired before: clients go on with it, and need not
/// cost a signature each time to be told so.
const LATER_SECONDS: i64 = 300;

/// Verified tokens, by SHA-256 of their text.
pub struct Tokens(Cache<[u8; 32], Token, RandomState>);

/// Certificates, by their text.
pub struct Leaves(Cache<Vec<u8>, Arc<Leaf>, RandomState>);

#[derive(Clone)]
struct Token {
    signed: Arc<SignedToken>,
    weight: u32,
}

struct UntilItEnds;

impl Expiry<[u8; 32], Token> for UntilItEnds {
    fn expire_after_create(&self, _: &[u8; 32], token: &Token, _: Instant) -> Option<Duration> {
        let left = token.signed.ends_at().saturating_sub(clock::now()).max(0).saturating_add(LATER_SECONDS);
        Some(Duration::from_secs(u64::try_from(left).unwrap_or_default()))
    }
}

/// Memories that take about so much together.
#[must_use]
pub fn memories(mebibytes: u64) -> (Arc<Tokens>, Arc<Leaves>) {
    let bytes = mebibytes.saturating_mul(1024 * 1024);
    let leaves = bytes.checked_div(CERTIFICATES).unwrap_or_default();
    let tokens = Cache::builder()
        .max_capacity(bytes.saturating_sub(leaves))
        .weigher(|_, token: &Token| token.weight)
        .expire_after(UntilItEnds);
    let certificates =
        Cache::builder().max_capacity(leaves).weigher(|text: &Vec<u8>, _: &Arc<Leaf>| weight(text.len()));
    let (one, two) = (RandomState::default(), RandomState::default());
    (Arc::new(Tokens(tokens.build_with_hasher(one))), Arc::new(Leaves(certificates.build_with_hasher(two))))
}

/// What is kept of a text takes about twice as much as the text.
fn weight(text: usize) -> u32 {
    u32::try_from(text.saturating_mul(2).saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX)
}

impl KnownTokens for Tokens {
    fn find(&self, hash: &[u8; 32]) -> Option<Arc<SignedToken>> {
        self.0.get(hash).map(|token| token.signed)
    }

    fn keep(&self, hash: &[u8; 32], length: usize, token: &Arc<SignedToken>) {
        self.0.insert(*hash, Token { signed: Arc::clone(token), weight: weight(length) });
    }
}

impl KnownCertificates for Leaves {
    fn find(&self, text: &[u8]) -> Option<Arc<Leaf>> {
        self.0.get(text)
    }

    fn keep(&self, text: &[u8], leaf: &Arc<Leaf>) {
        self.0.insert(text.to_vec(), Arc::clone(leaf));
    }
}
