//! The book of revocations: merges what every source brings, and keeps the list that decisions read.
//!
//! Entries and cancels only add up, so it does not matter in which order they come, how often, or by which way: a cancel that comes
//! before its entry holds; an entry is in force unless a cancel of its own source names it, or its time is over. Refused: the same id
//! with other content (the first one stays), records over a limit, and more than there is room for. All are counted.

use std::cmp::Reverse;
use std::collections::hash_map::Entry as Place;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use super::entry::{Cancel, Entry, Record};
use crate::decision::revocation::{EntryId, Kind, Target};
use crate::edge::revocations::list::{self, RevocationList};
use crate::telemetry::metrics::Metrics;

/// Records that are kept at once. Each takes about 300 bytes of memory, so this is 3 GB: far above what an estate revokes, and below
/// what ends the process.
pub const RECORDS: usize = 10_000_000;
/// Sources that are told apart; a name is a label of metrics.
const SOURCES: usize = 64;
/// Entries that are dropped in one step after their end, so that nobody waits long for the book.
const PURGED_AT_ONCE: usize = 1_000;

/// Merges records.
pub struct Book {
    list: Arc<RevocationList>,
    state: Mutex<State>,
    room: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    entries: HashMap<EntryId, Known, RandomState>,
    /// The sources that cancelled an entry, whether it is known or not.
    cancels: HashMap<EntryId, Vec<u16>, RandomState>,
    sources: Vec<String>,
    /// What ends, the first first.
    ending: BinaryHeap<Reverse<(i64, EntryId, Ends)>>,
}

/// What ends of an id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ends {
    /// Cancels, if their entry has not come.
    Cancels,
    /// The entry, and its cancels with it.
    Entry,
}

/// What is kept of an entry: enough to know it again and to take it back. The rest is in the journal.
struct Known {
    digest: [u8; 16],
    place: list::Place,
    source: u16,
    in_force: bool,
    /// Whether something was refused because of it.
    bit: bool,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was news.
    New,
    /// It was known.
    Known,
    /// It was news, and its source has cancelled the entry.
    Cancelled,
    /// The entry has ended already.
    Ended,
    /// A cancel of an entry that is not known, or is another source's: it counts if such an entry comes.
    Waiting,
    /// Another entry has this id: the record is refused.
    Conflict,
    /// There is no room for it: the record is refused.
    Full,
    /// It is over a limit: the record is refused.
    Malformed,
}

impl Applied {
    /// As metrics have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Known => "known",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
            Self::Waiting => "waiting",
            Self::Conflict => "conflict",
            Self::Full => "full",
            Self::Malformed => "malformed",
        }
    }

    /// Whether the record counts.
    #[must_use]
    pub const fn is_taken(self) -> bool {
        !matches!(self, Self::Conflict | Self::Full | Self::Malformed)
    }
}

/// How an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is on the list.
    InForce,
    /// Its source took it back.
    Cancelled,
    /// Its time is over, or it was never brought.
    Gone,
}

impl Book {
    /// An empty book that keeps this list; nobody else does.
    #[must_use]
    pub fn new(list: Arc<RevocationList>, metrics: Arc<Metrics>) -> Self {
        Self::with_room(list, metrics, RECORDS)
    }

    fn with_room(list: Arc<RevocationList>, metrics: Arc<Metrics>, room: usize) -> Self {
        Self { list, state: Mutex::default(), room, metrics }
    }

    /// Merges a record, from whatever source, at `now` (Unix milliseconds). When this returns, a revocation bites.
    pub fn apply(&self, record: &Record, now: i64) -> Applied {
        self.apply_as(record, now, Some("local"))
    }

    /// Merges what another replica took. Whoever has just started does not measure how long that took: it was not here.
    pub fn receive(&self, record: &Record, now: i64, is_measured: bool) -> Applied {
        self.apply_as(record, now, is_measured.then_some("fleet"))
    }

    fn apply_as(&self, record: &Record, now: i64, origin: Option<&'static str>) -> Applied {
        let applied = if record.check().is_ok() { self.merge(record, now) } else { Applied::Malformed };
        // A source that is none has no label of its own.
        let source = if applied.is_taken() || applied == Applied::Conflict { record.source() } else { "other" };
        self.metrics.revocation_record(source, applied.name());
        if let (Record::Entry(entry), Applied::New, Some(origin)) = (record, applied, origin) {
            self.metrics.revoked(origin, seconds(entry.asked_at, now), seconds(entry.reported_at, now));
        }
        applied
    }

    /// Merges what was applied before a restart: it is not news.
    pub fn restore(&self, record: &Record, bit: bool, now: i64) -> Applied {
        let applied = self.merge(record, now);
        if let Record::Entry(entry) = record
            && let Some(known) = self.state().entries.get_mut(&entry.id)
        {
            known.bit = bit;
        }
        applied
    }

    fn merge(&self, record: &Record, now: i64) -> Applied {
        let mut state = self.state();
        match record {
            Record::Entry(entry) => self.add(&mut state, entry, now),
            Record::Cancel(cancel) => self.cancel(&mut state, cancel, now),
        }
    }

    fn add(&self, state: &mut State, entry: &Entry, now: i64) -> Applied {
        let mark = entry.mark();
        if mark.until <= now.div_euclid(1_000) {
            return Applied::Ended;
        }
        let full = state.len() >= self.room;
        let Some(source) = state.source(&entry.source) else { return Applied::Full };
        let cancelled = state.cancels.get(&entry.id).is_some_and(|sources| sources.contains(&source));
        let digest = entry.digest();
        match state.entries.entry(entry.id) {
            Place::Occupied(known) if known.get().digest == digest => return Applied::Known,
            Place::Occupied(_) => return Applied::Conflict,
            Place::Vacant(_) if full => return Applied::Full,
            Place::Vacant(vacant) => {
                let place = self.list.place(&entry.target);
                vacant.insert(Known { digest, place, source, in_force: !cancelled, bit: false });
            }
        }
        if entry.expires_at.is_some() {
            state.ending.push(Reverse((mark.until, entry.id, Ends::Entry)));
        }
        if cancelled {
            return Applied::Cancelled;
        }
        // While the book is held: a cancel must find the mark.
        self.list.insert(&entry.target, mark);
        Applied::New
    }

    fn cancel(&self, state: &mut State, cancel: &Cancel, now: i64) -> Applied {
        if cancel.has_ended(now) && !state.entries.contains_key(&cancel.entry) {
            return Applied::Ended;
        }
        let full = state.len() >= self.room;
        let Some(source) = state.source(&cancel.source) else { return Applied::Full };
        let known = state.entries.get_mut(&cancel.entry).filter(|known| known.source == source);
        match state.cancels.entry(cancel.entry) {
            Place::Occupied(sources) if sources.get().contains(&source) => return Applied::Known,
            Place::Occupied(mut sources) => sources.get_mut().push(source),
            // What takes back an entry that is known has its room.
            Place::Vacant(_) if full && known.is_none() => return Applied::Full,
            Place::Vacant(vacant) => {
                vacant.insert(vec![source]);
            }
        }
        let Some(known) = known else {
            if let Some(end) = cancel.entry_expires_at {
                state.ending.push(Reverse((end, cancel.entry, Ends::Cancels)));
            }
            return Applied::Waiting;
        };
        known.in_force = false;
        self.list.remove_at(known.place, cancel.entry);
        Applied::New
    }

    /// Drops what has ended, some of it; which entries these were.
    pub fn purge(&self, now: i64) -> Vec<EntryId> {
        let mut state = self.state();
        let mut gone = Vec::new();
        while gone.len() < PURGED_AT_ONCE
            && let Some(Reverse((until, id, ends))) = state.ending.peek().copied()
            && until <= now.div_euclid(1_000)
        {
            state.ending.pop();
            if ends == Ends::Cancels && state.entries.contains_key(&id) {
                // Its entry came, and ends by itself: nothing that is in force is dropped because a cancel says so.
                continue;
            }
            if let Some(known) = state.entries.remove(&id) {
                self.list.remove_at(known.place, id);
            }
            state.cancels.remove(&id);
            gone.push(id);
        }
        gone
    }

    /// Notes that something was refused because of an entry; whether it is the first time.
    pub fn has_bitten(&self, id: EntryId) -> bool {
        match self.state().entries.get_mut(&id) {
            Some(known) if !known.bit => {
                known.bit = true;
                true
            }
            _ => false,
        }
    }

    /// Whether it would be no news.
    #[must_use]
    pub fn knows(&self, record: &Record) -> bool {
        let state = self.state();
        match record {
            Record::Entry(entry) => state.entries.get(&entry.id).is_some_and(|known| known.digest == entry.digest()),
            Record::Cancel(cancel) => {
                let source = state.sources.iter().position(|source| *source == cancel.source);
                let source = source.and_then(|source| u16::try_from(source).ok());
                let cancelled = state.cancels.get(&cancel.entry);
                source.is_some_and(|source| cancelled.is_some_and(|sources| sources.contains(&source)))
            }
        }
    }

    /// How an entry stands.
    #[must_use]
    pub fn standing(&self, id: EntryId) -> Standing {
        match self.state().entries.get(&id) {
            Some(Known { in_force: true, .. }) => Standing::InForce,
            Some(_) => Standing::Cancelled,
            None => Standing::Gone,
        }
    }

    /// Whether an entry is in force and names this.
    #[must_use]
    pub fn names(&self, id: EntryId, target: &Target) -> bool {
        let place = self.list.place(target);
        self.state().entries.get(&id).is_some_and(|known| known.in_force && known.place == place)
    }

    /// How many entries of a kind are in force.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.list.count(kind)
    }

    /// How many entries are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each step of a change leaves a book that can be read.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        self.entries.len().saturating_add(self.cancels.len())
    }

    /// A source's number.
    fn source(&mut self, name: &str) -> Option<u16> {
        let place = self.sources.iter().position(|source| source == name).or_else(|| {
            let room = self.sources.len() < SOURCES;
            room.then(|| {
                self.sources.push(name.to_owned());
                self.sources.len().saturating_sub(1)
            })
        });
        u16::try_from(place?).ok()
    }
}

/// From one time to another, both Unix milliseconds; clocks differ, so it may come out below nothing.
fn seconds(from: i64, to: i64) -> f64 {
    let millis = to.saturating_sub(from).max(0);
    let seconds = i32::try_from(millis.div_euclid(1_000)).unwrap_or(i32::MAX);
    let rest = i32::try_from(millis.rem_euclid(1_000)).unwrap_or_default();
    f64::from(seconds) + f64::from(rest) / 1_000.0
}

#[cfg(test)]
mod tests;
