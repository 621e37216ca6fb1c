//! How often one issuer is asked: calls at once, calls in a second, and a pause after calls that failed.
//!
//! Told the time; what is over a bound is refused at once, and nobody waits for a place.

use std::time::{Duration, Instant};

/// Calls in a row that failed, after which the issuer is left alone for a while: it has no use for more.
const FAILURES: u32 = 5;
/// For how long. The call after that decides whether it is left alone once more.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may, and is counted.
    Granted,
    /// There are too many.
    OverBudget,
    /// The issuer is left alone for a while.
    BackingOff,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The issuer works.
    Good,
    /// It does not.
    Failed,
    /// Nothing is said of it: the answer may be the token's fault.
    Neither,
}

/// What that changes, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first call that failed.
    Failing,
    /// The last of those that it takes to be left alone.
    Pausing,
    /// The first good one after that.
    Recovered,
    /// Nothing.
    None,
}

/// The budget of one issuer.
pub struct Budget {
    max_in_flight: usize,
    in_flight: usize,
    per_second: f64,
    /// Calls that may be made now: they come back over time, a second's worth at most.
    left: f64,
    counted_at: Instant,
    failures: u32,
    paused_until: Option<Instant>,
}

impl Budget {
    pub fn new(max_in_flight: usize, max_per_second: u32, at: Instant) -> Self {
        let per_second = f64::from(max_per_second);
        Self {
            max_in_flight,
            in_flight: 0,
            per_second,
            left: per_second,
            counted_at: at,
            failures: 0,
            paused_until: None,
        }
    }

    /// Asks for a call.
    pub fn admit(&mut self, at: Instant) -> Admission {
        if self.paused_until.is_some_and(|until| at < until) {
            return Admission::BackingOff;
        }
        let passed = at.saturating_duration_since(self.counted_at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        self.counted_at = at;
        if self.in_flight >= self.max_in_flight || self.left < 1.0 {
            return Admission::OverBudget;
        }
        self.left -= 1.0;
        self.in_flight = self.in_flight.saturating_add(1);
        Admission::Granted
    }

    /// A call that was granted has ended.
    pub fn ended(&mut self, ending: Ending, at: Instant) -> Turn {
        self.in_flight = self.in_flight.saturating_sub(1);
        match ending {
            Ending::Neither => Turn::None,
            Ending::Good => {
                self.paused_until = None;
                if core::mem::take(&mut self.failures) == 0 { Turn::None } else { Turn::Recovered }
            }
            Ending::Failed => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES {
                    self.paused_until = at.checked_add(PAUSE);
                }
                match self.failures {
                    1 => Turn::Failing,
                    FAILURES => Turn::Pausing,
                    _ => Turn::None,
                }
            }
        }
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn calls_at_once_are_bounded_and_come_back() {
        let at = Instant::now();
        let mut budget = Budget::new(2, 100, at);
        assert_eq!([budget.admit(at), budget.admit(at)], [Admission::Granted; 2]);
        assert_eq!(budget.admit(at), Admission::OverBudget);
        assert_eq!(budget.ended(Ending::Good, at), Turn::None);
        assert_eq!((budget.in_flight(), budget.admit(at)), (1, Admission::Granted));
    }

    #[test]
    fn calls_in_a_second_are_bounded_whatever_came_before() {
        let mut at = Instant::now();
        let mut budget = Budget::new(1_000, 10, at);
        let granted =
            |budget: &mut Budget, at: Instant| (0..100).filter(|_| budget.admit(at) == Admission::Granted).count();
        assert_eq!(granted(&mut budget, at), 10);
        at += Duration::from_millis(500);
        assert_eq!(granted(&mut budget, at), 5);
        // An hour of rest is worth a second.
        at += Duration::from_secs(3_600);
        assert_eq!(granted(&mut budget, at), 10);
    }

    #[test]
    fn an_issuer_that_fails_is_left_alone_for_a_second_at_a_time() {
        let at = Instant::now();
        let mut budget = Budget::new(100, 100, at);
        let fail = |budget: &mut Budget, at: Instant| {
            assert_eq!(budget.admit(at), Admission::Granted);
            budget.ended(Ending::Failed, at)
        };
        let turns: Vec<_> = (0..5).map(|_| fail(&mut budget, at)).collect();
        assert_eq!(turns, [Turn::Failing, Turn::None, Turn::None, Turn::None, Turn::Pausing]);
        assert_eq!(budget.admit(at + Duration::from_millis(999)), Admission::BackingOff);
        // One more failure, and it is left alone at once.
        assert_eq!(fail(&mut budget, at + PAUSE), Turn::None);
        assert_eq!(budget.admit(at + PAUSE), Admission::BackingOff);
        // One that is good, and all is well.
        assert_eq!(budget.admit(at + PAUSE * 2), Admission::Granted);
        assert_eq!(budget.ended(Ending::Good, at + PAUSE * 2), Turn::Recovered);
        assert_eq!(fail(&mut budget, at + PAUSE * 2), Turn::Failing);
        assert_eq!(budget.admit(at + PAUSE * 2), Admission::Granted);
    }

    #[test]
    fn what_may_be_a_tokens_fault_pauses_nobody() {
        let at = Instant::now();
        let mut budget = Budget::new(100, 100, at);
        for _ in 0..50 {
            assert_eq!(budget.admit(at), Admission::Granted);
            assert_eq!(budget.ended(Ending::Neither, at), Turn::None);
        }
        assert_eq!(budget.admit(at), Admission::Granted);
    }
}
