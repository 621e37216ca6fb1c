//! `keybound check`: the exact start-up path, without opening a socket.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::{self, Config};
use crate::edge::keeper::Keeper;
use crate::edge::serve;
use crate::problem::Problem;

/// Everything that the start reads, read.
pub struct Prepared {
    /// The operator's file.
    pub config: Arc<Config>,
    /// What it names.
    pub keeper: Keeper,
    /// What weakens it.
    pub warnings: Vec<Problem>,
}

/// Reads the operator's file and everything that it names.
///
/// # Errors
/// Every problem, the warnings among them.
pub fn prepare(path: &Path) -> Result<Prepared, Vec<Problem>> {
    let name = path.display().to_string();
    let source = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("this file cannot be read: {error}");
        vec![Problem::at(&name, "", 1, 1, what, "name a readable file in UTF-8 with --config")]
    })?;
    let (config, mut warnings) = config::parse(&name, &source)?;
    let config = Arc::new(config);
    let keeper = Keeper::start(Arc::clone(&config)).map_err(|problems| {
        let mut all = core::mem::take(&mut warnings);
        all.extend(problems);
        all
    });
    let (keeper, more) = keeper?;
    warnings.extend(more);
    serve::doors(&config)
        .map_err(|error| vec![Problem::at(&name, "", 1, 1, error.to_string(), "give PEM files that fit together")])?;
    Ok(Prepared { config, keeper, warnings })
}

/// Says what is wrong, or that all is well.
///
/// # Errors
/// When the output cannot be written.
pub fn run(path: &Path, out: &mut impl Write) -> io::Result<ExitCode> {
    match prepare(path) {
        Ok(prepared) => {
            print(&prepared.warnings, out)?;
            let snapshot = prepared.keeper.snapshot();
            let bundle = snapshot.bundle.as_ref();
            writeln!(
                out,
                "ok: {} issuers, {} APIs, bundle {}",
                snapshot.issuers.iter().count(),
                bundle.map_or(0, |bundle| bundle.inventory.apis().len()),
                bundle.map_or("none", |bundle| &bundle.revision),
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            print(&problems, out)?;
            let errors = problems.iter().filter(|problem| problem.is_error()).count();
            writeln!(out, "{errors} {}", if errors == 1 { "error" } else { "errors" })?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Each problem with its place, its line and its remedy.
///
/// # Errors
/// When the output cannot be written.
pub fn print(problems: &[Problem], out: &mut impl Write) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "{problem}\n")?;
    }
    Ok(())
}
