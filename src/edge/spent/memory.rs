//! Spent proofs in this process: bounded, sharded, one atomic insert.
//!
//! Entries sit in buckets by the time until which they must be remembered; a bucket is dropped whole when that time has passed, and
//! never before: live entries are not evicted. A proof from before the watermark, or one whose bucket was dropped and whose time a
//! clock set back brings again, cannot be told from a spent one and is refused. One client may take only its share, so that it
//! cannot fill the memory for the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use crate::decision::binding::{Spend, Spending};

/// Locks are held for well under a microsecond; 64 make two cores meet rarely.
const SHARDS: usize = 64;
/// How long a bucket is. Entries live up to this much longer than they must.
const BUCKET_SECONDS: i64 = 32;
/// Clients of a shard that are kept without asking who is gone.
const CLIENTS: usize = 64;

/// Spent proofs in memory.
pub struct Memory {
    /// Keyed per process, so that nobody can choose keys that meet in one shard.
    hasher: RandomState,
    proofs: Vec<Mutex<Shard>>,
    clients: Vec<Mutex<Clients>>,
    entries: AtomicUsize,
    capacity: usize,
    share: usize,
    watermark: AtomicI64,
    swept_at: AtomicI64,
}

/// Bucket number and content, oldest first.
type Buckets<T> = VecDeque<(i64, T)>;

/// The proofs of one bucket.
struct Proofs {
    keys: HashSet<u128, RandomState>,
    /// The latest `made_at` among them.
    made_at: i64,
}

impl Default for Proofs {
    fn default() -> Self {
        Self { keys: HashSet::default(), made_at: i64::MIN }
    }
}

/// A part of the clients, with how many proofs of each are remembered.
struct Clients {
    counts: HashMap<u64, Buckets<usize>, RandomState>,
    /// How many there may be before those are forgotten of whom nothing is remembered.
    tidy_at: usize,
}

impl Default for Clients {
    fn default() -> Self {
        Self { counts: HashMap::default(), tidy_at: CLIENTS }
    }
}

impl Clients {
    /// What a client has taken. Clients come and go, so those who are gone are forgotten, each time that they have doubled.
    fn of(&mut self, client: u64, now: i64) -> &mut Buckets<usize> {
        if self.counts.len() >= self.tidy_at {
            self.forget_idle(now);
            self.tidy_at = self.counts.len().saturating_mul(2).max(CLIENTS);
        }
        let counts = self.counts.entry(client).or_default();
        drop_expired(counts, now, |_, _| ());
        counts
    }

    fn forget_idle(&mut self, now: i64) {
        self.counts.retain(|_, counts| {
            drop_expired(counts, now, |_, _| ());
            !counts.is_empty()
        });
    }
}

/// A part of the remembered proofs.
struct Shard {
    buckets: Buckets<Proofs>,
    /// Of what was dropped: the highest bucket, and the latest `made_at`.
    dropped: (i64, i64),
}

impl Default for Shard {
    fn default() -> Self {
        Self { buckets: VecDeque::new(), dropped: (i64::MIN, i64::MIN) }
    }
}

impl Shard {
    fn remembers(&self, key: u128) -> bool {
        self.buckets.iter().any(|(_, proofs)| proofs.keys.contains(&key))
    }

    /// Whether a proof may be among those that were dropped. While the clock goes forward none can be that is still good.
    fn may_have_dropped(&self, bucket: i64, made_at: i64) -> bool {
        bucket <= self.dropped.0 && made_at <= self.dropped.1
    }
}

impl Memory {
    /// A memory for `capacity` proofs, of which one client may take `share_percent`. Proofs made at or before `watermark` (Unix
    /// seconds) are refused: at start, now and the allowed future skew, because a proof may be dated that far ahead.
    #[must_use]
    pub fn new(capacity: usize, share_percent: u8, watermark: i64) -> Self {
        let share = capacity.saturating_mul(usize::from(share_percent)).checked_div(100).unwrap_or(capacity).max(1);
        Self {
            hasher: RandomState::default(),
            proofs: (0..SHARDS).map(|_| Mutex::default()).collect(),
            clients: (0..SHARDS).map(|_| Mutex::default()).collect(),
            entries: AtomicUsize::new(0),
            capacity,
            share,
            watermark: AtomicI64::new(watermark),
            swept_at: AtomicI64::new(i64::MIN),
        }
    }

    /// Proofs made at or before this time are refused, Unix seconds.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark.load(Ordering::Acquire)
    }

    /// Raises the watermark, if it is lower; whether it was.
    pub fn raise(&self, watermark: i64) -> bool {
        self.watermark.fetch_max(watermark, Ordering::AcqRel) < watermark
    }

    /// How many proofs are remembered.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Remembers a proof, if it is fresh: one atomic step.
    #[must_use]
    pub fn spend(&self, spend: &Spend, now: i64) -> Spending {
        if spend.made_at <= self.watermark() {
            return Spending::Predates;
        }
        // 128 bits of a SHA-256: a collision would refuse a good proof, and nobody will find one.
        let key = spend.key.first_chunk::<16>().map_or(0, |bytes| u128::from_le_bytes(*bytes));
        let bucket = bucket_of(spend.until);
        let Some(mut shard) = lock(&self.proofs, self.hasher.hash_one(key)) else { return Spending::Full };
        self.forget_expired(&mut shard, now);
        if shard.remembers(key) {
            return Spending::Replayed;
        }
        if shard.may_have_dropped(bucket, spend.made_at) {
            return Spending::Predates;
        }
        if self.entries() >= self.capacity {
            drop(shard);
            return self.sweep_and_refuse(now);
        }
        let client = self.hasher.hash_one(&spend.client);
        let Some(mut clients) = lock(&self.clients, client) else { return Spending::Full };
        let counts = clients.of(client, now);
        let taken: usize = counts.iter().map(|(_, count)| *count).sum();
        if taken >= self.share {
            return Spending::ShareExceeded;
        }
        change(counts, bucket, |count| *count = count.saturating_add(1));
        change(&mut shard.buckets, bucket, |proofs| {
            proofs.keys.insert(key);
            proofs.made_at = proofs.made_at.max(spend.made_at);
        });
        self.entries.fetch_add(1, Ordering::Relaxed);
        Spending::Fresh
    }

    fn forget_expired(&self, shard: &mut Shard, now: i64) {
        let Shard { buckets, dropped } = shard;
        drop_expired(buckets, now, |bucket, proofs| {
            self.entries.fetch_sub(proofs.keys.len(), Ordering::Relaxed);
            *dropped = (dropped.0.max(bucket), dropped.1.max(proofs.made_at));
        });
    }

    /// The memory is full, perhaps of entries whose time has passed in shards that nobody asked lately. They are dropped at most
    /// once a second; this proof is refused, the next one finds the room.
    fn sweep_and_refuse(&self, now: i64) -> Spending {
        if self.swept_at.swap(now, Ordering::AcqRel) != now {
            for shard in &self.proofs {
                self.forget_expired(&mut held(shard), now);
            }
            for shard in &self.clients {
                held(shard).forget_idle(now);
            }
        }
        Spending::Full
    }
}

/// The first bucket that ends after `until`.
fn bucket_of(until: i64) -> i64 {
    until.div_euclid(BUCKET_SECONDS).saturating_add(1)
}

fn drop_expired<T>(buckets: &mut Buckets<T>, now: i64, mut dropped: impl FnMut(i64, T)) {
    while buckets.front().is_some_and(|(bucket, _)| bucket.saturating_mul(BUCKET_SECONDS) <= now) {
        if let Some((bucket, content)) = buckets.pop_front() {
            dropped(bucket, content);
        }
    }
}

/// Changes the content of a bucket, made where it belongs in the order if it is not there.
fn change<T: Default>(buckets: &mut Buckets<T>, bucket: i64, change: impl FnOnce(&mut T)) {
    let at = buckets.partition_point(|(number, _)| *number < bucket);
    match buckets.get_mut(at) {
        Some((number, content)) if *number == bucket => change(content),
        _ => {
            let mut content = T::default();
            change(&mut content);
            buckets.insert(at, (bucket, content));
        }
    }
}

fn lock<T>(shards: &[Mutex<T>], hash: u64) -> Option<MutexGuard<'_, T>> {
    let index = usize::try_from(hash.checked_rem(u64::try_from(SHARDS).ok()?)?).ok()?;
    shards.get(index).map(held)
}

/// A thread that panicked under the lock left a whole state: every change is one insert or one removal.
fn held<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::decision::client::ClientId;
    use std::sync::Arc;

    // What every store does is in `tests/stores/suite.rs`; here is what only this one can show.
    const NOW: i64 = 1_800_000_000;

    fn spend(key: u64, client: &str) -> Spend {
        let mut bytes = [0; 32];
        for (byte, from) in bytes.iter_mut().zip(key.to_le_bytes()) {
            *byte = from;
        }
        let client = ClientId { issuer: "https://as.test".into(), id: client.into() };
        Spend { key: bytes, client: client.into(), made_at: NOW, by_nonce: false, until: NOW + 70 }
    }

    fn memory(capacity: usize, share_percent: u8) -> Memory {
        Memory::new(capacity, share_percent, NOW - 1)
    }

    #[test]
    fn dp_40_of_many_at_once_exactly_one_is_fresh() {
        let memory = Arc::new(memory(100_000, 100));
        for key in 0..200 {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let memory = Arc::clone(&memory);
                    std::thread::spawn(move || memory.spend(&spend(key, "a"), NOW))
                })
                .collect();
            let fresh = threads.into_iter().map(|thread| thread.join().unwrap());
            assert_eq!(fresh.filter(|spending| *spending == Spending::Fresh).count(), 1);
        }
    }

    #[test]
    fn an_entry_lives_as_long_as_it_must_and_its_room_comes_back() {
        let memory = memory(1_000, 100);
        let one = spend(1, "a");
        assert_eq!(memory.spend(&one, NOW), Spending::Fresh);
        assert_eq!(memory.spend(&one, one.until), Spending::Replayed, "the last instant still counts");
        assert_eq!(memory.entries(), 1);
        let another = Spend { made_at: NOW + 100, until: NOW + 170, ..one.clone() };
        assert_eq!(memory.spend(&another, one.until + BUCKET_SECONDS), Spending::Fresh);
        assert_eq!(memory.entries(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_brings_no_dropped_proof_to_life() {
        let memory = memory(10_000, 100);
        let one = spend(1, "a");
        assert_eq!(memory.spend(&one, NOW), Spending::Fresh);
        // The clock jumps ahead, every shard is asked and drops it; then the clock is set back into its time.
        for key in 100..2_000 {
            let ahead = Spend { made_at: NOW + 3_600, until: NOW + 3_670, ..spend(key, "a") };
            assert_eq!(memory.spend(&ahead, NOW + 3_600), Spending::Fresh);
        }
        assert_eq!(memory.spend(&one, NOW + 5), Spending::Predates);
        let after = Spend { made_at: NOW + 1, until: NOW + 71, ..one };
        assert_eq!(memory.spend(&after, NOW + 5), Spending::Fresh, "what was made since is not among the dropped");
    }

    #[test]
    fn dp_41_clients_that_are_gone_take_no_room() {
        let memory = memory(1_000_000, 10);
        let mut now = NOW;
        for key in 0..100_000 {
            now = NOW + i64::try_from(key / 100).unwrap();
            let one = Spend { made_at: now, until: now + 70, ..spend(key, &format!("client {key}")) };
            assert_eq!(memory.spend(&one, now), Spending::Fresh);
        }
        let known: usize = memory.clients.iter().map(|shard| held(shard).counts.len()).sum();
        assert!(known < 40_000, "{known} clients are known, of whom about 10,000 have proofs, at {now}");
    }

    #[test]
    fn a_full_memory_refuses_and_recovers_by_itself() {
        let memory = memory(1_000, 100);
        for key in 0..1_000 {
            assert_eq!(memory.spend(&spend(key, "a"), NOW), Spending::Fresh);
        }
        assert_eq!(memory.spend(&spend(1_000, "b"), NOW), Spending::Full);
        assert_eq!(memory.spend(&spend(0, "a"), NOW), Spending::Replayed);
        let later = NOW + 70 + BUCKET_SECONDS;
        let fresh = Spend { made_at: later, until: later + 70, ..spend(2_000, "b") };
        let outcomes = [memory.spend(&fresh, later), memory.spend(&Spend { key: [9; 32], ..fresh }, later)];
        assert!(outcomes.contains(&Spending::Fresh), "{outcomes:?}");
    }
}
