//! What is told of status lists: fetches and what became of checks that waited for one, how many are held, how old the oldest is.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};

use super::Metrics;

/// What became of a fetch, or of a check that needed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A list was fetched.
    Fetched,
    /// What was fetched is no list that counts.
    Refused,
    /// Nothing could be fetched.
    Failed,
    /// A check waits for a fetch that was under way.
    Joined,
    /// A check was denied: it would have been one fetch, or one check that waits, too many.
    OverBudget,
    /// A check was denied: the fetch before has failed.
    BackingOff,
}

impl Listed {
    const fn name(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Joined => "joined",
            Self::OverBudget => "over_budget",
            Self::BackingOff => "backing_off",
        }
    }
}

pub(super) struct StatusLists {
    asked: Counter<u64>,
    held: Gauge<u64>,
    age: Gauge<f64>,
}

impl StatusLists {
    pub fn new(meter: &Meter) -> Self {
        Self {
            asked: meter
                .u64_counter("keybound.status_list")
                .with_description(
                    "Fetches of status lists and checks that needed one, by issuer and by what became of them",
                )
                .build(),
            held: meter
                .u64_gauge("keybound.status_list.held")
                .with_description("Status lists that are kept, by issuer")
                .build(),
            age: meter
                .f64_gauge("keybound.status_list.age")
                .with_unit("s")
                .with_description("Time since the oldest status list that is kept was fetched, by issuer")
                .build(),
        }
    }
}

impl Metrics {
    /// Counts a fetch of a status list, or a check that needed one. The issuer is one of the operator's file.
    pub fn status_list(&self, issuer: &str, what: Listed) {
        let issuer = KeyValue::new("issuer", issuer.to_owned());
        self.status_lists.asked.add(1, &[issuer, KeyValue::new("outcome", what.name())]);
    }

    /// How many status lists of an issuer are kept, and how old the oldest is.
    pub fn status_lists_held(&self, issuer: &str, held: usize, age: Duration) {
        let issuer = [KeyValue::new("issuer", issuer.to_owned())];
        self.status_lists.held.record(u64::try_from(held).unwrap_or(u64::MAX), &issuer);
        self.status_lists.age.record(age.as_secs_f64(), &issuer);
    }
}
