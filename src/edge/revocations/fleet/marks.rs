//! Who is telling what Redis has lost, and has not ended: a replica that knows nothing yet waits for them.
//!
//! Proved by the MAC: a replica of this fleet was telling, in this epoch, at this time. It says so before the first record that it tells,
//! and takes it away behind the last, so that who sees no mark and reads on has all of it. A replica that dies over it is waited for no
//! longer than [`LIVES`]. Whoever can write to Redis can take marks away, as it can take away records.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Fleet;
use super::mac::FleetKeys;
use super::node::{Node, Unwritten};
use crate::edge::clock;
use crate::edge::redis::examine::Unusable;

/// After so many seconds a mark that was not renewed counts no longer, by the clocks of who wrote and who reads it.
const LIVES: i64 = 60;
/// After so many seconds it is removed: nobody renews it any more.
const REMOVED: i64 = 600;
/// Between two renewals.
const RENEWED: Duration = Duration::from_secs(10);

/// A replica is telling all that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    /// In which epoch: in another one it says nothing.
    telling: String,
    /// Which replica, for as long as its process lives; the mark stands there.
    replica: String,
    /// When it was still telling, Unix seconds.
    at: i64,
}

impl Mark {
    fn seal(&self, keys: &FleetKeys, prefix: &str) -> Option<Vec<u8>> {
        keys.seal(prefix, &serde_json::to_vec(self).ok()?)
    }

    fn read(keys: &FleetKeys, prefix: &str, place: &[u8], sealed: &[u8]) -> Option<Self> {
        let mark: Self = serde_json::from_slice(keys.open(prefix, sealed)?).ok()?;
        (mark.replica.as_bytes() == place).then_some(mark)
    }

    /// Whether it counts in this epoch at `now`, Unix seconds. One from far ahead is no newer than one that is old.
    fn lives(&self, epoch: &str, now: i64) -> bool {
        self.telling == epoch && now.abs_diff(self.at) <= LIVES.unsigned_abs()
    }

    fn is_of_no_use(&self, now: i64) -> bool {
        now.abs_diff(self.at) > REMOVED.unsigned_abs()
    }
}

/// Whether another replica is telling what was before this epoch.
///
/// # Errors
/// [`Unusable`].
pub(super) async fn somebody_tells(fleet: &Fleet, node: &Node) -> Result<bool, Unusable> {
    let (keys, now, epoch) = (fleet.outbox.keys.load_full(), clock::now(), node.epoch.to_string());
    let found = node.marks().await?;
    let marks: Vec<_> =
        found.iter().filter_map(|(place, sealed)| Mark::read(&keys, &fleet.outbox.prefix, place, sealed)).collect();
    let old: Vec<_> = marks.iter().filter(|mark| mark.is_of_no_use(now)).map(|mark| mark.replica.clone()).collect();
    if !old.is_empty() {
        node.unmark(&old).await?;
    }
    // What is told from here is known here.
    Ok(marks.iter().any(|mark| mark.replica != fleet.replica && mark.lives(&epoch, now)))
}

/// What this replica has said of its own telling.
#[derive(Default)]
pub(super) struct Marked(Option<(String, Instant)>);

impl Marked {
    /// Says that all is being told, or that it still is.
    ///
    /// # Errors
    /// [`Unusable`]. Where Redis does not want to write, nothing else can be told either.
    pub(super) async fn telling(&mut self, fleet: &Fleet, node: &Node) -> Result<(), Unusable> {
        let epoch = node.epoch.to_string();
        if self.0.as_ref().is_some_and(|(said, at)| *said == epoch && at.elapsed() < RENEWED) {
            return Ok(());
        }
        let mark = Mark { telling: epoch.clone(), replica: fleet.replica.clone(), at: clock::now() };
        let Some(sealed) = mark.seal(&fleet.outbox.keys.load(), &fleet.outbox.prefix) else { return Ok(()) };
        match node.mark(&mark.replica, &sealed).await {
            Ok(()) => self.0 = Some((epoch, Instant::now())),
            Err(Unwritten::Refused(why)) => tracing::debug!(why, "that all is being told cannot be said"),
            Err(Unwritten::Unusable(why)) => return Err(why),
        }
        Ok(())
    }

    /// All was told.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) async fn told(&mut self, fleet: &Fleet, node: &Node) -> Result<(), Unusable> {
        if self.0.is_some() {
            node.unmark(core::slice::from_ref(&fleet.replica)).await?;
            self.0 = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;
    use crate::edge::revocations::fleet::sealed;

    const NOW: i64 = 1_800_000_000;

    fn keys(secret: u8) -> FleetKeys {
        FleetKeys::new(&[vec![secret; 32]])
    }

    fn mark() -> Mark {
        Mark { telling: "1 1800000000 abc:def 00".to_owned(), replica: "a1".to_owned(), at: NOW }
    }

    #[test]
    fn who_tells_is_waited_for_in_its_epoch_and_no_longer_than_it_renews_its_mark() {
        for (now, lives) in [(NOW - LIVES - 1, false), (NOW, true), (NOW + LIVES, true), (NOW + LIVES + 1, false)] {
            assert_eq!(mark().lives(&mark().telling, now), lives, "{now}");
        }
        assert!(!mark().lives("1 1800000000 abc:def 01", NOW), "an old one says nothing of another epoch");
        assert!(!mark().is_of_no_use(NOW + REMOVED) && mark().is_of_no_use(NOW + REMOVED + 1));
    }

    #[test]
    fn a_mark_is_the_fleets_own_and_stands_where_its_replica_says_and_is_no_record() {
        let sealed = mark().seal(&keys(7), "keybound").unwrap();
        assert_eq!(Mark::read(&keys(7), "keybound", b"a1", &sealed), Some(mark()));
        assert_eq!(Mark::read(&keys(8), "keybound", b"a1", &sealed), None);
        assert_eq!(Mark::read(&keys(7), "other", b"a1", &sealed), None);
        assert_eq!(Mark::read(&keys(7), "keybound", b"a2", &sealed), None);
        assert_eq!(sealed::read(&keys(7), "keybound", b"a1", &sealed), Err(sealed::Refusal::Unreadable));
    }
}
