//! Structured logs: one JSON object a line; a line per denial, allows sampled.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::Level;
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
        .with_env_filter(filter)
        .with_writer(writer)
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logs were started before");
    }
    guard
}

/// Writes a decision, unless it is an allow outside the sample. `draw` is a random byte, so that 0 to 100 percent of 256 are kept.
pub fn decision(record: &DecisionRecord<'_>, allow_sample_percent: u8, draw: u8) {
    let policies = record.policies().iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>().join(",");
    let waived = record.waived().collect::<Vec<_>>().join(",");
    let client = record.client();
    let Some(denial) = record.denial() else {
        let sampled = u16::from(draw).saturating_mul(100) < u16::from(allow_sample_percent).saturating_mul(256);
        if sampled || record.would_be().is_some() {
            tracing::info!(
                decision_id = record.id.as_str(),
                code = record.code(),
                would_be = record.would_be().map(crate::decision::denial::Denial::slug),
                point = record.point,
                api = record.api(),
                action = record.action(),
                issuer = client.map(|client| client.issuer.as_str()),
                client = client.map(|client| client.id.as_str()),
                proof = record.proof(),
                policies,
                waived,
                mode = record.mode(),
                micros = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
                "allowed"
            );
        }
        return;
    };
    tracing::info!(
        decision_id = record.id.as_str(),
        code = denial.slug(),
        class = denial.row().class.name(),
        status = denial.row().status,
        point = record.point,
        api = record.api(),
        action = record.action(),
        issuer = record.issuer(),
        client = client.map(|client| client.id.as_str()),
        proof = record.proof(),
        policies,
        reason = record.policies().first().map(|policy| policy.reason.as_str()),
        mode = record.mode(),
        micros = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
        "denied"
    );
}
