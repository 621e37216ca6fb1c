//! One revocation reaches every replica: what was asked at one is written to the Redis that all share, and each follows it.
//!
//! Trusted: holders of a key of the fleet, for what they have signed ([`mac`]). Whoever can write to Redis and holds none can hold back,
//! and nothing else: records only add up, each replica keeps what it has taken in its own journal, and tells the fleet again what Redis
//! has lost. What cannot be known to be complete is said to be stale ([`standing`]).

mod follow;
pub mod mac;
mod marks;
mod node;
mod outbox;
mod sealed;
pub mod standing;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use super::Revocations;
use super::book::Applied;
use super::entry::Record;
use super::journal::store::held::Place;
use super::journal::store::{NotStored, Work};
use crate::config::Config;
use crate::decision::revocation::EntryId;
use crate::edge::clock;
use crate::edge::keeper::FleetSupplies;
use crate::edge::patience::Seldom;
use crate::edge::random;
use crate::edge::redis::Dialer;
use crate::telemetry::metrics::Metrics;
use follow::Follower;
use mac::FleetKeys;
use node::{Names, Sealed};
pub use outbox::Outbox;
use standing::Standing;

/// How long after their end records stay in Redis: replicas' clocks may differ, and for some it may not have come.
const KEPT_MILLIS: i64 = 120_000;
/// Ids with two entries that are told of; more are not.
const CONFLICTS: usize = 10_000;

/// What one process does for the fleet.
pub struct Fleet {
    dialer: Dialer,
    names: Names,
    /// The name of this process among the others, which nobody else has.
    replica: String,
    revocations: Arc<Revocations>,
    outbox: Arc<Outbox>,
    asked: Mutex<Option<mpsc::Receiver<Arc<Record>>>>,
    metrics: Arc<Metrics>,
    refused: Mutex<Seldom>,
    /// Ids that were found to be two entries'.
    conflicts: Mutex<HashSet<EntryId>>,
}

impl Fleet {
    /// The fleet that config names, if it does; what is asked here is told to it from now on.
    #[must_use]
    pub fn join(
        config: &Config,
        FleetSupplies { keys, heard }: FleetSupplies,
        revocations: &Arc<Revocations>,
        metrics: &Arc<Metrics>,
    ) -> Option<Self> {
        let (shared, redis) = (config.revocations.shared.as_ref()?, config.redis.clone()?);
        let standing = Standing::new(shared.stale_after_seconds, shared.on_stale, heard, clock::now);
        let (outbox, asked) = Outbox::way(keys, redis.key_prefix.clone(), Arc::new(standing));
        let replica = EntryId(random::sixteen()?).to_string();
        if !revocations.publish_to(Arc::clone(&outbox)) {
            return None;
        }
        Some(Self {
            names: Names::under(&redis.key_prefix),
            replica,
            dialer: Dialer::new(redis),
            revocations: Arc::clone(revocations),
            outbox,
            asked: Mutex::new(Some(asked)),
            metrics: Arc::clone(metrics),
            refused: Mutex::default(),
            conflicts: Mutex::default(),
        })
    }

    /// Follows the fleet and tells it what is asked here, for ever.
    pub async fn keep(&self) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(asked) = asked else { return };
        Follower::new(self, asked).keep().await;
    }

    /// Takes what stands in Redis, as far as it is signed; which places are of no use any more.
    fn take(&self, found: Vec<Sealed>, is_measured: bool) -> Vec<String> {
        let keys = self.outbox.keys.load();
        let mut records = Vec::new();
        for (place, value) in found {
            match sealed::read(&keys, &self.outbox.prefix, &place, &value) {
                Ok(record) => records.push(record),
                Err(refusal) => self.refuse(refusal),
            }
        }
        let received = self.revocations.receive(records, is_measured, &self.metrics);
        received.conflicts.into_iter().for_each(|id| self.conflict(id));
        received.useless
    }

    /// Two entries have one id: it is found again whenever Redis is looked through, and told once.
    fn conflict(&self, id: EntryId) {
        let mut known = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < CONFLICTS && known.insert(id) {
            self.metrics.received(Applied::Conflict.name());
            tracing::error!(
                revocation = %id,
                "two replicas were asked for different things with this id, and each keeps its own: revoke both anew, with other ids"
            );
        }
    }

    fn refuse(&self, refusal: sealed::Refusal) {
        let why = refusal.name();
        if refusal == sealed::Refusal::Unverified {
            self.outbox.standing.unverified();
        }
        self.metrics.received(why);
        let times = self.refused.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        if let Some(times) = times {
            tracing::warn!(
                why,
                times,
                "what stands among the revocations of the fleet does not count: if it is `unverified`, compare revocations.shared.key_files with the other replicas'"
            );
        }
    }

    /// Records as they are written.
    fn sealed(&self, keys: &FleetKeys, records: &[Arc<Record>]) -> Vec<(String, Vec<u8>)> {
        let seal =
            |record: &Arc<Record>| Some((sealed::place_of(record), sealed::seal(keys, &self.outbox.prefix, record)?));
        records.iter().filter_map(seal).collect()
    }
}

/// What else is to be done about records that were received.
struct Received {
    /// Places in Redis that are of no use any more.
    useless: Vec<String>,
    /// Ids that are another entry's here.
    conflicts: Vec<EntryId>,
}

/// What a fleet needs of what is held here.
impl Revocations {
    /// Takes what other replicas have taken: it bites, and is stored here too, so that a start without them knows it.
    fn receive(&self, records: Vec<Record>, is_measured: bool, metrics: &Metrics) -> Received {
        let now = clock::millis();
        let (mut work, mut useless, mut conflicts) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            if record.has_ended(now) {
                if record.has_ended(now.saturating_sub(KEPT_MILLIS)) {
                    let place = sealed::place_of(&record);
                    if let Record::Entry(entry) = &record {
                        // Its cancel need not say when it ends.
                        useless.push(format!("{place}/cancel/{}", entry.source));
                    }
                    useless.push(place);
                }
                continue;
            }
            if self.book().knows(&record) {
                continue;
            }
            let applied = self.book().receive(&record, now, is_measured);
            if applied != Applied::Conflict {
                metrics.received(applied.name());
            }
            match (record, applied) {
                (Record::Entry(entry), Applied::Conflict) => conflicts.push(entry.id),
                (Record::Entry(entry), Applied::New | Applied::Cancelled) => {
                    work.push(Work::Entry(Arc::new(entry), now));
                }
                (Record::Cancel(cancel), Applied::New | Applied::Waiting) => work.push(Work::Cancel(Arc::new(cancel))),
                _ => {}
            }
        }
        if !work.is_empty() {
            self.journal.leave(work);
        }
        Received { useless, conflicts }
    }

    /// Some of what is held, after a place; the place to go on after, unless this was all.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn held(&self, after: Place, most: usize) -> Result<(Vec<Record>, Option<Place>), NotStored> {
        let unwritten = if after == Place::Start { self.journal.all_unwritten() } else { Vec::new() };
        let store = self.journal.store();
        let page = tokio::task::spawn_blocking(move || store.held(&after, most, clock::millis())).await;
        let (mut page, next) = page.map_err(|_| NotStored("the journal cannot be read".to_owned()))??;
        page.extend(unwritten.into_iter().map(|(entry, _)| Record::Entry(entry.as_ref().clone())));
        Ok((page, next))
    }
}

#[cfg(test)]
mod tests;
