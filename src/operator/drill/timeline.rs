//! What the tries at one way in come to. Pure: told what each try came to and when, it says when the revocation bit there, and whether
//! that was soon enough.
//!
//! An allow ends what was denied before, whenever it comes. What is neither an allow nor a denial (no answer, 503, another 401) proves
//! nothing: it ends a run of denials too, unless that has held for as long as it must.

use std::time::Duration;

use serde::Serialize;

use crate::edge::drill::entrance::Said;

/// What one try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The canary passed.
    Allowed,
    /// It was refused as one whose token is not valid.
    Denied,
    /// Neither can be said.
    Broken,
}

/// Which answers are which.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Statuses of an allow; 2xx if there are none.
    pub allowed: Vec<u16>,
    /// Statuses of a denial, beside 401 with `invalid_token`.
    pub denied: Vec<u16>,
}

impl Rules {
    /// What this answer is.
    #[must_use]
    pub fn outcome(&self, answer: &Result<Said, String>) -> Outcome {
        let Ok(said) = answer else { return Outcome::Broken };
        let (success, invalid) = (200..300, said.error.as_deref() == Some("invalid_token"));
        if self.denied.contains(&said.status) || (said.status == 401 && invalid) {
            Outcome::Denied
        } else if self.allowed.contains(&said.status) || (self.allowed.is_empty() && success.contains(&said.status)) {
            Outcome::Allowed
        } else {
            Outcome::Broken
        }
    }
}

/// How soon, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// It must be denied for good by then.
    pub objective: Duration,
    /// So long it must stay denied to be denied for good.
    pub hold: Duration,
}

/// How one way in stood to the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Denied for good within the objective.
    Held,
    /// Denied for good, later.
    Slow,
    /// Never denied.
    Never,
    /// Denied, and allowed again, to the end.
    Flapped,
    /// At the end neither allowed nor denied could be said.
    Broken,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Slow => "TOO SLOW",
            Self::Never => "NEVER DENIED",
            Self::Flapped => "NOT DENIED FOR GOOD",
            Self::Broken => "BROKEN",
        }
    }
}

/// The tries so far. Times are since the revocation was sent.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// How many were allowed.
    pub allowed: u64,
    /// How many were denied.
    pub denied: u64,
    /// How many were neither.
    pub broken: u64,
    /// How often it was allowed again.
    pub flaps: u64,
    /// When the last allow was answered.
    pub last_allowed: Option<Duration>,
    /// When the first denial was.
    pub first_denied: Option<Duration>,
    run: Option<(Duration, Duration)>,
    last: Option<Outcome>,
}

impl Timeline {
    /// One more try, answered at this time. Whether a run of denials begins with it.
    pub fn push(&mut self, at: Duration, outcome: Outcome, hold: Duration) -> bool {
        let begins = outcome == Outcome::Denied && self.run.is_none();
        match outcome {
            Outcome::Allowed => {
                self.allowed = self.allowed.saturating_add(1);
                self.last_allowed = Some(at);
                let again = self.first_denied.is_some() && self.last != Some(Outcome::Allowed);
                self.flaps = self.flaps.saturating_add(u64::from(again));
                self.run = None;
            }
            Outcome::Denied => {
                self.denied = self.denied.saturating_add(1);
                self.first_denied.get_or_insert(at);
                self.run = Some((self.run.map_or(at, |(since, _)| since), at));
            }
            Outcome::Broken => {
                self.broken = self.broken.saturating_add(1);
                if !self.is_settled(hold) {
                    self.run = None;
                }
            }
        }
        self.last = Some(outcome);
        begins
    }

    /// Whether it has been denied for as long as it must.
    #[must_use]
    pub fn is_settled(&self, hold: Duration) -> bool {
        self.run.is_some_and(|(since, until)| until.saturating_sub(since) >= hold)
    }

    /// Whether it is denied at present.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.run.is_some()
    }

    /// Since when it is denied for good.
    #[must_use]
    pub fn held_since(&self, hold: Duration) -> Option<Duration> {
        self.run.filter(|_| self.is_settled(hold)).map(|(since, _)| since)
    }

    /// How it stands.
    #[must_use]
    pub fn verdict(&self, bounds: Bounds) -> Verdict {
        match self.held_since(bounds.hold) {
            Some(since) if since <= bounds.objective => Verdict::Held,
            Some(_) => Verdict::Slow,
            None if matches!(self.last, None | Some(Outcome::Broken)) => Verdict::Broken,
            None if self.first_denied.is_none() => Verdict::Never,
            None => Verdict::Flapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Allowed, Broken, Denied};
    use super::*;

    const HOLD: Duration = Duration::from_millis(200);
    const BOUNDS: Bounds = Bounds { objective: Duration::from_secs(1), hold: HOLD };

    /// A try every 100 milliseconds, one letter each.
    fn timeline(tries: &str) -> Timeline {
        let mut timeline = Timeline::default();
        for (count, letter) in (0_u64..).zip(tries.chars()) {
            let outcome = match letter {
                'a' => Allowed,
                'd' => Denied,
                _ => Broken,
            };
            timeline.push(Duration::from_millis(count.saturating_mul(100)), outcome, HOLD);
        }
        timeline
    }

    #[test]
    fn an_objective_holds_when_it_is_denied_for_good_in_time() {
        for (tries, verdict, held) in [
            ("ddd", Verdict::Held, Some(0)),
            ("aaddd", Verdict::Held, Some(200)),
            ("aaaaaaaaaaddd", Verdict::Held, Some(1_000)),
            ("aaaaaaaaaaaddd", Verdict::Slow, Some(1_100)),
            ("aaaaaaaaaaaaaa", Verdict::Never, None),
            // Replicas behind one address: it counts from the last one on.
            ("adadaaddd", Verdict::Held, Some(600)),
            ("adadaaaaaaaaddd", Verdict::Slow, Some(1_200)),
            ("adada", Verdict::Flapped, None),
            ("addda", Verdict::Flapped, None),
            ("addd.a", Verdict::Flapped, None),
            // Nobody knows what the denials were worth yet.
            ("add", Verdict::Flapped, None),
            // What is broken is no denial, neither before nor between; afterwards it changes nothing.
            ("....", Verdict::Broken, None),
            ("aaa....", Verdict::Broken, None),
            ("a....a", Verdict::Never, None),
            ("add.ddd", Verdict::Held, Some(400)),
            ("add.........ddd", Verdict::Slow, Some(1_200)),
            ("addd.........", Verdict::Held, Some(100)),
            ("add.", Verdict::Broken, None),
            ("", Verdict::Broken, None),
        ] {
            let timeline = timeline(tries);
            let since = timeline.held_since(HOLD).map(|since| since.as_millis());
            assert_eq!((timeline.verdict(BOUNDS), since), (verdict, held), "{tries}");
        }
    }

    #[test]
    fn a_timeline_counts_what_there_was() {
        let timeline = timeline("aada.ddd");
        let counts = (timeline.allowed, timeline.denied, timeline.broken, timeline.flaps);
        assert_eq!(counts, (3, 4, 1, 1));
        let millis = [timeline.last_allowed, timeline.first_denied].map(|at| at.map(|at| at.as_millis()));
        assert_eq!(millis, [Some(300), Some(200)]);
        let mut run = Timeline::default();
        let begun: Vec<_> = [Denied, Denied, Allowed, Denied].map(|outcome| run.push(HOLD, outcome, HOLD)).into();
        assert_eq!(begun, [true, false, false, true]);
    }

    #[test]
    fn only_an_invalid_token_is_a_denial_unless_it_is_said() {
        let said =
            |status, error: Option<&str>| Ok(Said { status, error: error.map(str::to_owned), ..Said::default() });
        let outcomes = |rules: &Rules| {
            [
                said(200, None),
                said(204, None),
                said(401, Some("invalid_token")),
                said(401, None),
                said(401, Some("invalid_dpop_proof")),
                said(403, Some("invalid_token")),
                said(403, None),
                said(404, None),
                said(503, None),
                Err("refused".to_owned()),
            ]
            .map(|answer| rules.outcome(&answer))
        };
        let usual = [Allowed, Allowed, Denied, Broken, Broken, Broken, Broken, Broken, Broken, Broken];
        assert_eq!(outcomes(&Rules::default()), usual);
        let other = Rules { allowed: vec![404], denied: vec![403] };
        let told = [Broken, Broken, Denied, Broken, Broken, Denied, Denied, Allowed, Broken, Broken];
        assert_eq!(outcomes(&other), told);
    }
}
