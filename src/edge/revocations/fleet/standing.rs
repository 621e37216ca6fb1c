//! How it stands with the other replicas: when all that they had told was known here, for health, metrics and the list.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::OnStale;
use crate::edge::revocations::list::Source;

/// What does not verify is found again within so many seconds, where there are some 75,000 records at most.
const LOOKED_THROUGH_SECONDS: i64 = 600;

/// One for the process.
pub struct Standing {
    stale_after_seconds: i64,
    on_stale: OnStale,
    heard: Arc<Source>,
    clock: fn() -> i64,
    state: Mutex<State>,
}

struct State {
    /// When all that the fleet knew was known here, Unix seconds; when this process began, until then.
    last: i64,
    has_caught_up: bool,
    /// Why nothing is heard now.
    why: Option<String>,
    /// Why the others are not told now.
    untold: Option<String>,
    /// When something was found last that no key verifies, Unix seconds.
    unverified: Option<i64>,
    /// It has been said that what was heard is too old.
    told_stale: bool,
}

/// What can be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Whether all that the fleet knew was known here at some time.
    pub has_caught_up: bool,
    /// Seconds since then, or since the start.
    pub seconds: i64,
    /// Whether that is longer than the bound, or it never was.
    pub is_stale: bool,
}

impl Standing {
    /// Nothing was heard yet. `heard` is told how long what was heard is good.
    #[must_use]
    pub fn new(stale_after_seconds: i64, on_stale: OnStale, heard: Arc<Source>, clock: fn() -> i64) -> Self {
        let state =
            State { last: clock(), has_caught_up: false, why: None, untold: None, unverified: None, told_stale: false };
        Self { stale_after_seconds, on_stale, heard, clock, state: Mutex::new(state) }
    }

    /// All that the fleet knew then, Unix seconds, is known here.
    pub fn heard(&self, then: i64) {
        let mut state = self.state();
        let was_away = state.why.take().is_some() || !state.has_caught_up;
        state.has_caught_up = true;
        state.told_stale = false;
        state.last = then;
        drop(state);
        self.heard.good_until(then.saturating_add(self.stale_after_seconds));
        if was_away {
            tracing::info!("revocations are heard from the fleet, and told to it");
        }
    }

    /// Nothing is heard now, and why.
    pub fn lost(&self, why: &str) {
        if self.state().why.replace(why.to_owned()).is_none() {
            tracing::warn!(
                why,
                "revocations of other replicas are not heard now: those that are asked meanwhile come later"
            );
        }
        if self.now().is_stale && !core::mem::replace(&mut self.state().told_stale, true) {
            let then = self.consequence();
            tracing::error!(
                why,
                stale_after_seconds = self.stale_after_seconds,
                then,
                "revocations of other replicas are stale"
            );
        }
    }

    /// Nothing was heard yet, and why, though Redis answers.
    pub fn waits(&self, why: &str) {
        let mut state = self.state();
        if !state.has_caught_up && state.why.as_deref() != Some(why) {
            state.why = Some(why.to_owned());
            drop(state);
            tracing::info!(why, "revocations of other replicas are waited for");
        }
    }

    /// Something stands in Redis that no key of this replica verifies.
    pub fn unverified(&self) {
        self.state().unverified = Some((self.clock)());
    }

    /// What being stale comes to.
    const fn consequence(&self) -> &'static str {
        match self.on_stale {
            OnStale::Deny => "requests with a token are denied",
            OnStale::Serve => "what others revoked meanwhile passes here",
        }
    }

    /// The others are not told now, and why.
    pub fn untold(&self, why: &str) {
        if self.state().untold.replace(why.to_owned()).is_none() {
            tracing::error!(
                why,
                "other replicas cannot be told of revocations: they are in force here, and told when it works again"
            );
        }
    }

    /// The others were told.
    pub fn told(&self) {
        if self.state().untold.take().is_some() {
            tracing::info!("other replicas are told of revocations again");
        }
    }

    /// What can be said of it now.
    #[must_use]
    pub fn now(&self) -> Heard {
        let state = self.state();
        let seconds = (self.clock)().saturating_sub(state.last).max(0);
        let is_stale = !state.has_caught_up || seconds > self.stale_after_seconds;
        Heard { has_caught_up: state.has_caught_up, seconds, is_stale }
    }

    /// Whether all that the fleet knew was known here at some time.
    #[must_use]
    pub fn has_caught_up(&self) -> bool {
        self.state().has_caught_up
    }

    /// Why the process should not be asked yet, if it should not: who denies while nothing is heard has heard nothing so far.
    #[must_use]
    pub fn not_begun(&self) -> Option<Option<String>> {
        let state = self.state();
        (self.on_stale == OnStale::Deny && !state.has_caught_up).then(|| state.why.clone())
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Heard { has_caught_up, seconds, is_stale } = self.now();
        let state = self.state();
        let (why, untold) = (state.why.clone(), state.untold.clone());
        let now = (self.clock)();
        let unverified = state.unverified.is_some_and(|at| now.saturating_sub(at) < LOOKED_THROUGH_SECONDS);
        drop(state);
        let unverified = if unverified { "; SOME DO NOT VERIFY (compare revocations.shared.key_files)" } else { "" };
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let untold = untold.map(|why| format!("; THE OTHERS ARE NOT TOLD ({why})")).unwrap_or_default();
        let then = self.consequence();
        let heard = match (has_caught_up, is_stale, why.is_empty()) {
            (false, ..) => format!("NOT HEARD yet{why}: {then}"),
            (true, true, _) => format!("NOT HEARD for {seconds} s{why}: {then}"),
            (true, false, false) => format!("not heard for {seconds} s{why}"),
            (true, false, true) => "heard".to_owned(),
        };
        format!("revocations of the fleet: {heard}{untold}{unverified}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::decision::revocation::Revocations as _;
    use crate::edge::revocations::list::RevocationList;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn what_was_heard_is_good_for_so_long_and_no_second_longer() {
        static CLOCK: AtomicI64 = AtomicI64::new(NOW);
        let source = Source::silent();
        let list = RevocationList::new([Arc::clone(&source)]);
        let standing = Standing::new(30, OnStale::Deny, source, || CLOCK.load(Ordering::Relaxed));
        assert!(list.is_stale(NOW), "nothing was heard");
        assert_eq!(standing.not_begun(), Some(None));
        standing.lost("nobody listens there");
        assert_eq!(standing.not_begun(), Some(Some("nobody listens there".to_owned())));
        assert!(standing.line().contains("NOT HEARD yet (nobody listens there)"), "{}", standing.line());
        standing.heard(NOW - 1);
        assert_eq!(standing.not_begun(), None);
        assert_eq!(standing.line(), "revocations of the fleet: heard");
        assert!(!list.is_stale(NOW + 29) && list.is_stale(NOW + 30), "from when it was asked, not answered");
        standing.lost("gone");
        CLOCK.store(NOW + 29, Ordering::Relaxed);
        assert!(
            !standing.now().is_stale && standing.line().ends_with("not heard for 30 s (gone)"),
            "{}",
            standing.line()
        );
        CLOCK.store(NOW + 30, Ordering::Relaxed);
        assert!(
            standing.now().is_stale && standing.line().contains("NOT HEARD for 31 s (gone)"),
            "{}",
            standing.line()
        );
        standing.untold("Redis says OOM");
        assert!(standing.line().ends_with("; THE OTHERS ARE NOT TOLD (Redis says OOM)"));
        standing.told();
        standing.heard(NOW + 30);
        assert_eq!(standing.line(), "revocations of the fleet: heard");
        standing.unverified();
        assert!(standing.line().contains("; SOME DO NOT VERIFY"), "{}", standing.line());
        CLOCK.store(NOW + 30 + LOOKED_THROUGH_SECONDS, Ordering::Relaxed);
        assert!(!standing.line().contains("VERIFY"), "{}", standing.line());
    }

    #[test]
    fn who_serves_without_the_others_is_ready_without_them_and_says_so() {
        let standing = Standing::new(5, OnStale::Serve, Source::silent(), || NOW);
        standing.lost("gone");
        assert_eq!(standing.not_begun(), None);
        assert!(standing.line().contains("what others revoked meanwhile passes here"), "{}", standing.line());
    }
}
