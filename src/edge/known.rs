//! Verified tokens and certificates that were read, in this process: bounded by the memory they take.
//!
//! Nothing expires here: tokens and certificates are judged for time on every use, and what nobody asks for is pushed out by what
//! comes. A flood of what is seen once does not drive out what is seen again: what is asked for often stays.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::decision::certificate::{KnownCertificates, Leaf};
use crate::decision::token::{IssuedToken, KnownTokens};

/// What an entry takes beside its content: its place in the cache, its hash, the size classes of the allocator.
const ENTRY_BYTES: usize = 256;
/// A certificate with its names, beside three times its text: the text, the certificate, and room.
const LEAF_BYTES: usize = 1_024;
/// An entry is about so large: for how many the cache is laid out.
const USUAL_BYTES: u64 = 1_536;
/// Certificates get this part of the memory, and what policies are told of tokens as much: clients have one certificate, and few of
/// many tokens are busy.
const PART: u64 = 8;

/// Verified tokens, by SHA-256 of their text.
pub struct Tokens {
    signed: Cache<[u8; 32], Arc<IssuedToken>, Weight, RandomState>,
    busy: Mutex<Busy>,
}

/// Certificates, by their text.
pub struct Leaves(Cache<Box<[u8]>, Arc<Leaf>, Weight, RandomState>);

/// What entries take of memory.
#[derive(Clone)]
struct Weight;

impl Weighter<[u8; 32], Arc<IssuedToken>> for Weight {
    fn weight(&self, _: &[u8; 32], token: &Arc<IssuedToken>) -> u64 {
        wide(token.bytes().saturating_add(ENTRY_BYTES))
    }
}

impl Weighter<Box<[u8]>, Arc<Leaf>> for Weight {
    fn weight(&self, text: &Box<[u8]>, _: &Arc<Leaf>) -> u64 {
        wide(text.len().saturating_mul(3).saturating_add(LEAF_BYTES))
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Tokens that keep what policies are told of them, the oldest first. They were seen twice at least, so that a flood of what is seen
/// once is not among them.
struct Busy {
    tokens: VecDeque<Arc<IssuedToken>>,
    bytes: u64,
    room: u64,
}

impl Busy {
    fn push(&mut self, token: Arc<IssuedToken>) {
        self.bytes = self.bytes.saturating_add(told_bytes(&token));
        self.tokens.push_back(token);
        while self.bytes > self.room {
            let Some(oldest) = self.tokens.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(told_bytes(&oldest));
            oldest.forget_told();
        }
    }
}

/// Also those that the cache has forgotten are held here.
fn told_bytes(token: &IssuedToken) -> u64 {
    wide(token.told_bytes().saturating_add(token.bytes()))
}

/// Memories that take about so much together.
#[must_use]
pub fn memories(mebibytes: u64) -> (Arc<Tokens>, Arc<Leaves>) {
    let bytes = mebibytes.saturating_mul(1024 * 1024);
    let part = bytes.checked_div(PART).unwrap_or_default();
    let signed = bytes.saturating_sub(part.saturating_mul(2));
    let usual = |bytes: u64| usize::try_from(bytes.checked_div(USUAL_BYTES).unwrap_or_default()).unwrap_or(usize::MAX);
    let busy = Busy { tokens: VecDeque::new(), bytes: 0, room: part };
    let signed = Cache::with(usual(signed), signed, Weight, RandomState::default(), DefaultLifecycle::default());
    let leaves = Cache::with(usual(part), part, Weight, RandomState::default(), DefaultLifecycle::default());
    (Arc::new(Tokens { signed, busy: Mutex::new(busy) }), Arc::new(Leaves(leaves)))
}

impl KnownTokens for Tokens {
    fn find(&self, hash: &[u8; 32]) -> Option<Arc<IssuedToken>> {
        let token = self.signed.get(hash)?;
        if token.keep_told() {
            self.busy.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&token));
        }
        Some(token)
    }

    fn keep(&self, hash: &[u8; 32], token: &Arc<IssuedToken>) {
        self.signed.insert(*hash, Arc::clone(token));
    }
}

impl KnownCertificates for Leaves {
    fn find(&self, text: &[u8]) -> Option<Arc<Leaf>> {
        self.0.get(text)
    }

    fn keep(&self, text: &[u8], leaf: &Arc<Leaf>) {
        self.0.insert(text.into(), Arc::clone(leaf));
    }
}
