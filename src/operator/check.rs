//! `keybound check`: the exact start-up path, without opening a socket.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::{self, Config};
use crate::edge::introspection::Callers;
use crate::edge::keeper::Keeper;
use crate::problem::Problem;

/// Everything that the start reads, read.
pub struct Prepared {
    /// The operator's file.
    pub config: Arc<Config>,
    /// What it names.
    pub keeper: Keeper,
    /// Who asks issuers about tokens.
    pub callers: Callers,
    /// What weakens it.
    pub warnings: Vec<Problem>,
}

/// What the start refuses.
pub struct Refused {
    /// Every problem, the warnings among them.
    pub problems: Vec<Problem>,
    /// What was not looked at because of them.
    pub unread: Option<String>,
}

impl From<Vec<Problem>> for Refused {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, unread: None }
    }
}

/// Reads the operator's file and everything that it names.
///
/// # Errors
/// [`Refused`].
pub fn prepare(path: &Path) -> Result<Prepared, Refused> {
    let name = path.display().to_string();
    let source = std::fs::read_to_string(path).map_err(|error| {
        let what = format!("this file cannot be read: {error}");
        vec![Problem::at(&name, "", 1, 1, what, "name a readable file in UTF-8 with --config")]
    })?;
    let (config, mut warnings) = config::parse(&name, &source).map_err(|problems| {
        // What the bundle may name (issuers, a certificate) is not known.
        Refused { problems, unread: Some(format!("the bundle was not read: mend {name} first")) }
    })?;
    let config = Arc::new(config);
    let (keeper, callers) = (Keeper::start(Arc::clone(&config)), Callers::open(&config));
    match (keeper, callers) {
        (Ok((keeper, more)), Ok(callers)) => {
            warnings.extend(more);
            Ok(Prepared { config, keeper, callers, warnings })
        }
        (keeper, callers) => {
            let more = keeper.map_or_else(core::convert::identity, |(_, warnings)| warnings);
            for problem in more.into_iter().chain(callers.err().unwrap_or_default()) {
                // A file that both read is told of once.
                if !warnings.contains(&problem) {
                    warnings.push(problem);
                }
            }
            Err(warnings.into())
        }
    }
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
                "ok: {}, {}, bundle {}",
                counted(snapshot.issuers.iter().count(), "issuer"),
                counted(bundle.map_or(0, |bundle| bundle.inventory.apis().len()), "API"),
                bundle.map_or("none", |bundle| &bundle.revision),
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(refused) => {
            refused.print(out)?;
            let errors = refused.problems.iter().filter(|problem| problem.is_error()).count();
            writeln!(out, "{}", counted(errors, "error"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

impl Refused {
    /// The problems, and what they kept from being read.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        print(&self.problems, out)?;
        self.unread.iter().try_for_each(|unread| writeln!(out, "{unread}"))
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

#[cfg(test)]
mod tests;
