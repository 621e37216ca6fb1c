//! `keybound drill revoke`: revocation, proven as a control by using it.
//!
//! A canary must be allowed everywhere, then it is revoked, and it is measured until every way in denies it. Trusted: the answers of
//! the ways in, as a client gets them. What proves nothing (no answer, 503, another refusal) is no denial; where the canary is not
//! allowed at first nothing is revoked; a canary that would expire meanwhile proves nothing either. Its token is told to nobody else.

mod arguments;
mod canary;
mod course;
mod record;
mod timeline;

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

pub use arguments::Arguments;
use arguments::{Command, Format, Kind, Revoke};
use canary::Canary;
use course::{BEFORE, Line, Plan, Revoked, Unrevoked};
use record::{Draft, Facts, Record};
use timeline::{Bounds, Rules};

use crate::decision::revocation::EntryId;
use crate::edge::clock;
use crate::edge::drill::entrance::{Entrance, Place};
use crate::edge::drill::{Connections, TRY};
use crate::edge::revocations::admin::ask::Ask;
use crate::edge::revocations::admin::client::{self, Answered, Api, Unasked};
use crate::operator::revoke::{fresh_id, way};

/// The objective did not hold.
const NOT_HELD: u8 = 1;
/// The drill could not be made.
const NO_DRILL: u8 = 2;
/// The objective held, and what was to be taken back is revoked still.
const STILL_REVOKED: u8 = 3;

/// Why a drill ended before its verdict.
enum Ended {
    Unasked(Unasked),
    Output(io::Error),
}

impl From<Unasked> for Ended {
    fn from(unasked: Unasked) -> Self {
        Self::Unasked(unasked)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Makes the drill.
///
/// # Errors
/// When the output cannot be written.
pub fn run(arguments: Arguments, out: &mut impl Write, err: &mut impl Write) -> io::Result<ExitCode> {
    let Command::Revoke(asked) = arguments.command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupts = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let sent = RefCell::new(None);
        let ended = tokio::select! {
            ended = drill(&asked, &sent, out, err) => ended,
            _ = interrupts.0.recv() => Err(interrupted(&asked, &sent).into()),
            _ = interrupts.1.recv() => Err(interrupted(&asked, &sent).into()),
        };
        match ended {
            Ok(code) => Ok(ExitCode::from(code)),
            Err(Ended::Unasked(Unasked(why))) => {
                writeln!(err, "{why}")?;
                Ok(ExitCode::from(NO_DRILL))
            }
            Err(Ended::Output(error)) => {
                let left = sent.borrow().map_or_else(String::new, |id| format!("\n{}", may_be_revoked(&asked, id)));
                writeln!(err, "error: the output could not be written: {error}{left}")?;
                Ok(ExitCode::from(NO_DRILL))
            }
        }
    })
}

fn interrupted(asked: &Revoke, sent: &RefCell<Option<EntryId>>) -> Unasked {
    let sent = *sent.borrow();
    Unasked(sent.map_or_else(
        || "interrupted: nothing was revoked".to_owned(),
        |id| format!("interrupted: {}", may_be_revoked(asked, id)),
    ))
}

fn may_be_revoked(asked: &Revoke, id: EntryId) -> String {
    let what = named(asked.kind);
    format!("{what} is revoked by entry {id}, or may be\n  help: take it back: {}", cancel(asked, id))
}

/// The command that takes the entry back.
fn cancel(asked: &Revoke, id: EntryId) -> String {
    format!("keybound revoke cancel {id} --reason \"a drill is over\" --admin {} …", asked.server.admin)
}

const fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "the canary's token",
        Kind::Subject => "every token of the canary's subject issued until now",
        Kind::Session => "every token of the canary's session issued until now",
        Kind::Client => "EVERY token of the canary's client",
        Kind::ProofKey => "EVERY token bound to the canary's DPoP key",
        Kind::Certificate => "the canary's certificate, with EVERY token bound to it,",
    }
}

/// What is told while it goes on: for people alone.
struct Steps<'s, W> {
    out: &'s mut W,
    told: bool,
    begun: Instant,
}

impl<W: Write> Steps<'_, W> {
    fn tell(&mut self, step: &str, what: &str) -> io::Result<()> {
        if self.told {
            writeln!(self.out, "{:>6} ms  {step:<9} {what}", self.begun.elapsed().as_millis())?;
            self.out.flush()?;
        }
        Ok(())
    }
}

/// The exit code of a drill that was made.
async fn drill(
    asked: &Revoke,
    sent: &RefCell<Option<EntryId>>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8, Ended> {
    let started = clock::millis();
    let file = asked.record.as_deref().filter(|path| *path != Path::new("-"));
    let draft = file.map(|path| Draft::open(path, asked.force)).transpose()?;
    let in_json = asked.format == Format::Json || (asked.record.is_some() && file.is_none());
    let mut steps = Steps { out, told: !in_json, begun: Instant::now() };
    let (plan, connections, api) = (plan(asked), canary::connections(asked)?, Api::of(&way(&asked.server))?);
    let lines = lines(asked, &plan, &connections)?;
    let id = fresh_id()?;

    let canary = Canary::hatch(asked, &connections).await?;
    lives_long_enough(&canary, &plan)?;
    steps.tell("canary", &hatched(&canary))?;
    course::allowed_before(&lines, &canary.shown, &plan).await?;
    let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
    steps.tell("before", &format!("allowed {BEFORE} times at each way in: {}", names.join(", ")))?;

    let body = body(asked, &canary, id)?;
    sent.replace(Some(id));
    steps.tell("revoke", &format!("{}: entry {id}", named(asked.kind)))?;
    let revoked = match course::run(&lines, &canary.shown, &plan, (&api, &body)).await {
        Ok(revoked) => revoked,
        Err(Unrevoked::Refused(why)) => return Err(why.into()),
        Err(Unrevoked::Unknown(Unasked(why))) => {
            return Err(Unasked(format!("{why}\n{}", may_be_revoked(asked, id))).into());
        }
    };
    steps.tell("measured", &answered(&revoked))?;
    let taken_back = if asked.take_back { Some(take_back(asked, &api, id, &mut steps, err).await?) } else { None };
    sent.replace(None);

    let ended = clock::millis();
    let entry = (id.to_string(), canary.target.clone());
    let record = Record::new(Facts {
        started,
        ended,
        plan: &plan,
        canary: canary.told,
        entry,
        taken_back,
        revoked: &revoked,
        lines: &lines,
    });
    if in_json {
        writeln!(steps.out, "{}", serde_json::to_string_pretty(&record).map_err(io::Error::from)?)?;
    } else {
        record.tell(steps.out)?;
    }
    afterwards(asked, id, taken_back, err)?;
    if let Some(Err(error)) = draft.map(|draft| draft.write(&record)) {
        return Err(Unasked(format!("error: the record could not be written: {error}")).into());
    }
    Ok(exit_code(record.held, taken_back))
}

const fn exit_code(held: bool, taken_back: Option<bool>) -> u8 {
    match (held, taken_back) {
        (false, _) => NOT_HELD,
        (true, Some(false)) => STILL_REVOKED,
        (true, _) => 0,
    }
}

fn plan(asked: &Revoke) -> Plan {
    let measure = &asked.measure;
    Plan {
        rules: Rules { allowed: measure.allowed.clone(), denied: measure.denied.clone() },
        bounds: Bounds { objective: measure.objective, hold: measure.hold },
        // What is denied too late must be seen.
        timeout: measure.timeout.max(measure.objective),
        interval: measure.interval,
        method: asked.method.clone(),
        lanes: measure.connections.lanes(),
    }
}

fn lines(asked: &Revoke, plan: &Plan, connections: &Connections) -> Result<Vec<Line>, Unasked> {
    let mut lines: Vec<Line> = Vec::new();
    for place in core::iter::once(&asked.target).chain(&asked.entry_points) {
        let entrance = Entrance::new(place.clone(), plan.method.clone(), connections, plan.lanes);
        let entrance = entrance.map_err(|why| Unasked(format!("error: {why}")))?;
        lines.push(Line::new(name_of(place, &entrance, &lines)?, entrance));
    }
    Ok(lines)
}

/// A name that no other way in has.
fn name_of(place: &Place, entrance: &Entrance, others: &[Line]) -> Result<String, Unasked> {
    let taken = |name: &str| others.iter().any(|line| line.name == name);
    let name = entrance.name();
    match (taken(name), &place.name) {
        (false, _) => Ok(name.to_owned()),
        (true, Some(_)) => Err(Unasked(format!("error: two ways in are called `{name}`\n  help: name each once"))),
        (true, None) => {
            let mut numbered = (2_u32..).map(|number| format!("{name}#{number}"));
            Ok(numbered.find(|name| !taken(name)).unwrap_or_default())
        }
    }
}

/// A token that ends by itself would be denied too, and that proves nothing.
fn lives_long_enough(canary: &Canary, plan: &Plan) -> Result<(), Unasked> {
    let Some(left) = canary.told.expires_in_seconds else { return Ok(()) };
    let longest = plan.timeout.saturating_add(plan.bounds.hold).saturating_add(TRY.saturating_mul(2));
    if Duration::from_secs(u64::try_from(left).unwrap_or_default()) >= longest {
        return Ok(());
    }
    let longest = longest.as_secs();
    let remedy = "give one that lives longer, or a shorter --timeout; nothing was revoked";
    Err(Unasked(format!(
        "error: the canary expires in {left} s, and the drill may take {longest} s: it would end by itself\n  help: {remedy}"
    )))
}

fn hatched(canary: &Canary) -> String {
    let issuer = canary.told.issuer.as_deref().unwrap_or("an issuer that it does not name");
    let left = canary.told.expires_in_seconds;
    let left =
        left.map_or_else(|| "nobody knows for how long it is good".to_owned(), |left| format!("good for {left} s"));
    format!("a token of {issuer}, shown with {}, {left}", canary.told.shown_with)
}

fn body(asked: &Revoke, canary: &Canary, id: EntryId) -> Result<Vec<u8>, Unasked> {
    let ask = Ask {
        target: canary.target.clone(),
        id: Some(id),
        not_issued_after: None,
        expires_at: None,
        reported_at: None,
        reason: asked.reason.clone(),
        case: asked.case.clone(),
    };
    serde_json::to_vec(&ask).map_err(|_| Unasked("error: the ask cannot be written".to_owned()))
}

fn answered(revoked: &Revoked) -> String {
    let stored = if revoked.stored { "in force and stored" } else { "in force, NOT STORED: a restart forgets it" };
    let shared = if revoked.shared() == Some(false) { "; THE OTHER REPLICAS ARE NOT TOLD YET" } else { "" };
    format!("the revocation was answered after {} ms: {stored}{shared}", revoked.took.as_millis())
}

async fn take_back<W: Write>(
    asked: &Revoke,
    api: &Api,
    id: EntryId,
    steps: &mut Steps<'_, W>,
    err: &mut impl Write,
) -> io::Result<bool> {
    let body = json!({ "reason": "the drill is over", "case": asked.case }).to_string();
    let why = match api.delete(&format!("/{id}"), body.as_bytes()).await {
        Ok(Answered { status: 200, .. }) => {
            steps.tell("taken back", &format!("entry {id}"))?;
            return Ok(true);
        }
        Ok(Answered { status, document, .. }) => format!("status {status}\n{}", client::told(&document)),
        Err(Unasked(why)) => why,
    };
    writeln!(err, "NOT TAKEN BACK: {why}")?;
    Ok(false)
}

/// What is left of it.
fn afterwards(asked: &Revoke, id: EntryId, taken_back: Option<bool>, err: &mut impl Write) -> io::Result<()> {
    let kind = asked.kind;
    if taken_back == Some(true) || (kind == Kind::Token && taken_back.is_none()) {
        return Ok(());
    }
    if kind.stays() || taken_back == Some(false) {
        return writeln!(err, "STILL REVOKED: {}. Take it back: {}", named(kind), cancel(asked, id));
    }
    writeln!(err, "revoked: {}. What is issued from now on passes", named(kind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn asked(more: &[&str]) -> Revoke {
        let usual =
            ["drill", "--target", "https://a.test/1", "--token-file", "t", "--admin", "x", "--bearer-file", "b"];
        let matches = Revoke::augment_args(clap::Command::new("drill"));
        Revoke::from_arg_matches(&matches.try_get_matches_from(usual.iter().chain(more)).unwrap()).unwrap()
    }

    #[test]
    fn a_plan_is_what_the_help_says() {
        let usual = plan(&asked(&[]));
        let seconds = [usual.bounds.objective, usual.bounds.hold, usual.timeout].map(|time| time.as_secs());
        assert_eq!((seconds, usual.interval.as_millis()), ([5, 2, 60], 50));
        assert_eq!((usual.method.as_str(), usual.lanes.name()), ("GET", "mixed"));
        assert_eq!((asked(&[]).kind, asked(&[]).take_back), (Kind::Token, false));
        // What is denied after the objective is too slow, and not never denied.
        assert_eq!(plan(&asked(&["--objective", "2m"])).timeout.as_secs(), 120);
    }

    #[test]
    fn each_way_in_has_a_name_of_its_own() {
        let more = ["https://a.test/2", "west=https://a.test/1 via 10.0.0.5", "https://a.test/3"];
        let more: Vec<_> = more.iter().flat_map(|place| ["--entry-point", place]).collect();
        let asked = asked(&more);
        let lines = lines(&asked, &plan(&asked), &Connections::default()).map_err(|unasked| unasked.0).unwrap();
        let names: Vec<_> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["a.test", "a.test#2", "west", "a.test#3"]);
        assert_eq!(lines[2].entrance.via().unwrap().to_string(), "10.0.0.5:0");
    }
}
