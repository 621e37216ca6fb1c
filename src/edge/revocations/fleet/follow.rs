//! Follows the fleet: catches up, waits for news, tells what was asked here, and looks again and again whether Redis still has all of it.
//!
//! After a loss of which nothing can be known (another process, another epoch, news that were dropped before they were read) everything
//! is read again; so it is at the start. Whatever Redis lacks of what is held here is told again.

use core::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Fleet;
use super::mac::FleetKeys;
use super::marks::{self, Marked};
use super::node::{Node, PAGE, Position, Unwritten};
use crate::edge::clock;
use crate::edge::redis::examine::Unusable;
use crate::edge::redis::spread;
use crate::edge::revocations::entry::Record;
use crate::edge::revocations::journal::store::NotStored;
use crate::edge::revocations::journal::store::held::Place;

/// How long one wait for news lasts: a loss of the epoch is noticed after it at the latest, and what was heard is no older.
const WAIT: Duration = Duration::from_secs(1);
/// Between two looks at Redis; each reads some of the hash, and some of the journal, so that what is tampered with is found in time.
const LOOK: Duration = Duration::from_secs(2);
/// How long who knows nothing does not trust an epoch that has just begun: those who know something need so long to notice that it
/// did (a wait and the longest pause), and to say that they tell it again.
const SETTLES: i64 = 4;
/// Replicas' clocks may differ by so many seconds: an epoch began by the clock of one of them.
const CLOCKS: i64 = 2;
/// Between two walks in haste because something was lacking: where two replicas cannot read each other, something always is.
const HASTE: Duration = Duration::from_secs(60);
/// Records that are told at once.
const TOGETHER: usize = 128;
/// Between two tries to tell what Redis does not take.
const AGAIN: Duration = Duration::from_secs(1);
/// The first pause between two tries to connect, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// After this long a connection is sound, and the next trouble is not of the last one.
const SOUND: Duration = Duration::from_secs(10);

/// What outlives a connection.
pub(super) struct Follower<'f> {
    fleet: &'f Fleet,
    heard: Heard,
    telling: Telling,
    asked: Asked,
    /// Where the slow look through the hash is.
    cursor: u64,
}

/// How far the news were read.
#[derive(Default)]
struct Heard {
    /// The epoch in which all was read, and the keys with which.
    of: Option<(String, Arc<FleetKeys>)>,
    position: Position,
}

/// How far what is held here was compared with what Redis has.
#[derive(Default)]
struct Telling {
    place: Place,
    /// Whether it is to be done at once, because much may be lacking.
    in_haste: bool,
    /// Whether something was lacking since the start.
    lacked_any: bool,
    /// When something was lacking that nobody had expected to be.
    lacked: Option<Instant>,
    /// What the others know of it.
    marked: Marked,
}

/// What was asked here and is to be told.
struct Asked {
    asked: mpsc::Receiver<Arc<Record>>,
    untold: Vec<Arc<Record>>,
}

/// Why a connection is given up.
enum Broken {
    Unusable(Unusable),
    /// Something may be lost.
    Forgot,
}

impl From<Unusable> for Broken {
    fn from(why: Unusable) -> Self {
        Self::Unusable(why)
    }
}

type Ended = Result<Infallible, Broken>;

impl<'f> Follower<'f> {
    pub(super) fn new(fleet: &'f Fleet, asked: mpsc::Receiver<Arc<Record>>) -> Self {
        let asked = Asked { asked, untold: Vec::new() };
        Self { fleet, heard: Heard::default(), telling: Telling::default(), asked, cursor: 0 }
    }

    /// For ever.
    pub(super) async fn keep(mut self) {
        let fleet = self.fleet;
        let mut pause = PAUSES.0;
        loop {
            let begun = Instant::now();
            let why = match Node::find(&fleet.dialer, &fleet.names, clock::now()).await {
                Ok(node) => {
                    let node = Arc::new(node);
                    fleet.outbox.node.store(Some(Arc::clone(&node)));
                    let broken = self.hold(&node).await;
                    fleet.outbox.node.store(None);
                    format!("{}: {}", node.address, broken.words())
                }
                Err((address, why)) => format!("{address}: {why}"),
            };
            fleet.outbox.standing.lost(&why);
            tracing::debug!(why, "the way to the fleet's revocations has ended");
            if begun.elapsed() > SOUND {
                pause = PAUSES.0;
            }
            tokio::time::sleep(spread(pause)).await;
            pause = pause.saturating_mul(2).min(PAUSES.1);
        }
    }

    /// Does all there is to do with one Redis, until something is wrong with it.
    async fn hold(&mut self, node: &Node) -> Broken {
        let Self { fleet, heard, telling, asked, cursor } = self;
        if heard.of.as_ref().is_none_or(|(epoch, _)| *epoch != node.epoch.to_string()) {
            *cursor = 0;
            fleet.outbox.tell_all();
        }
        let ended = tokio::select! {
            ended = heard.follow(fleet, node) => ended,
            ended = asked.tell(fleet, node) => ended,
            ended = telling.compare(fleet, node) => ended,
            ended = look(fleet, node, cursor) => ended,
        };
        match ended {
            Ok(never) => match never {},
            Err(broken) => broken,
        }
    }
}

impl Heard {
    /// Reads everything, if that must be, and then what is new.
    async fn follow(&mut self, fleet: &Fleet, node: &Node) -> Ended {
        let first_seen = Instant::now();
        let mut gap = false;
        loop {
            if let Some(reason) = self.must_read_all(fleet, node, gap) {
                self.read_all(fleet, node, reason).await?;
            }
            let has_caught_up = fleet.outbox.standing.has_caught_up();
            let at_most = if has_caught_up { WAIT } else { WAIT.checked_div(4).unwrap_or(WAIT) };
            let asked_at = clock::now();
            // Before the news: who has told all by now has told it in them.
            let settles = !has_caught_up && settles(fleet, node, first_seen, asked_at).await?;
            let Some(news) = node.news(self.position, at_most).await? else { return Err(Broken::Forgot) };
            let useless = fleet.take(news.records, true);
            tracing::debug!(useless = useless.len(), "news were read");
            self.position = news.last;
            gap = news.has_gap;
            if !gap && !news.is_full && !settles {
                fleet.outbox.standing.heard(asked_at);
            }
        }
    }

    fn must_read_all(&self, fleet: &Fleet, node: &Node, gap: bool) -> Option<&'static str> {
        match &self.of {
            None => Some("start"),
            Some((epoch, _)) if *epoch != node.epoch.to_string() => Some("epoch"),
            Some((_, keys)) if !Arc::ptr_eq(keys, &fleet.outbox.keys.load()) => Some("keys"),
            Some(_) => gap.then_some("gap"),
        }
    }

    async fn read_all(&mut self, fleet: &Fleet, node: &Node, reason: &'static str) -> Result<(), Broken> {
        let (begun, keys) = (Instant::now(), fleet.outbox.keys.load_full());
        // From here on it is news: what comes while everything is read comes once more.
        let position = node.end().await?;
        if reason == "keys" {
            // What was signed with a key that is gone counts for nobody.
            fleet.outbox.tell_all();
        }
        // Who was not there when it was asked did not wait for it.
        let is_measured = fleet.outbox.standing.has_caught_up();
        let (mut cursor, mut records) = (0, 0_usize);
        loop {
            let (next, found) = node.scan(cursor).await?;
            records = records.saturating_add(found.len());
            drop(fleet.take(found, is_measured));
            if next == 0 {
                break;
            }
            cursor = next;
            // Others share this thread.
            tokio::task::yield_now().await;
        }
        self.of = Some((node.epoch.to_string(), keys));
        self.position = position;
        fleet.metrics.caught_up(reason);
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(redis = %node.address, reason, records, millis, "all that the fleet has revoked was read");
        Ok(())
    }
}

impl Asked {
    /// Tells what is asked here.
    async fn tell(&mut self, fleet: &Fleet, node: &Node) -> Ended {
        loop {
            if self.untold.is_empty() && self.asked.recv_many(&mut self.untold, TOGETHER).await == 0 {
                return core::future::pending().await;
            }
            let sealed = fleet.sealed(&fleet.outbox.keys.load(), &self.untold);
            if write(fleet, node, &sealed, "new").await? {
                self.untold.clear();
                fleet.outbox.told.notify_waiters();
            } else {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

impl Telling {
    /// Compares what is held here with what Redis has, page by page and over and over, and tells what it lacks.
    async fn compare(&mut self, fleet: &Fleet, node: &Node) -> Ended {
        loop {
            if fleet.outbox.must_tell_all() {
                (self.place, self.in_haste, self.lacked_any) = (Place::Start, true, false);
            }
            let (held, next) = match fleet.revocations.held(self.place.clone(), PAGE).await {
                Ok(held) => held,
                Err(NotStored(why)) => {
                    // Whoever cannot read what it holds goes on hearing the others.
                    tracing::debug!(why, "what is held cannot be compared with what Redis has");
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            if self.in_haste && !held.is_empty() {
                self.marked.telling(fleet, node).await?;
            }
            let places: Vec<_> = held.iter().map(super::sealed::place_of).collect();
            let found = node.at(&places).await?;
            let keys = fleet.outbox.keys.load_full();
            let good = places.iter().zip(found).map(|(place, found)| fleet.outbox.is_good(&keys, place, found));
            let lacking: Vec<_> =
                held.into_iter().zip(good).filter(|(_, good)| !good).map(|(record, _)| Arc::new(record)).collect();
            if !tell_lost(fleet, node, &keys, &lacking).await? && self.in_haste {
                // Not all is told before this is.
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            if !lacking.is_empty() && !self.in_haste && self.lacked.is_none_or(|last| last.elapsed() > HASTE) {
                // Where one is missing, more may be.
                self.lacked = Some(Instant::now());
                fleet.outbox.tell_all();
            }
            self.lacked_any |= !lacking.is_empty();
            if next.is_none() && !core::mem::take(&mut self.lacked_any) {
                // Redis has all that is held here, whoever wrote it.
                fleet.outbox.standing.told();
            }
            if self.in_haste && next.is_none() {
                self.marked.told(fleet, node).await?;
                self.in_haste = false;
            }
            self.place = next.unwrap_or_default();
            if !self.in_haste {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = fleet.outbox.wake.notified() => {}
                }
            }
        }
    }
}

/// Whether those who know what was before this epoch may still have something of it to tell.
async fn settles(fleet: &Fleet, node: &Node, first_seen: Instant, now: i64) -> Result<bool, Broken> {
    let is_young = now < node.epoch.since.saturating_add(SETTLES).saturating_add(CLOCKS)
        && first_seen.elapsed() < Duration::from_secs(SETTLES.unsigned_abs());
    let settles = is_young || marks::somebody_tells(fleet, node).await?;
    if settles {
        fleet.outbox.standing.waits("Redis may have lost some, and the others are given time to tell them again");
    }
    Ok(settles)
}

/// Tells what Redis lacks; whether it took all of it.
async fn tell_lost(fleet: &Fleet, node: &Node, keys: &FleetKeys, lacking: &[Arc<Record>]) -> Result<bool, Broken> {
    for lacking in lacking.chunks(TOGETHER) {
        if !write(fleet, node, &fleet.sealed(keys, lacking), "lost").await? {
            return Ok(false);
        }
        fleet.outbox.told.notify_waiters();
    }
    Ok(true)
}

/// Looks whether Redis is what it was, and through some of what it has: what does not come as news comes so.
async fn look(fleet: &Fleet, node: &Node, cursor: &mut u64) -> Ended {
    loop {
        tokio::time::sleep(LOOK).await;
        let current = fleet.dialer.is_current(&node.address, LOOK).await.map_err(|(_, why)| why)?;
        if !current || !node.is_unchanged().await? {
            return Err(Broken::Forgot);
        }
        let (next, found) = node.scan(*cursor).await?;
        *cursor = next;
        let useless = fleet.take(found, fleet.outbox.standing.has_caught_up());
        if !useless.is_empty() {
            node.remove(&useless).await?;
        }
    }
}

/// Whether Redis took it; if not, that is told.
async fn write(fleet: &Fleet, node: &Node, records: &[(String, Vec<u8>)], why: &'static str) -> Result<bool, Broken> {
    match node.put(records).await {
        Ok(()) => {
            fleet.metrics.told_fleet(why, records.len());
            fleet.outbox.standing.told();
            Ok(true)
        }
        Err(Unwritten::Refused(why)) => {
            fleet.outbox.standing.untold(&why);
            Ok(false)
        }
        Err(Unwritten::Unusable(why)) => Err(why.into()),
    }
}

impl Broken {
    fn words(&self) -> String {
        match self {
            Self::Unusable(why) => why.to_string(),
            Self::Forgot => "it may have lost something, and is looked at again".to_owned(),
        }
    }
}
