//! `keybound config schema`: the JSON Schema of the operator's file, for editors.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config;

/// Prints it.
///
/// # Errors
/// When the output cannot be written.
pub fn run(out: &mut impl Write) -> io::Result<ExitCode> {
    writeln!(out, "{:#}", config::schema())?;
    Ok(ExitCode::SUCCESS)
}
