//! The list of what is revoked: small marks, found by what they name. Who asked, when and why is kept by who fills it.
//!
//! It changes while it is read: what is revoked is refused from the next look on, in checks that are under way too. The same target
//! may be named by several entries; each is taken back by its own id alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::quality::RandomState;

use crate::decision::revocation::{Bearer, EntryId, Kind, Mark, Name, Revocations, Target};

/// Readers on two cores meet rarely, and who writes holds up a sixty-fourth of them.
const SHARDS: usize = 64;

/// The list. Keyed hashes stand for the names, so that an entry is small: two names meet once in 2^128, and nobody can choose which.
pub struct RevocationList {
    hashers: [RandomState; 2],
    shards: [RwLock<Shard>; SHARDS],
    /// How many marks there are of each kind: what is not there is not looked for.
    kinds: [AtomicUsize; Kind::ALL.len()],
    sources: Box<[Arc<Source>]>,
    /// Those on which nothing depends but what is told.
    told: Box<[Arc<Source>]>,
}

type Shard = HashMap<u128, Marks, RandomState>;

/// The marks on one target: mostly one.
struct Marks {
    first: Mark,
    more: Box<[Mark]>,
}

/// Where the marks on a target are: smaller than the target, and enough to take one back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    key: [u8; 16],
    kind: Kind,
}

/// Somebody who fills the list from elsewhere: until when what it said last is good.
pub struct Source(AtomicI64);

impl Source {
    /// One that has said nothing yet: the list is stale.
    #[must_use]
    pub fn silent() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(i64::MIN)))
    }

    /// The list is complete, as far as this source goes, until then (Unix seconds).
    pub fn good_until(&self, time: i64) {
        self.0.store(time, Ordering::Release);
    }

    fn is_silent(&self, now: i64) -> bool {
        now > self.0.load(Ordering::Acquire)
    }
}

impl Marks {
    fn all(&self) -> impl Iterator<Item = &Mark> {
        core::iter::once(&self.first).chain(&self.more)
    }
}

impl RevocationList {
    /// An empty list that these sources fill. It is stale while one of them is; without any it never is.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = Arc<Source>>) -> Self {
        Self {
            hashers: [RandomState::default(), RandomState::default()],
            shards: core::array::from_fn(|_| RwLock::default()),
            kinds: Default::default(),
            sources: sources.into_iter().collect(),
            told: Box::default(),
        }
    }

    /// The same, where it is told of these sources when they are silent, and no more.
    #[must_use]
    pub fn telling_of(mut self, sources: impl IntoIterator<Item = Arc<Source>>) -> Self {
        self.told = sources.into_iter().collect();
        self
    }

    /// How many marks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.iter().map(|count| count.load(Ordering::Relaxed)).fold(0, usize::saturating_add)
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are of one kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.kinds.get(kind.place()).map_or(usize::MAX, |count| count.load(Ordering::Acquire))
    }

    /// Marks a target. An entry that is there already is replaced by what is said of it now.
    pub fn insert(&self, target: &Target, mark: Mark) {
        let key = self.key(&target.name());
        let mut shard = self.write(key);
        match shard.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Marks { first: mark, more: Box::default() });
            }
            Entry::Occupied(mut place) => {
                let marks = place.get_mut();
                let mut all: Vec<_> = marks.all().filter(|other| other.entry != mark.entry).copied().collect();
                let known = all.len() < marks.more.len().saturating_add(1);
                all.push(mark);
                place.insert(marks_of(&all, mark));
                if known {
                    return;
                }
            }
        }
        self.add(target.kind());
    }

    /// Takes back what one entry says of a target; `false` if it says nothing.
    pub fn remove(&self, target: &Target, entry: EntryId) -> bool {
        self.remove_at(self.place(target), entry)
    }

    /// Where the marks on a target are, in this list and no other.
    #[must_use]
    pub fn place(&self, target: &Target) -> Place {
        Place { key: self.key(&target.name()).to_be_bytes(), kind: target.kind() }
    }

    /// [`RevocationList::remove`], for who kept the place and not the target.
    pub fn remove_at(&self, place: Place, entry: EntryId) -> bool {
        let key = u128::from_be_bytes(place.key);
        let mut shard = self.write(key);
        let Entry::Occupied(mut marks) = shard.entry(key) else { return false };
        let all: Vec<_> = marks.get().all().copied().collect();
        let rest: Vec<_> = all.iter().filter(|mark| mark.entry != entry).copied().collect();
        if rest.len() == all.len() {
            return false;
        }
        match rest.first().copied() {
            Some(first) => {
                marks.insert(marks_of(&rest, first));
            }
            None => {
                marks.remove();
            }
        }
        self.subtract(place.kind);
        true
    }

    fn key(&self, name: &Name<'_>) -> u128 {
        let [left, right] = &self.hashers;
        let half = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write_usize(name.kind().place());
            // Its length in front: no two names read alike.
            hasher.write_usize(name.issuer().len());
            hasher.write(name.issuer());
            hasher.write(name.rest());
            hasher.finish()
        };
        (u128::from(half(left)) << 64) | u128::from(half(right))
    }

    fn shard(&self, key: u128) -> &RwLock<Shard> {
        let index = usize::try_from(key >> 122).unwrap_or_default();
        let [first, ..] = &self.shards;
        // Six bits are below the number of shards.
        self.shards.get(index).unwrap_or(first)
    }

    /// Nothing is left half-changed by a panic: a poisoned lock is as good as any.
    fn read(&self, key: u128) -> RwLockReadGuard<'_, Shard> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: u128) -> RwLockWriteGuard<'_, Shard> {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, kind: Kind) {
        if let Some(count) = self.kinds.get(kind.place()) {
            count.fetch_add(1, Ordering::Release);
        }
    }

    fn subtract(&self, kind: Kind) {
        if let Some(count) = self.kinds.get(kind.place()) {
            count.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Revocations for RevocationList {
    fn has(&self, kind: Kind) -> bool {
        self.count(kind) > 0
    }

    fn find(&self, name: &Name<'_>, bearer: &Bearer) -> Option<EntryId> {
        let key = self.key(name);
        let shard = self.read(key);
        let hit = shard.get(&key)?.all().find(|mark| mark.hits(bearer))?;
        Some(hit.entry)
    }

    fn is_stale(&self, now: i64) -> bool {
        self.sources.iter().any(|source| source.is_silent(now))
    }

    fn is_behind(&self, now: i64) -> bool {
        self.told.iter().any(|source| source.is_silent(now))
    }
}

fn marks_of(all: &[Mark], or: Mark) -> Marks {
    match all.split_first() {
        Some((first, more)) => Marks { first: *first, more: more.into() },
        None => Marks { first: or, more: Box::default() },
    }
}

#[cfg(test)]
mod tests;
