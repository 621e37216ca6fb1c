//! `keybound serve`: the service itself.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::edge::{keeper, serve};
use crate::operator::check;
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;

/// Serves until a signal ends it.
///
/// # Errors
/// When the output cannot be written.
pub fn run(path: &Path, err: &mut impl Write) -> io::Result<ExitCode> {
    let prepared = match check::prepare(path) {
        Ok(prepared) => prepared,
        Err(refused) => {
            refused.print(err)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let logs = log::start(prepared.config.log.level);
    // As log lines: whoever cannot read them now is served all the same.
    for warning in &prepared.warnings {
        keeper::tell_warning(warning);
    }
    let metrics = match Metrics::new() {
        Ok(metrics) => Arc::new(metrics),
        Err(error) => {
            writeln!(err, "error: metrics are not to be had: {}", error.0)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let sockets = serve::socket_paths(&prepared.config);
    let ended = serve::serve(path, prepared.config, prepared.keeper, prepared.callers, metrics);
    for socket in sockets {
        if let Err(error) = std::fs::remove_file(&socket) {
            tracing::debug!(%error, "a socket file stays");
        }
    }
    // What is queued is written before the last word.
    drop(logs);
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(ended) => {
            writeln!(err, "error: {ended}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
