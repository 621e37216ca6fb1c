//! Lists that still count, by issuer and URI: bounded by their number and by the memory they take, for each issuer by itself.
//!
//! A list counts for as long as its `ttl` says, between the bounds that the operator sets, and never beyond its `exp`. That it has run out
//! is found by a clock that nobody sets. Readers take no lock; there is one writer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;

use crate::config::{self, Config};
use crate::decision::status_list::{StatusList, StatusLists};

/// Lists, by their URIs.
type Lists = HashMap<Arc<str>, Arc<Kept>, RandomState>;

/// The lists of every issuer.
pub struct Shelf {
    places: Vec<Place>,
    begun: Instant,
}

struct Place {
    issuer: String,
    rules: config::StatusLists,
    lists: ArcSwap<Lists>,
}

/// A list, and for how long it counts.
pub struct Kept {
    pub list: Arc<StatusList>,
    pub fetched: Instant,
    /// When it is fetched again, if it is used.
    pub again: Instant,
    until: Instant,
    /// So long it counts if it cannot be fetched again.
    stale_until: Instant,
    failing: AtomicBool,
    used: AtomicBool,
    /// Seconds since the shelf began.
    used_at: AtomicU64,
}

impl Default for Shelf {
    /// For nobody.
    fn default() -> Self {
        Self { places: Vec::new(), begun: Instant::now() }
    }
}

impl Shelf {
    /// Shelves for every issuer of the config that has lists, in their order.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let place = |issuer: &config::Issuer| {
            let rules = issuer.status_lists.clone()?;
            Some(Place { issuer: issuer.rules.issuer.clone(), rules, lists: ArcSwap::default() })
        };
        Self { places: config.issuers.iter().filter_map(place).collect(), begun: Instant::now() }
    }

    /// The list, if it counts at this instant.
    pub(super) fn at(&self, place: usize, uri: &str, at: Instant) -> Option<Arc<StatusList>> {
        let kept = Arc::clone(self.places.get(place)?.lists.load().get(uri)?);
        self.used(&kept, at)
    }

    fn used(&self, kept: &Kept, at: Instant) -> Option<Arc<StatusList>> {
        if !kept.counts(at) {
            return None;
        }
        kept.used.store(true, Ordering::Relaxed);
        kept.used_at.store(at.saturating_duration_since(self.begun).as_secs(), Ordering::Relaxed);
        Some(Arc::clone(&kept.list))
    }

    /// Keeps a list that was fetched at this instant, in the place of the one before.
    pub(super) fn keep(&self, place: usize, list: &Arc<StatusList>, uri: &Arc<str>, (at, now): (Instant, i64)) {
        let Some(place) = self.places.get(place) else { return };
        let life = life(list, &place.rules, now);
        let after = |time: Duration| at.checked_add(time).unwrap_or(at);
        let stale = life.saturating_add(Duration::from_secs(place.rules.stale_seconds));
        let kept = Kept {
            list: Arc::clone(list),
            fetched: at,
            again: after(life.saturating_mul(3).checked_div(4).unwrap_or(life)),
            until: after(life),
            stale_until: after(stale),
            failing: AtomicBool::new(false),
            used: AtomicBool::new(false),
            used_at: AtomicU64::new(at.saturating_duration_since(self.begun).as_secs()),
        };
        let mut lists = Lists::clone(&place.lists.load());
        lists.insert(Arc::clone(uri), Arc::new(kept));
        make_room(&mut lists, uri, &place.rules);
        place.lists.store(Arc::new(lists));
    }

    /// A list could not be fetched again: it counts for as long as the operator lets it.
    pub(super) fn failed(&self, place: usize, uri: &str) {
        if let Some(kept) = self.kept(place, uri) {
            kept.failing.store(true, Ordering::Relaxed);
        }
    }

    /// The list, if it counts at this instant; nobody uses it.
    pub(super) fn counting(&self, place: usize, uri: &str, at: Instant) -> Option<Arc<StatusList>> {
        self.kept(place, uri).filter(|kept| kept.counts(at)).map(|kept| Arc::clone(&kept.list))
    }

    /// The list that is here, whether or not it counts.
    pub(super) fn kept(&self, place: usize, uri: &str) -> Option<Arc<Kept>> {
        self.places.get(place)?.lists.load().get(uri).cloned()
    }

    /// Forgets what counts no more; the lists that are in use and due, how many there are, and how old the oldest is.
    pub(super) fn tidy(&self, place: usize, at: Instant, now: i64) -> (Vec<Arc<str>>, usize, Duration) {
        let Some(place) = self.places.get(place) else { return Default::default() };
        let lists = place.lists.load_full();
        let over = |kept: &Kept| at >= kept.stale_until || !kept.list.is_current(now);
        let due = |kept: &Kept| at >= kept.again && kept.used.load(Ordering::Relaxed);
        let wanted = lists.iter().filter(|(_, kept)| due(kept)).map(|(uri, _)| Arc::clone(uri)).collect();
        let lists = if lists.values().any(|kept| over(kept)) {
            let mut left = Lists::clone(&lists);
            left.retain(|_, kept| !over(kept));
            let left = Arc::new(left);
            place.lists.store(Arc::clone(&left));
            left
        } else {
            lists
        };
        let age = lists.values().map(|kept| at.saturating_duration_since(kept.fetched)).max();
        (wanted, lists.len(), age.unwrap_or_default())
    }
}

impl Kept {
    fn counts(&self, at: Instant) -> bool {
        at < self.until || (at < self.stale_until && self.failing.load(Ordering::Relaxed))
    }
}

/// For how long a list counts that was fetched at `now`.
fn life(list: &StatusList, rules: &config::StatusLists, now: i64) -> Duration {
    let told = list.ttl_seconds().unwrap_or(rules.most_seconds);
    let kept = told.clamp(rules.least_seconds, rules.most_seconds);
    let left = list.expires().map_or(u64::MAX, |end| u64::try_from(end.saturating_sub(now)).unwrap_or_default());
    Duration::from_secs(kept.min(left))
}

/// Who was not used for longest goes, but not the one that has just come.
fn make_room(lists: &mut Lists, new: &Arc<str>, rules: &config::StatusLists) {
    let bytes = |lists: &Lists| lists.values().map(|kept| kept.list.bytes()).fold(0, usize::saturating_add);
    while lists.len() > rules.max_lists || bytes(lists) > rules.max_bytes {
        let others = lists.iter().filter(|(uri, _)| *uri != new);
        let oldest = others.min_by_key(|(_, kept)| (kept.used_at.load(Ordering::Relaxed), kept.fetched));
        let Some(oldest) = oldest.map(|(uri, _)| Arc::clone(uri)) else { return };
        lists.remove(&oldest);
    }
}

impl StatusLists for Shelf {
    fn find(&self, issuer: &str, uri: &str, now: i64) -> Option<Arc<StatusList>> {
        let place = self.places.iter().find(|place| place.issuer == issuer)?;
        let lists = place.lists.load();
        let kept = lists.get(uri)?;
        self.used(kept, Instant::now()).filter(|list| list.is_current(now))
    }
}
