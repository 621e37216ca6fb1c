//! What the log is told of files that were taken or refused.

use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};

/// Something new that is served from now on.
pub(super) enum Taken {
    Bundle { revision: String },
    Keys { issuer: String, keys: usize, digest: String },
    Withdrawn { issuer: String, why: String },
    Trust,
    List { place: String, entries: usize, until: Option<i64> },
    Nonces,
    Door { listener: String },
    Bearer { caller: String },
    Authorization { transmitter: String },
    FleetKeys { keys: usize },
}

impl Taken {
    pub(super) fn tell(&self, what: &str) {
        match self {
            Self::Bundle { revision } => tracing::info!(what, revision, "new files are served"),
            Self::Keys { issuer, keys, digest } => tracing::info!(what, issuer, keys, digest, "new files are served"),
            Self::Withdrawn { issuer, why } => {
                tracing::error!(what, issuer, why, "the issuer has withdrawn its keys: what it signs is denied");
            }
            Self::Door { listener } => tracing::info!(what, listener, "new files are served"),
            Self::List { place, entries, until } => {
                tracing::info!(what, place, entries, next_update = until, "a new list is served");
            }
            Self::Authorization { transmitter } => tracing::info!(what, transmitter, "new files are served"),
            Self::FleetKeys { keys } => tracing::info!(what, keys, "new files are served"),
            Self::Bearer { caller } => tracing::info!(what, caller, "new files are served"),
            Self::Trust | Self::Nonces => tracing::info!(what, "new files are served"),
        }
    }
}

/// What a look at one kind of files came to.
pub(super) struct Looks {
    pub kind: &'static str,
    pub loaded: Loaded,
    pub taken: Vec<Taken>,
    pub refused: Option<Vec<Problem>>,
}

impl Looks {
    pub fn has_news(&self) -> bool {
        !self.taken.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_none()
    }

    pub fn tell(&self, metrics: &Metrics) {
        for taken in &self.taken {
            metrics.loaded(self.loaded, true);
            taken.tell(self.kind);
        }
        if let Some(problems) = &self.refused {
            metrics.loaded(self.loaded, false);
            tell_refused(self.kind, None, problems);
        }
    }
}

/// `revision` is that of the bundle that is still served, if it is a bundle that is refused.
pub(super) fn tell_refused(kind: &str, revision: Option<&str>, problems: &[Problem]) {
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        let (place, said, remedy) = (place(problem), &problem.what, &problem.remedy);
        tracing::error!(what = kind, revision, place, problem = said, remedy, "refused; the last good one stays");
    }
}

/// Writes a warning to the log.
pub fn tell_warning(warning: &Problem) {
    let place = place(warning);
    tracing::warn!(place, problem = warning.what, remedy = warning.remedy, "warning");
}

fn place(problem: &Problem) -> String {
    format!("{}:{}:{}", problem.place.file, problem.place.line, problem.place.column)
}
