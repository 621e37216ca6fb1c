//! The record of a drill: one JSON document for whoever asks whether revocation works, and the table of the same for people.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::canary::Told;
use super::course::{BEFORE, Line, Plan, Revoked, denial_words};
use super::timeline::Verdict;
use crate::decision::revocation::Target;
use crate::edge::drill::entrance::Said;
use crate::edge::revocations::admin::client::Unasked;
use crate::edge::revocations::when;

/// What a record of this form calls itself.
pub const FORMAT: &str = "keybound.drill.v1";

/// A drill. Times on the wall are RFC 3339; all that is measured is in milliseconds from when the revocation was sent.
#[derive(Serialize)]
pub struct Record {
    format: &'static str,
    keybound: &'static str,
    started: String,
    ended: String,
    /// Whether the objective held at every entry point.
    pub held: bool,
    objective_ms: u64,
    hold_ms: u64,
    interval_ms: u64,
    timeout_ms: u64,
    method: String,
    connections: &'static str,
    /// When the last entry point denied for good; absent if one did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_ms: Option<u64>,
    canary: Told,
    revoked: Entry,
    asked: Option<String>,
    sent: String,
    answered: String,
    answered_ms: u64,
    entry_points: Vec<EntryPoint>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    target: Target,
    stored: bool,
    /// Whether Redis had it for the other replicas by the answer; absent where replicas share nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<bool>,
    /// Absent if nobody wanted that.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_back: Option<bool>,
}

#[derive(Serialize)]
struct EntryPoint {
    name: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    verdict: Verdict,
    held: bool,
    allowed_before: u64,
    allowed_tries: u64,
    denied_tries: u64,
    broken_tries: u64,
    flaps: u64,
    last_allowed_ms: Option<u64>,
    first_denied_ms: Option<u64>,
    held_denied_ms: Option<u64>,
    /// The same from when the revocation was answered; negative where it bit before.
    held_denied_after_answer_ms: Option<i64>,
    denial: Option<Denial>,
    /// What came last that was neither an allow nor a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    #[serde(skip)]
    by: String,
}

#[derive(Serialize)]
struct Denial {
    status: u16,
    error: Option<String>,
    class: Option<String>,
    decision_id: Option<String>,
}

/// What a record is made of.
pub struct Facts<'f> {
    /// Unix milliseconds.
    pub started: i64,
    /// Unix milliseconds.
    pub ended: i64,
    /// What was held against what.
    pub plan: &'f Plan,
    /// The canary.
    pub canary: Told,
    /// The entry's id and what it names.
    pub entry: (String, Target),
    /// Whether it was taken back, if that was wanted.
    pub taken_back: Option<bool>,
    /// How the revocation went.
    pub revoked: &'f Revoked,
    /// What became of each way in.
    pub lines: &'f [Line],
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Record {
    /// The record of these facts.
    pub fn new(facts: Facts<'_>) -> Self {
        let Facts { started, ended, plan, canary, entry: (id, target), taken_back, revoked, lines } = facts;
        let entry_points: Vec<_> = lines.iter().map(|line| EntryPoint::new(line, plan, revoked)).collect();
        let asked = revoked.document.get("entry").and_then(|entry| entry.get("asked_at")).and_then(Value::as_str);
        let worst: Option<Vec<u64>> = entry_points.iter().map(|point| point.held_denied_ms).collect();
        Self {
            format: FORMAT,
            keybound: env!("CARGO_PKG_VERSION"),
            started: when::text_of_millis(started),
            ended: when::text_of_millis(ended),
            held: entry_points.iter().all(|point| point.held),
            objective_ms: millis(plan.bounds.objective),
            hold_ms: millis(plan.bounds.hold),
            interval_ms: millis(plan.interval),
            timeout_ms: millis(plan.timeout),
            method: plan.method.to_string(),
            connections: plan.lanes.name(),
            worst_ms: worst.and_then(|all| all.into_iter().max()),
            canary,
            revoked: Entry { id, target, stored: revoked.stored, shared: revoked.shared(), taken_back },
            asked: asked.map(str::to_owned),
            sent: when::text_of_millis(revoked.sent_at),
            answered: when::text_of_millis(revoked.answered_at),
            answered_ms: millis(revoked.took),
            entry_points,
        }
    }

    /// The table of it, and the verdict in a sentence.
    ///
    /// # Errors
    /// The output's.
    pub fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let time = |millis: Option<u64>| millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis} ms"));
        let head = ["way in", "tries", "last allow", "first denial", "for good", "denied by", "verdict"];
        let mut rows = vec![head.map(str::to_owned)];
        for point in &self.entry_points {
            let tries = point.allowed_tries.saturating_add(point.denied_tries).saturating_add(point.broken_tries);
            rows.push([
                point.name.clone(),
                tries.to_string(),
                time(point.last_allowed_ms),
                time(point.first_denied_ms),
                time(point.held_denied_ms),
                point.by.clone(),
                point.verdict.words().to_owned(),
            ]);
        }
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..head.len()).map(width).collect();
        writeln!(out)?;
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        writeln!(out, "\nmilliseconds since the revocation was sent; it was answered after {}", self.answered_ms)?;
        for point in &self.entry_points {
            if let Some(broken) = &point.broken {
                writeln!(out, "{}: {} tries were neither: {broken}", point.name, point.broken_tries)?;
            }
            if point.flaps > 0 {
                writeln!(out, "{}: allowed again {} times after a denial", point.name, point.flaps)?;
            }
        }
        writeln!(out, "{}", self.verdict())
    }

    /// The verdict in a sentence.
    fn verdict(&self) -> String {
        let objective = self.objective_ms;
        match self.worst_ms {
            Some(worst) if self.held => {
                format!("HELD: denied at every way in within {worst} ms; the objective is {objective} ms")
            }
            _ => {
                let late = self.entry_points.iter().filter(|point| !point.held);
                let late: Vec<_> =
                    late.map(|point| format!("{} ({})", point.name, point.verdict.words().to_lowercase())).collect();
                format!("NOT HELD: {}; the objective is {objective} ms", late.join(", "))
            }
        }
    }
}

impl EntryPoint {
    fn new(line: &Line, plan: &Plan, revoked: &Revoked) -> Self {
        let (timeline, verdict) = (line.timeline(), line.timeline().verdict(plan.bounds));
        let held_denied_ms = timeline.held_since(plan.bounds.hold).map(millis);
        let after = held_denied_ms.and_then(|held| i64::try_from(held).ok());
        let answered = i64::try_from(revoked.took.as_millis()).unwrap_or(i64::MAX);
        let denial = line.denial();
        Self {
            name: line.name.clone(),
            url: line.entrance.url(),
            via: line.entrance.via().map(|address| address.to_string()),
            verdict,
            held: verdict == Verdict::Held,
            allowed_before: BEFORE,
            allowed_tries: timeline.allowed,
            denied_tries: timeline.denied,
            broken_tries: timeline.broken,
            flaps: timeline.flaps,
            last_allowed_ms: timeline.last_allowed.map(millis),
            first_denied_ms: timeline.first_denied.map(millis),
            held_denied_ms,
            held_denied_after_answer_ms: after.map(|held| held.saturating_sub(answered)),
            by: denial.as_ref().map_or_else(|| "-".to_owned(), denial_words),
            denial: denial.map(Denial::of),
            broken: line.broke(),
        }
    }
}

impl Denial {
    fn of(said: Said) -> Self {
        Self { status: said.status, error: said.error, class: said.class, decision_id: said.decision }
    }
}

/// A file that a record is to be in: there as a whole, or as it was before.
pub struct Draft {
    path: PathBuf,
    partial: PathBuf,
    file: File,
}

impl Draft {
    /// Makes sure that it can be written, before anything is revoked.
    ///
    /// # Errors
    /// It is there already, or cannot be.
    pub fn open(path: &Path, force: bool) -> Result<Self, Unasked> {
        if !force && path.symlink_metadata().is_ok() {
            let remedy = "name another file, or write --force to replace it; nothing was revoked";
            return Err(Unasked(format!("error: {} is there already\n  help: {remedy}", path.display())));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let partial = path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&partial).map_err(|error| {
            let remedy = "name a file in a directory that may be written; nothing was revoked";
            Unasked(format!("error: {} cannot be written: {error}\n  help: {remedy}", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), partial, file })
    }

    /// Puts the record in its place.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(mut self, record: &Record) -> io::Result<()> {
        writeln!(self.file, "{}", serde_json::to_string_pretty(record)?)?;
        self.file.sync_all()?;
        std::fs::rename(&self.partial, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone already if it was put in its place.
        std::fs::remove_file(&self.partial).unwrap_or_default();
    }
}
