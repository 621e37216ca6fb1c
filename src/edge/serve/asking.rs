//! Whom checks ask about tokens: issuers, and whoever serves status lists.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Ended;
use crate::config::Config;
use crate::decision::snapshot::Snapshot;
use crate::edge::gate::Partners;
use crate::edge::introspection::{self, Callers};
use crate::edge::jwks::Feeds;
use crate::edge::keeper::Keeper;
use crate::edge::spent::memory::Memory;
use crate::edge::status_lists::{self, Librarian};
use crate::telemetry::metrics::Metrics;

/// Where checks ask.
pub(super) struct Asked {
    introspection: Arc<introspection::Desk>,
    status_lists: Arc<status_lists::Desk>,
}

/// Who asks for them.
pub(super) struct Clerks {
    pub introspection: introspection::Clerk,
    pub status_lists: Librarian,
}

pub(super) fn start(
    config: &Config,
    callers: Callers,
    (keeper, feeds): (&Keeper, &Feeds),
    snapshot: &Arc<ArcSwap<Snapshot>>,
    metrics: &Arc<Metrics>,
) -> Result<(Asked, Clerks), Ended> {
    let (desk, clerk) = callers.start(feeds.wanted(), metrics);
    let shelf = (keeper.status_lists(), snapshot);
    let started = status_lists::start(config, feeds.ca(), shelf, feeds.wanted(), metrics);
    let (lists, librarian) = started.map_err(|why| Ended::Io(io::Error::other(why)))?;
    let asked = Asked { introspection: desk, status_lists: lists };
    Ok((asked, Clerks { introspection: clerk, status_lists: librarian }))
}

impl Asked {
    /// With this memory of spent proofs.
    pub fn partners(self, memory: Arc<Memory>) -> Partners {
        let Self { introspection, status_lists } = self;
        Partners { introspection, status_lists, ..Partners::alone(memory) }
    }
}
