//! Verified tokens in this process: bounded by the memory they take, each until it expires.
//!
//! A flood of tokens that are seen once does not drive out those that are seen again: what is asked for often stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use crate::decision::token::{KnownTokens, SignedToken};
use crate::edge::clock;

/// What an entry takes beside the token's claims: its place in the cache, its sets, its fixed parts.
const ENTRY_BYTES: usize = 1_024;

/// Remembers verified tokens.
pub struct Known(Cache<[u8; 32], Entry>);

#[derive(Clone)]
struct Entry {
    token: Arc<SignedToken>,
    weight: u32,
}

struct UntilItEnds;

impl Expiry<[u8; 32], Entry> for UntilItEnds {
    fn expire_after_create(&self, _: &[u8; 32], entry: &Entry, _: Instant) -> Option<Duration> {
        let left = entry.token.ends_at().saturating_sub(clock::now());
        Some(Duration::from_secs(u64::try_from(left).unwrap_or_default()))
    }
}

impl Known {
    /// A memory of about this size.
    #[must_use]
    pub fn new(mebibytes: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(mebibytes.saturating_mul(1024 * 1024))
            .weigher(|_, entry: &Entry| entry.weight);
        Self(cache.expire_after(UntilItEnds).build())
    }
}

impl KnownTokens for Known {
    fn find(&self, hash: &[u8; 32]) -> Option<Arc<SignedToken>> {
        self.0.get(hash).map(|entry| entry.token)
    }

    fn keep(&self, hash: &[u8; 32], length: usize, token: &Arc<SignedToken>) {
        // Claims that are kept take about twice the text that they come from.
        let weight = u32::try_from(length.saturating_mul(2).saturating_add(ENTRY_BYTES)).unwrap_or(u32::MAX);
        self.0.insert(*hash, Entry { token: Arc::clone(token), weight });
    }
}
