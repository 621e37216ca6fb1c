//! How it stands with the shared memory of spent proofs, for the whole process: who remembers now, and the watermark at every switch.
//!
//! Every worker has a link of its own. Where the process is to go on alone, it does so as one: two workers of which one asks Redis and
//! the other its own memory would each accept the same proof.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::config::OnUnavailable;
use crate::edge::spent::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// Replicas' clocks may differ by so much: an epoch began by the clock of one of them.
const CLOCKS_SECONDS: i64 = 2;

/// Who remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Redis has not been looked at yet: nobody.
    Starting,
    /// Redis.
    Shared,
    /// Redis does not answer on every link: those that it answers on, for others nobody.
    Away,
    /// This process alone.
    Local,
}

impl State {
    const ALL: [Self; 4] = [Self::Starting, Self::Shared, Self::Away, Self::Local];

    /// The word for it in health and log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Shared => "shared",
            Self::Away => "unavailable",
            Self::Local => "local",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Starting => 0,
            Self::Shared => 1,
            Self::Away => 2,
            Self::Local => 3,
        }
    }
}

/// One for the process.
pub struct Standing {
    on_unavailable: OnUnavailable,
    memory: Arc<Memory>,
    future_skew_seconds: i64,
    clock: fn() -> i64,
    metrics: Arc<Metrics>,
    state: AtomicU8,
    /// Of each link: whether Redis answers on it, once that is known.
    links: Mutex<Vec<Option<bool>>>,
    why: Mutex<Option<String>>,
    trouble: Notify,
}

impl Standing {
    /// Nobody has looked yet. `memory` is the process's own.
    #[must_use]
    pub fn new(
        on_unavailable: OnUnavailable,
        memory: Arc<Memory>,
        future_skew_seconds: i64,
        clock: fn() -> i64,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (links, why) = (Mutex::default(), Mutex::default());
        let state = AtomicU8::new(State::Starting.number());
        let trouble = Notify::new();
        Self { on_unavailable, memory, future_skew_seconds, clock, metrics, state, links, why, trouble }
    }

    /// One more link; its number.
    pub fn join(&self) -> usize {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(None);
        links.len().saturating_sub(1)
    }

    /// Who remembers now.
    #[must_use]
    pub fn state(&self) -> State {
        let number = self.state.load(Ordering::Acquire);
        State::ALL.into_iter().find(|state| state.number() == number).unwrap_or(State::Starting)
    }

    /// Why it is not as it should be.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Redis answers on a link.
    pub fn up(&self, link: usize) {
        self.report(link, true, None);
    }

    /// Redis does not answer on a link, and why.
    pub fn down(&self, link: usize, why: &str) {
        self.report(link, false, Some(why));
        self.trouble.notify_waiters();
    }

    /// When Redis does not answer on some link: the others look too.
    pub fn trouble(&self) -> Notified<'_> {
        self.trouble.notified()
    }

    fn report(&self, link: usize, answers: bool, why: Option<&str>) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = links.get_mut(link) {
            *known = Some(answers);
        }
        let before = self.state();
        let state = if links.iter().all(|link| *link == Some(true)) {
            State::Shared
        } else if !links.contains(&Some(false))
            || (before == State::Starting && self.on_unavailable == OnUnavailable::Deny)
        {
            before
        } else {
            match self.on_unavailable {
                OnUnavailable::Deny => State::Away,
                OnUnavailable::Local => State::Local,
            }
        };
        if let Some(why) = why {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        } else if state == State::Shared {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        if before == state {
            return;
        }
        if (before == State::Local) != (state == State::Local) {
            // Before anybody asks the other memory: what the one was told the other does not know.
            self.forgets();
        }
        self.state.store(state.number(), Ordering::Release);
        self.metrics.spent_store(state == State::Shared, state == State::Local);
        let (spent, was) = (state.name(), before.name());
        if state == State::Shared {
            tracing::info!(spent, was, "spent proofs");
        } else {
            tracing::warn!(spent, was, why, "spent proofs");
        }
    }

    /// Proofs may have been forgotten now.
    pub fn forgets(&self) {
        self.forgot((self.clock)());
    }

    /// Proofs may have been forgotten then: those that were made before are refused, and those that could be dated ahead then.
    pub fn forgot(&self, when: i64) {
        let now = (self.clock)();
        // An epoch of a clock that is ahead of ours must not refuse proofs for as long as that clock likes.
        let watermark = when.min(now).saturating_add(self.future_skew_seconds).saturating_add(CLOCKS_SECONDS);
        if self.memory.raise(watermark) && watermark >= now {
            self.metrics.spent_lost();
            tracing::warn!(
                made_until = watermark,
                "spent proofs may have been forgotten: those made until then are refused"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    const NOW: i64 = 1_800_000_000;
    /// The skew, and what clocks may differ by.
    const REFUSED: i64 = NOW + 12;

    fn standing(on_unavailable: OnUnavailable, links: usize) -> (Standing, Arc<Memory>) {
        let memory = Arc::new(Memory::new(1_000, 100, i64::MIN));
        let metrics = Arc::new(Metrics::new().unwrap());
        let standing = Standing::new(on_unavailable, Arc::clone(&memory), 10, || NOW, metrics);
        for link in 0..links {
            assert_eq!(standing.join(), link);
        }
        (standing, memory)
    }

    #[test]
    fn it_is_shared_when_redis_answers_on_every_link() {
        for on_unavailable in [OnUnavailable::Deny, OnUnavailable::Local] {
            let (standing, memory) = standing(on_unavailable, 2);
            standing.up(0);
            assert_eq!(standing.state(), State::Starting);
            standing.up(1);
            assert_eq!((standing.state(), memory.watermark()), (State::Shared, i64::MIN), "nothing was lost");
        }
    }

    #[test]
    fn who_denies_forgets_nothing_and_starts_only_once() {
        let (standing, memory) = standing(OnUnavailable::Deny, 2);
        standing.down(0, "gone");
        assert_eq!((standing.state(), standing.why()), (State::Starting, Some("gone".to_owned())));
        standing.up(0);
        standing.up(1);
        standing.down(1, "gone");
        assert_eq!(standing.state(), State::Away);
        standing.up(1);
        assert_eq!((standing.state(), standing.why()), (State::Shared, None));
        assert_eq!(memory.watermark(), i64::MIN);
    }

    #[test]
    fn a_process_goes_on_alone_as_one_and_comes_back_as_one() {
        let (standing, memory) = standing(OnUnavailable::Local, 2);
        standing.up(0);
        standing.up(1);
        standing.down(0, "gone");
        assert_eq!((standing.state(), memory.watermark()), (State::Local, REFUSED), "with one link, all of it");
        standing.down(1, "gone");
        standing.up(0);
        assert_eq!(standing.state(), State::Local, "and not back with one");
        standing.up(1);
        assert_eq!(standing.state(), State::Shared);
    }

    #[test]
    fn every_switch_raises_the_watermark() {
        let (standing, memory) = standing(OnUnavailable::Local, 1);
        standing.down(0, "gone");
        assert_eq!(memory.watermark(), REFUSED, "from the start to alone");
        let (standing, memory) = self::standing(OnUnavailable::Local, 1);
        standing.state.store(State::Local.number(), Ordering::Release);
        standing.up(0);
        assert_eq!((standing.state(), memory.watermark()), (State::Shared, REFUSED), "from alone to shared");
    }

    #[test]
    fn an_epoch_of_a_clock_that_is_ahead_counts_as_now_and_an_old_one_as_old() {
        let (standing, memory) = standing(OnUnavailable::Deny, 1);
        standing.forgot(NOW - 1_000);
        assert_eq!(memory.watermark(), REFUSED - 1_000);
        standing.forgot(NOW + 1_000_000);
        assert_eq!(memory.watermark(), REFUSED);
        standing.forgot(NOW - 1_000);
        assert_eq!(memory.watermark(), REFUSED, "it never goes back");
    }
}
