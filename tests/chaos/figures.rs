//! Judges every answer of a load, and counts.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Edge, told};
use crate::load::{Phase, Shot};
use crate::mix::Must;

/// So many good requests in a row that pass: it has recovered.
const IN_A_ROW: usize = 10;
/// Of the good requests without a fault so many percent must pass; the machine may be busy with other things.
const CALM_PERCENT: usize = 95;

/// What became of a load.
pub struct Figures {
    shots: Vec<Shot>,
    /// Request id to the decision's code; `-` where Envoy got none.
    codes: HashMap<String, String>,
    healed: Instant,
    /// How long after the fault had been taken away until good requests passed.
    pub recovery: Duration,
    /// Spent proofs that were sent again.
    pub replays: usize,
}

/// When the first of many good requests in a row was sent that all passed, after this time.
pub fn recovered(shots: &[Shot], healed: Instant) -> Option<Instant> {
    let mut good: Vec<_> = shots.iter().filter(|shot| shot.is_good() && shot.begun >= healed).collect();
    good.sort_by_key(|shot| shot.begun);
    good.windows(IN_A_ROW).find(|row| row.iter().all(|shot| shot.passed())).map(|row| row[0].begun)
}

impl Figures {
    /// Panics if anything passed that may not.
    pub fn of(edge: &Edge, shots: Vec<Shot>, healed: Instant) -> Self {
        // Envoy's log is written by a thread of its own, every 20 ms.
        std::thread::sleep(Duration::from_millis(300));
        let codes = codes(edge);
        let wrong = wrong_allows(edge, &shots, &codes);
        assert!(wrong.is_empty(), "{} wrong allows:\n{}", wrong.len(), wrong.join("\n"));
        let recovery = recovered(&shots, healed).expect("it recovered") - healed;
        let replays = replays_of_spent(&shots);
        assert!(replays > 10, "only {replays} spent proofs were sent again");
        let figures = Self { shots, codes, healed, recovery, replays };
        figures.must_be_well(Phase::Calm, healed);
        figures.must_be_well(Phase::After, healed + recovery);
        let unanswered = figures.shots.iter().filter(|shot| shot.status.is_none()).count();
        assert_eq!(unanswered, 0, "Envoy left requests without an answer");
        figures
    }

    #[track_caller]
    fn must_be_well(&self, phase: Phase, from: Instant) {
        let good = || self.good(phase).filter(|shot| phase != Phase::After || shot.begun >= from);
        let (all, passed) = (good().count(), good().filter(|shot| shot.passed()).count());
        let denied = self.tally(good().filter(|shot| !shot.passed()));
        assert!(all > 10, "{phase:?}: only {all} good requests");
        assert!(passed * 100 >= all * CALM_PERCENT, "{phase:?}: {passed} of {all} good requests passed: {denied:?}");
    }

    /// The fault is none to good requests.
    #[track_caller]
    pub fn well_in_fault(&self) {
        self.must_be_well(Phase::Fault, self.healed);
    }

    fn good(&self, phase: Phase) -> impl Iterator<Item = &Shot> {
        self.shots.iter().filter(move |shot| shot.is_good() && shot.phase == phase)
    }

    fn tally<'s>(&self, shots: impl Iterator<Item = &'s Shot>) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for shot in shots {
            *tally.entry(self.code(shot).to_owned()).or_default() += 1;
        }
        tally
    }

    fn code(&self, shot: &Shot) -> &str {
        code(&self.codes, shot)
    }

    /// Requests, all of them.
    pub fn sent(&self) -> usize {
        self.shots.len()
    }

    /// Good requests during the fault: all, and those denied.
    pub fn good_in_fault(&self) -> (usize, usize) {
        (self.good(Phase::Fault).count(), self.good(Phase::Fault).filter(|shot| !shot.passed()).count())
    }

    /// The codes with which good requests were denied during the fault.
    pub fn denied_in_fault(&self) -> BTreeMap<String, usize> {
        self.tally(self.good(Phase::Fault).filter(|shot| !shot.passed()))
    }

    /// Codes of one kind, during the fault.
    pub fn codes_of(&self, kind: &str) -> BTreeMap<String, usize> {
        self.tally(self.shots.iter().filter(|shot| shot.kind == kind && shot.phase == Phase::Fault))
    }

    /// All requests of one kind during the fault came to this code; there were some.
    #[track_caller]
    pub fn all_of(&self, kind: &str, code: &str) {
        let codes = self.codes_of(kind);
        assert!(codes.len() == 1 && codes.contains_key(code), "{kind} must be {code}: {codes:?}");
    }

    /// At least so many percent of the good requests of a kind passed during the fault.
    #[track_caller]
    pub fn served(&self, kind: &str, percent: usize) {
        let codes = self.codes_of(kind);
        let (passed, all) = (codes.get("allowed").copied().unwrap_or_default(), codes.values().sum::<usize>());
        assert!(all > 0 && passed * 100 >= all * percent, "{kind}: {codes:?}");
    }

    /// Good requests were denied during the fault with this code.
    #[track_caller]
    pub fn denied_with(&self, code: &str) {
        let codes = self.denied_in_fault();
        assert!(codes.contains_key(code), "no good request was denied with {code}: {codes:?}");
    }

    /// How long after the fault had been taken away a request of this kind passed.
    pub fn first_pass(&self, kind: &str) -> Duration {
        let passed = self.shots.iter().filter(|shot| shot.kind == kind && shot.phase == Phase::After && shot.passed());
        passed.map(|shot| shot.begun).min().expect("one passed") - self.healed
    }

    /// How many requests were denied with this code after the fault.
    pub fn denied_after(&self, code: &str) -> usize {
        self.shots.iter().filter(|shot| shot.phase == Phase::After && self.code(shot) == code).count()
    }

    /// How long denials took during the fault: half of them, 99 of 100, all.
    pub fn denials(&self) -> [Duration; 3] {
        let denied = self.shots.iter().filter(|shot| shot.phase == Phase::Fault && !shot.passed());
        let mut took: Vec<_> = denied.map(|shot| shot.took).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
        [50, 99, 100].map(|percent| at(percent).copied().unwrap_or_default())
    }
}

/// Every decision that Envoy logged, by the id of its request.
fn codes(edge: &Edge) -> HashMap<String, String> {
    let log = told::rest_of(&edge.access_log, 0);
    let lines = log.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let named = lines.filter_map(|line| {
        let code = line["decision"]["code"].as_str().unwrap_or("-");
        Some((line["request_id"].as_str()?.to_owned(), code.to_owned()))
    });
    named.collect()
}

fn code<'c>(codes: &'c HashMap<String, String>, shot: &Shot) -> &'c str {
    shot.id.as_ref().and_then(|id| codes.get(id)).map_or("-", String::as_str)
}

/// Whatever got to the API, or was answered as if it had, and may not have.
fn wrong_allows(edge: &Edge, shots: &[Shot], codes: &HashMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut passes: HashMap<u64, usize> = HashMap::new();
    for shot in shots {
        let (times, reached) = edge.upstream.reached(&shot.mark);
        let passes_now = times.max(usize::from(shot.passed()));
        let mut tell = |what: &str| {
            let (kind, phase, status, code) = (shot.kind, shot.phase, shot.status, code(codes, shot));
            wrong.push(format!("{what}: {kind} in {phase:?}, status {status:?}, code {code}, {times} times"));
        };
        match (passes_now, shot.must) {
            (0, _) | (1, Must::Pass | Must::Either) => {}
            (_, Must::Fail) => tell("it must be denied"),
            (_, _) => tell("the API was reached more than once"),
        }
        if let Some(reached) = reached
            && reached.header("x-keybound-proof") != Some(shot.proven)
        {
            tell("the API was told another proof");
        }
        if let Some(proof) = shot.proof {
            let all = passes.entry(proof).or_default();
            *all += passes_now;
            if passes_now > 0 && *all > 1 {
                tell("a proof passed twice");
            }
        }
    }
    wrong
}

/// How often a proof was sent that had passed by then.
fn replays_of_spent(shots: &[Shot]) -> usize {
    let mut spent: HashMap<u64, Instant> = HashMap::new();
    for shot in shots.iter().filter(|shot| shot.passed()) {
        if let Some(proof) = shot.proof {
            spent.insert(proof, shot.begun + shot.took);
        }
    }
    let again = |shot: &&Shot| {
        let at = shot.proof.and_then(|proof| spent.get(&proof));
        at.is_some_and(|at| shot.begun > *at)
    };
    shots.iter().filter(again).count()
}
