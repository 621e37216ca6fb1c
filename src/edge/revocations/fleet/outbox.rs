//! The way from what is asked here to the fleet. Bounded: what does not fit is found in the journal by who tells the fleet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::mac::{FleetKeys, Keys};
use super::node::Node;
use super::sealed;
use super::standing::Standing;
use crate::edge::revocations::entry::Record;

/// Records that wait to be told: some megabytes. While Redis is away more come, and then all is looked through.
const WAITING: usize = 8_192;
/// Between two looks whether the fleet has been told, if nobody says so.
const AGAIN: Duration = Duration::from_millis(50);

/// Where it is said what is to be told.
pub struct Outbox {
    sender: mpsc::Sender<Arc<Record>>,
    /// Something did not fit.
    overflowed: AtomicBool,
    pub(super) wake: Notify,
    /// Something was told.
    pub(super) told: Notify,
    /// The Redis, while it is there.
    pub(super) node: ArcSwapOption<Node>,
    pub(super) keys: Keys,
    pub(super) prefix: String,
    pub(super) standing: Arc<Standing>,
}

impl Outbox {
    /// The way, and its end.
    #[must_use]
    pub fn way(keys: Keys, prefix: String, standing: Arc<Standing>) -> (Arc<Self>, mpsc::Receiver<Arc<Record>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (overflowed, wake, told, node) = Default::default();
        (Arc::new(Self { sender, overflowed, wake, told, node, keys, prefix, standing }), receiver)
    }

    /// Has a record told some time.
    pub fn send(&self, record: Arc<Record>) {
        if self.sender.try_send(record).is_err() {
            self.tell_all();
        }
    }

    /// From now on all that is held is looked through for what the fleet lacks.
    pub fn tell_all(&self) {
        self.overflowed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether all is to be looked through; asked once.
    pub(super) fn must_tell_all(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Which of these records Redis has for every replica: as it says itself, within this time.
    pub async fn has(&self, records: &[Record], at_most: Duration) -> Vec<bool> {
        let places: Vec<_> = records.iter().map(sealed::place_of).collect();
        let until = Instant::now().checked_add(at_most).unwrap_or_else(Instant::now);
        let mut known = vec![false; places.len()];
        loop {
            let told = self.told.notified();
            // Nobody waits for a Redis that is not there.
            let Some(node) = self.node.load_full() else { return known };
            match tokio::time::timeout_at(until, node.at(&places)).await {
                Ok(Ok(found)) => {
                    let keys = self.keys.load();
                    known =
                        records.iter().zip(found).map(|(record, found)| self.is_told(&keys, record, found)).collect();
                }
                Ok(Err(_)) | Err(_) => return known,
            }
            if known.iter().all(|known| *known) || Instant::now() >= until {
                return known;
            }
            let again = Instant::now().checked_add(AGAIN).map_or(until, |again| again.min(until));
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(again) => {}
            }
        }
    }

    /// Whether others would take this record, or one that says the same, from what stands in its place. Another entry with its id may
    /// stand there, which counts for them, and this one then does not.
    pub(super) fn is_told(&self, keys: &FleetKeys, record: &Record, found: Option<Vec<u8>>) -> bool {
        let read = |found: Vec<u8>| sealed::read(keys, &self.prefix, sealed::place_of(record).as_bytes(), &found).ok();
        match (record, found.and_then(read)) {
            (_, None) => false,
            (Record::Entry(_), Some(found)) => found == *record,
            // Whoever asked it, and when: it is taken back.
            (Record::Cancel(_), Some(_)) => true,
        }
    }

    /// Whether others would take what stands at a place, whichever record that is: two that differ would overwrite each other for ever.
    pub(super) fn is_good(&self, keys: &FleetKeys, place: &str, found: Option<Vec<u8>>) -> bool {
        found.is_some_and(|found| sealed::read(keys, &self.prefix, place.as_bytes(), &found).is_ok())
    }
}
