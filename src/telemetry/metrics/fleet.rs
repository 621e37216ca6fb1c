//! What is told of replicas that tell each other of revocations.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Meter};

use super::Metrics;

/// The instruments.
pub(super) struct Fleet {
    received: Counter<u64>,
    told: Counter<u64>,
    catch_ups: Counter<u64>,
    unheard: Gauge<u64>,
    stale: Gauge<u64>,
}

impl Fleet {
    pub fn new(meter: &Meter) -> Self {
        Self {
            received: meter
                .u64_counter("keybound.revocations.received")
                .with_description(
                    "Revocations and cancels of other replicas that were news or were refused, by outcome",
                )
                .build(),
            told: meter
                .u64_counter("keybound.revocations.told")
                .with_description("Revocations and cancels that the fleet was told: asked here, or lost by Redis")
                .build(),
            catch_ups: meter
                .u64_counter("keybound.revocations.catch_ups")
                .with_description("Times that all that the fleet knows was read, by reason")
                .build(),
            unheard: meter
                .u64_gauge("keybound.revocations.unheard")
                .with_unit("s")
                .with_description("Seconds since all that the fleet knew was known here")
                .build(),
            stale: meter
                .u64_gauge("keybound.revocations.stale")
                .with_description("1 while nothing was heard of the fleet for longer than the bound")
                .build(),
        }
    }
}

impl Metrics {
    /// Counts a record of another replica. The outcomes are ours.
    pub fn received(&self, outcome: &'static str) {
        self.fleet.received.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// Counts records that the fleet was told: `new` ones, or ones that were `lost`.
    pub fn told_fleet(&self, why: &'static str, records: usize) {
        self.fleet.told.add(u64::try_from(records).unwrap_or(u64::MAX), &[KeyValue::new("why", why)]);
    }

    /// Counts that all that the fleet knows was read.
    pub fn caught_up(&self, reason: &'static str) {
        self.fleet.catch_ups.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// How long nothing was heard of the fleet, and whether that is too long.
    pub fn unheard(&self, seconds: i64, stale: bool) {
        self.fleet.unheard.record(u64::try_from(seconds).unwrap_or_default(), &[]);
        self.fleet.stale.record(u64::from(stale), &[]);
    }
}
