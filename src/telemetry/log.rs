//! Structured logs: one JSON object a line; a line per denial, allows sampled.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::Level;
use crate::decision::denial::Denial;
use crate::telemetry::record::DecisionRecord;

/// Sends the process's logs to standard error as JSON. Only the first call of a process has an effect.
///
/// A thread of its own writes them: whoever reads the log may be slow or gone, and no check waits for that. What does not fit
/// its queue is dropped. The logs end when the guard is dropped.
pub fn start(level: Level) -> WorkerGuard {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    // Libraries at `warn`: what they tell below that may quote what they carry.
    let filter = EnvFilter::new(format!("warn,keybound={level}"));
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        // The events say what their span says.
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logs were started before");
    }
    guard
}

/// Writes a decision, unless it is an allow outside the sample. `draw` is a random byte, so that 0 to 100 percent of 256 are kept.
///
/// Of the checks that are refused because there are too many, some are written in each second: a line costs more than refusing one.
pub fn decision(record: &DecisionRecord<'_>, allow_sample_percent: u8, draw: u8) {
    let sampled = u16::from(draw).saturating_mul(100) < u16::from(allow_sample_percent).saturating_mul(256);
    let denial = record.denial();
    if denial == Some(Denial::FaultOverloaded) && !SHED.has_room() {
        return;
    }
    if denial.is_none() && record.would_be().is_none() && !sampled {
        return;
    }
    let (client, unproven) = (record.client(), record.unproven());
    tracing::info!(
        decision_id = record.id.as_str(),
        request_id = record.request_id(),
        code = record.code(),
        class = denial.map(|denial| denial.row().class.name()),
        status = denial.map(|denial| denial.row().status),
        would_be = record.would_be().map(Denial::slug),
        point = record.point,
        api = record.api(),
        action = record.action(),
        issuer = record.issuer(),
        client = client.map(|client| client.id.as_str()),
        unproven_issuer = unproven.map(|client| client.issuer.as_str()),
        unproven_client = unproven.map(|client| client.id.as_str()),
        proof = record.proof(),
        spent = record.spent(),
        revocations = record.revocations(),
        policies = listed(record.policies().iter().map(|policy| policy.id.as_str())),
        reason = record.policies().first().map(|policy| policy.reason.as_str()),
        waived = listed(record.waived()),
        revocation = record.revocation().map(tracing::field::display),
        mode = record.mode(),
        micros = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
        "{}",
        if denial.is_some() { "denied" } else { record.code() }
    );
}

/// Lines of `fault_overloaded` in a second, at most.
const SHED_LINES: u64 = 256;

static SHED: Shed = Shed { since: LazyLock::new(Instant::now), second: AtomicU64::new(0), lines: AtomicU64::new(0) };

/// The lines of this second.
struct Shed {
    since: LazyLock<Instant>,
    second: AtomicU64,
    lines: AtomicU64,
}

impl Shed {
    /// Whether there is room for one more line. Where a second begins, threads may differ by a few.
    fn has_room(&self) -> bool {
        let second = self.since.elapsed().as_secs();
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < SHED_LINES
    }
}

/// Names with commas between them, if there are any.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    let names = names.collect::<Vec<_>>().join(",");
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    #[test]
    fn a_flood_writes_so_many_lines_a_second() {
        let begun = Instant::now();
        let shed = Shed { since: LazyLock::new(Instant::now), second: AtomicU64::new(0), lines: AtomicU64::new(0) };
        let written = (0..100_000).filter(|_| shed.has_room()).count();
        let seconds = usize::try_from(begun.elapsed().as_secs()).expect("a short test");
        assert!((256..=256 * (seconds + 2)).contains(&written), "{written} lines");
    }
}
