//! Asking issuers about tokens (RFC 7662): answers that count are remembered, one call at a time is made about a token, and no issuer
//! is asked more than it is to be.
//!
//! Checks ask at the [`Desk`], from every worker. One task, the [`Clerk`], owns the calls, their budgets and the credentials: a call
//! goes on when the check that wanted it has given up, and fills the memory for the next. Nothing is decided here: answers are read in
//! `decision/token/introspected.rs`, and what is remembered is an answer, never a verdict.

mod answers;
pub mod assertion;
pub(in crate::edge) mod budget;
mod caller;
mod clerk;
mod desk;
#[cfg(test)]
mod tests;

use std::future::{Future, ready};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

pub(in crate::edge) use caller::{basic, encoded, secret};
pub use clerk::Clerk;
pub use desk::Desk;

use crate::config::Config;
use crate::decision::token::{Ask, Introspection};
use crate::edge::files;
use crate::edge::jwks::Wanted;
use crate::problem::Problem;
use crate::telemetry::metrics::Metrics;
use answers::Answers;
use caller::Caller;

/// An answer that may have to be waited for.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Option<Introspection>> + Send + 'a>>;

/// Asks issuers about tokens.
pub trait Introspect: Send + Sync {
    /// What the issuer says, at `now`, Unix seconds; `None` if it cannot be had.
    fn introspect<'a>(&'a self, ask: &'a Ask<'_>, now: i64) -> Answering<'a>;
}

/// Asks nobody.
pub struct Nobody;

impl Introspect for Nobody {
    fn introspect<'a>(&'a self, _: &'a Ask<'_>, _: i64) -> Answering<'a> {
        Box::pin(ready(None))
    }
}

/// Issuers that can be asked, each with who calls it: all that the start reads for that.
pub struct Callers {
    config: Arc<Config>,
    all: Vec<Caller>,
}

impl Callers {
    /// Reads the credentials of every issuer that can be asked.
    ///
    /// # Errors
    /// Every file that cannot be read, or does not hold what it should.
    pub fn open(config: &Arc<Config>) -> Result<Self, Vec<Problem>> {
        let read = |path: &PathBuf| {
            files::read(path, files::FILE_BYTES).map_err(|problem| vec![config.where_named(path, problem)])
        };
        let ca = config.jwks.ca_file.as_ref().map(read).transpose()?.map(Arc::<[u8]>::from);
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for issuer in &config.issuers {
            let Some(rules) = &issuer.introspection else { continue };
            match Caller::open(issuer, rules, ca.clone()) {
                Ok(caller) => all.push(caller),
                Err(problem) => problems.push(config.where_named(&PathBuf::from(&problem.place.file), *problem)),
            }
        }
        if problems.is_empty() { Ok(Self { config: Arc::clone(config), all }) } else { Err(problems) }
    }

    /// Where checks ask, and who asks the issuers; its task must run for as long as checks come. `wanted` is told of unknown keys.
    #[must_use]
    pub fn start(self, wanted: Wanted, metrics: &Arc<Metrics>) -> (Arc<Desk>, Clerk) {
        let waiting = self.all.iter().map(|caller| caller.rules().max_waiting);
        // Whoever may wait finds room.
        let (sender, asked) = mpsc::channel(waiting.fold(1, usize::saturating_add));
        let answers = Arc::new(Answers::new());
        let desk = Desk::new(&self.all, Arc::clone(&answers), sender, Arc::clone(metrics));
        (Arc::new(desk), Clerk::new(&self.config, self.all, answers, asked, wanted, Arc::clone(metrics)))
    }
}
