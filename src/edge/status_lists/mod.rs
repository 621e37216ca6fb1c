//! Status lists (draft-ietf-oauth-status-list), fetched when a check needs one, kept for as long as they count, and fetched again before
//! that ends while they are used.
//!
//! The [`Shelf`] holds them for every worker; a check that does not find its list there waits at the [`Desk`]. One task, the
//! [`Librarian`], owns the fetches and their budgets: one fetch of a list at a time, which goes on when the check that wanted it has given
//! up. Nothing is decided here: lists are read in `decision/status_list/`, and what is kept is a list, never what it said of a token.

mod caller;
mod desk;
mod librarian;
mod shelf;
#[cfg(test)]
mod tests;

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

pub use desk::Desk;
pub use librarian::Librarian;
pub use shelf::Shelf;

use crate::config::Config;
use crate::decision::snapshot::Snapshot;
use crate::decision::status_list::StatusList;
use crate::decision::token::Issuer;
use crate::edge::jwks::Wanted;
use crate::telemetry::metrics::Metrics;
use caller::Caller;

/// A list that may have to be waited for.
pub type Consulting<'a> = Pin<Box<dyn Future<Output = Option<Arc<StatusList>>> + Send + 'a>>;

/// Gets status lists that are not at hand.
pub trait Consult: Send + Sync {
    /// The list at this URI for tokens of this issuer; `None` if it cannot be had.
    fn consult<'a>(&'a self, issuer: &'a Issuer, uri: &'a Arc<str>, now: i64) -> Consulting<'a>;
}

/// Has none.
pub struct NoLists;

impl Consult for NoLists {
    fn consult<'a>(&'a self, _: &'a Issuer, _: &'a Arc<str>, _: i64) -> Consulting<'a> {
        Box::pin(ready(None))
    }
}

/// Where checks ask, and who fetches; its task must run for as long as checks come. Lists are verified with the keys of the snapshot.
///
/// # Errors
/// No client could be made to fetch with; says why.
pub fn start(
    config: &Config,
    ca: Option<&[u8]>,
    (shelf, snapshot): (Arc<Shelf>, &Arc<ArcSwap<Snapshot>>),
    wanted: Wanted,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<Desk>, Librarian), String> {
    let checked = config.issuers.iter().filter_map(|issuer| Some((issuer, issuer.status_lists.as_ref()?)));
    let callers: Vec<_> = checked.map(|(issuer, rules)| Caller::new(issuer, rules, ca)).collect::<Result<_, _>>()?;
    let waiting = callers.iter().map(|caller| caller.rules().max_waiting);
    // Whoever may wait finds room.
    let (sender, questions) = mpsc::channel(waiting.fold(1, usize::saturating_add));
    let desk = Desk::new(&callers, sender, Arc::clone(metrics));
    let librarian = Librarian::new(callers, shelf, Arc::clone(snapshot), questions, wanted, Arc::clone(metrics));
    Ok((Arc::new(desk), librarian))
}
