//! What a listener does when it cannot accept: no file descriptors left, say. It goes on, in no haste, and says so now and then.
//! What strangers can cause at will is told seldom: a log that they fill has no room for denials.

use std::io;
use std::time::{Duration, Instant};

/// Between an accept that failed and the next try: short against any timeout of a caller, long against a loop that spins.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two lines of the log about one thing: at that pause there would be twenty a second.
const INTERVAL: Duration = Duration::from_secs(10);

/// Something that is told once per interval, with how often it came.
#[derive(Default)]
pub struct Seldom {
    told: Option<Instant>,
    untold: u64,
}

/// One listener's.
pub struct Patience {
    listener: String,
    failures: Seldom,
}

impl Seldom {
    /// It came; how often it did since it was last told, if it is time to tell.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < INTERVAL) {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.untold))
    }
}

impl Patience {
    /// That of a listener with this name.
    #[must_use]
    pub fn new(listener: &str) -> Self {
        Self { listener: listener.to_owned(), failures: Seldom::default() }
    }

    /// What comes between an accept that failed and the next try.
    pub async fn after(&mut self, error: io::Error) {
        // The fault of one connection, which is over: the next one must not wait for that.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        if let Some(times) = self.failures.due(Instant::now()) {
            tracing::error!(listener = self.listener, %error, times, "connections cannot be accepted");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    /// EMFILE.
    const NO_DESCRIPTORS: i32 = 24;

    #[tokio::test]
    async fn without_descriptors_it_goes_on_and_does_not_spin() {
        let mut patience = Patience::new("edge");
        let begun = Instant::now();
        for _ in 0..4 {
            patience.after(io::Error::from_raw_os_error(NO_DESCRIPTORS)).await;
        }
        assert!(begun.elapsed() >= PAUSE * 4, "{:?}", begun.elapsed());
        assert_eq!(patience.failures.untold, 3, "told once");
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_holds_nobody_up() {
        let mut patience = Patience::new("edge");
        let begun = Instant::now();
        for _ in 0..1_000 {
            patience.after(io::ErrorKind::ConnectionReset.into()).await;
        }
        assert!(begun.elapsed() < PAUSE * 100, "{:?}", begun.elapsed());
    }

    #[test]
    fn it_is_told_once_per_interval_with_how_often_it_came() {
        let mut failures = Seldom::default();
        let begun = Instant::now();
        assert_eq!(failures.due(begun), Some(1));
        assert_eq!((0..19).filter_map(|_| failures.due(begun + PAUSE)).count(), 0);
        assert_eq!(failures.due(begun + INTERVAL), Some(20));
    }
}
