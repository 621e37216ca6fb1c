//! The course of a drill: allowed everywhere first, then revoked while every way in is tried on and on.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;

use super::timeline::{Bounds, Outcome, Rules, Timeline};
use crate::edge::clock;
use crate::edge::drill::TRY;
use crate::edge::drill::entrance::{Entrance, Lanes, Said, Shown};
use crate::edge::revocations::admin::client::{self, Answered, Api, Unasked};

/// So often the canary must be allowed at each way in before it is revoked: on a new connection and on the one that stays.
pub const BEFORE: u64 = 3;

/// How the tries are made and what they are held against.
pub struct Plan {
    /// Which answers are which.
    pub rules: Rules,
    /// How soon, and for how long.
    pub bounds: Bounds,
    /// A way in that is not denied by then never is.
    pub timeout: Duration,
    /// From one try to the next.
    pub interval: Duration,
    /// Of each try.
    pub method: Method,
    /// Of each try.
    pub lanes: Lanes,
}

/// A way in and what became of it.
pub struct Line {
    /// What it is called; no other is called so.
    pub name: String,
    /// The way in.
    pub entrance: Entrance,
    timeline: RefCell<Timeline>,
    denial: RefCell<Option<Said>>,
    broke: RefCell<Option<String>>,
}

/// When and how the revocation was answered.
pub struct Revoked {
    /// Unix milliseconds.
    pub sent_at: i64,
    /// Unix milliseconds.
    pub answered_at: i64,
    /// From one to the other, by a clock that nobody sets.
    pub took: Duration,
    /// Whether a restart would remember it.
    pub stored: bool,
    /// What was answered.
    pub document: Value,
}

impl Revoked {
    /// Whether Redis had it for the other replicas by then, where they share.
    pub fn shared(&self) -> Option<bool> {
        self.document.get("shared").and_then(Value::as_bool)
    }
}

/// Why there is nothing to measure.
pub enum Unrevoked {
    /// It was refused: nothing is revoked.
    Refused(Unasked),
    /// There was no answer: nobody knows.
    Unknown(Unasked),
}

impl Line {
    /// Nothing was tried yet.
    pub fn new(name: String, entrance: Entrance) -> Self {
        Self { name, entrance, timeline: RefCell::default(), denial: RefCell::default(), broke: RefCell::default() }
    }

    /// What the tries came to.
    pub fn timeline(&self) -> Timeline {
        self.timeline.borrow().clone()
    }

    /// The denial that held, or the last that did not.
    pub fn denial(&self) -> Option<Said> {
        self.denial.borrow().clone()
    }

    /// What came last that was neither an allow nor a denial.
    pub fn broke(&self) -> Option<String> {
        self.broke.borrow().clone()
    }

    fn note(&self, at: Duration, answer: &Result<Said, String>, plan: &Plan) {
        let outcome = plan.rules.outcome(answer);
        let begins = self.timeline.borrow_mut().push(at, outcome, plan.bounds.hold);
        if let (true, Ok(said)) = (begins, answer) {
            self.denial.replace(Some(said.clone()));
        }
        if outcome == Outcome::Broken {
            self.broke.replace(Some(words(answer)));
        }
    }

    fn is_done(&self, elapsed: Duration, plan: &Plan) -> bool {
        let timeline = self.timeline.borrow();
        timeline.is_settled(plan.bounds.hold) || (elapsed >= plan.timeout && !timeline.is_denied())
    }
}

/// An answer in a few words.
pub fn words(answer: &Result<Said, String>) -> String {
    match answer {
        Ok(said) => denial_words(said),
        Err(why) => why.clone(),
    }
}

/// Status, error of the challenge, and the class of the denial if keybound names it.
pub fn denial_words(said: &Said) -> String {
    let error = said.error.as_ref().map_or_else(String::new, |error| format!(" {error}"));
    let class = said.class.as_ref().map_or_else(String::new, |class| format!(" ({class})"));
    format!("{}{error}{class}", said.status)
}

/// Sees the canary allowed at every way in.
///
/// # Errors
/// Where it is not, and what came instead.
pub async fn allowed_before(lines: &[Line], shown: &Shown, plan: &Plan) -> Result<(), Unasked> {
    let all = lines.iter().map(|line| async move {
        for _ in 0..BEFORE {
            let tried = line.entrance.attempt(shown).await;
            if plan.rules.outcome(&tried.answer) != Outcome::Allowed {
                let decision = tried.answer.as_ref().ok().and_then(|said| said.decision.clone());
                let decision =
                    decision.map_or_else(String::new, |id| format!("; the log of keybound has decision {id}"));
                return Some(format!("{} ({}): {}{decision}", line.name, line.entrance.url(), words(&tried.answer)));
            }
        }
        None
    });
    let refused: Vec<_> = join_all(all).await.into_iter().flatten().collect();
    if refused.is_empty() {
        return Ok(());
    }
    let remedy = "give a canary that may call every way in and that no earlier drill revoked, or --allowed-status; nothing was revoked";
    Err(Unasked(format!("error: not allowed before the drill:\n  {}\n  help: {remedy}", refused.join("\n  "))))
}

/// Revokes, and tries every way in until each is denied for good or its time is over.
///
/// # Errors
/// The revocation was refused, or nobody knows.
pub async fn run(lines: &[Line], shown: &Shown, plan: &Plan, (api, body): (&Api, &[u8])) -> Result<Revoked, Unrevoked> {
    let (sent_at, sent) = (clock::millis(), Instant::now());
    // Nothing yet, answered, or of no use any more.
    let asked = Cell::new(None);
    let is_over = || {
        let elapsed = sent.elapsed();
        // A way in that is denied and broken by turns ends here too.
        let latest = plan.timeout.saturating_add(plan.bounds.hold).saturating_add(TRY);
        match asked.get() {
            None => false,
            Some(false) => true,
            Some(true) => elapsed >= latest || lines.iter().all(|line| line.is_done(elapsed, plan)),
        }
    };
    let watched = lines.iter().map(|line| async {
        loop {
            let begun = Instant::now();
            let tried = line.entrance.attempt(shown).await;
            line.note(tried.at.saturating_duration_since(sent), &tried.answer, plan);
            if is_over() {
                return;
            }
            tokio::time::sleep(plan.interval.saturating_sub(begun.elapsed())).await;
        }
    });
    let revoked = async {
        let revoked = revoke(api, body, sent_at, sent).await;
        asked.set(Some(revoked.is_ok()));
        revoked
    };
    let (revoked, _) = tokio::join!(revoked, join_all(watched));
    revoked
}

async fn revoke(api: &Api, body: &[u8], sent_at: i64, sent: Instant) -> Result<Revoked, Unrevoked> {
    let Answered { status, document, .. } = api.post(body).await.map_err(Unrevoked::Unknown)?;
    let stored = match status {
        200 | 201 => true,
        503 if document.get("in_force").is_some() => false,
        _ => {
            let why = format!("NOT REVOKED (status {status})\n{}", client::told(&document));
            return Err(Unrevoked::Refused(Unasked(why)));
        }
    };
    Ok(Revoked { sent_at, answered_at: clock::millis(), took: sent.elapsed(), stored, document })
}
