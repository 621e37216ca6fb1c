//! Counters and gauges, in OpenTelemetry's names; `/metrics` prints them in Prometheus' text format.

mod fleet;
mod status_lists;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Encoder as _, Registry, TextEncoder};

pub use status_lists::Listed;

use crate::decision::denial::Denial;
use crate::telemetry::record::DecisionRecord;

const DECISIONS: &str = "keybound.decisions";

/// Every instrument of the process.
pub struct Metrics {
    registry: Registry,
    /// Kept alive: instruments stop when their provider is dropped.
    _provider: SdkMeterProvider,
    decisions: Counter<u64>,
    seconds: Histogram<f64>,
    exceptions: Counter<u64>,
    stray_proofs: Counter<u64>,
    loads: Counter<u64>,
    spent: Gauge<u64>,
    revocations: Revocations,
    fleet: fleet::Fleet,
    introspections: Introspections,
    status_lists: status_lists::StatusLists,
    spent_shared: Gauge<u64>,
    spent_locally: Gauge<u64>,
    spent_losses: Counter<u64>,
}

/// What is told of questions about tokens.
struct Introspections {
    asked: Counter<u64>,
    in_flight: Gauge<u64>,
    seconds: Histogram<f64>,
}

impl Introspections {
    fn new(meter: &Meter) -> Self {
        Self {
            asked: meter
                .u64_counter("keybound.introspection")
                .with_description("Questions of checks about tokens, by issuer and by what became of them")
                .build(),
            in_flight: meter
                .u64_gauge("keybound.introspection.in_flight")
                .with_description("Calls to an issuer about tokens that are under way")
                .build(),
            seconds: meter
                .f64_histogram("keybound.introspection.duration")
                .with_unit("s")
                .with_description("Time of a call to an issuer about a token")
                .with_boundaries(vec![0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5])
                .build(),
        }
    }
}

/// What is told of revocations.
struct Revocations {
    marks: Gauge<u64>,
    records: Counter<u64>,
    events: Counter<u64>,
    polls: Counter<u64>,
    propagation: Histogram<f64>,
    time_to_revoke: Histogram<f64>,
}

impl Revocations {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str, boundaries: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(boundaries.to_vec()).build()
        };
        Self {
            marks: meter.u64_gauge("keybound.revocations").with_description("Revocations in force, by kind").build(),
            records: meter
                .u64_counter("keybound.revocation.records")
                .with_description("Revocations and cancels that a source brought, by outcome")
                .build(),
            events: meter
                .u64_counter("keybound.security_events")
                .with_description("Security events that came, by transmitter, event and outcome")
                .build(),
            polls: meter
                .u64_counter("keybound.security_event.polls")
                .with_description("Polls for security events, by transmitter and outcome")
                .build(),
            propagation: seconds(
                "keybound.revocation.propagation",
                "Time from when a revocation was asked until it bites here",
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0],
            ),
            time_to_revoke: seconds(
                "keybound.time_to_revoke",
                "Time from when the harm was reported until the revocation bites here",
                &[1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0, 604_800.0],
            ),
        }
    }
}

/// What is loaded, and reloaded, from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The bundle.
    Bundle,
    /// An issuer's keys.
    Keys,
    /// The trust bundle for client certificates.
    Trust,
    /// A certificate revocation list.
    Crl,
    /// The keys of our nonces.
    Nonces,
    /// Certificate, key and client CA of a listener.
    Tls,
    /// The bearers of the admin listener's callers.
    Bearers,
    /// What we are authenticated with to an issuer that is asked about tokens.
    Credentials,
    /// What the `Authorization` headers of transmitters must be.
    Authorizations,
    /// The keys with which replicas tell each other of revocations.
    FleetKeys,
}

impl Loaded {
    const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Keys => "keys",
            Self::Trust => "trust_bundle",
            Self::Crl => "certificate_revocation_list",
            Self::Nonces => "nonce_keys",
            Self::Tls => "listener_tls",
            Self::Bearers => "admin_bearers",
            Self::Credentials => "introspection_credentials",
            Self::Authorizations => "transmitter_authorizations",
            Self::FleetKeys => "fleet_keys",
        }
    }
}

/// What became of a check's question about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An answer that still counts was there.
    Remembered,
    /// Somebody has asked already; the answer is theirs too.
    Joined,
    /// The issuer was called: the token is active.
    Active,
    /// It is not.
    Inactive,
    /// It is, and is no access token as it must be.
    Refused,
    /// The call failed, or its answer was none.
    Failed,
    /// The issuer was not called: it would have been one call, or one check that waits, too many.
    OverBudget,
    /// It was not called: the calls before have failed.
    BackingOff,
}

impl Asked {
    const fn name(self) -> &'static str {
        match self {
            Self::Remembered => "remembered",
            Self::Joined => "joined",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::OverBudget => "over_budget",
            Self::BackingOff => "backing_off",
        }
    }
}

/// Label sets of the decisions, at most; what is beyond them is counted together, and a caller who could fill them would hide what
/// comes after. Labels are closed sets: this is a thousand APIs with every code that is likely there.
const DECISION_SETS: usize = 65_536;

fn room(instrument: &Instrument) -> Option<Stream> {
    (instrument.name() == DECISIONS).then(|| Stream::builder().with_cardinality_limit(DECISION_SETS).build().ok())?
}

/// The instruments could not be made.
#[derive(Debug)]
pub struct MetricsUnavailable(pub String);

impl Metrics {
    /// The instruments of one process.
    ///
    /// # Errors
    /// [`MetricsUnavailable`] if the exporter cannot be built.
    pub fn new() -> Result<Self, MetricsUnavailable> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| MetricsUnavailable(error.to_string()))?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_view(room).build();
        let meter = provider.meter("keybound");
        Ok(Self {
            decisions: meter.u64_counter(DECISIONS).with_description("Decisions by code").build(),
            seconds: meter
                .f64_histogram("keybound.decision.duration")
                .with_unit("s")
                .with_description("Time from the CheckRequest to the answer")
                .with_boundaries(vec![0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1])
                .build(),
            exceptions: meter
                .u64_counter("keybound.exceptions.used")
                .with_description("Requests that an exception let pass")
                .build(),
            stray_proofs: meter
                .u64_counter("keybound.proofs.ignored")
                .with_description("Requests with a DPoP header beside the scheme Bearer")
                .build(),
            loads: meter
                .u64_counter("keybound.loads")
                .with_description("Bundles and key sets that were read anew, by outcome")
                .build(),
            spent: meter
                .u64_gauge("keybound.proofs.remembered")
                .with_description("Spent proofs that are remembered")
                .build(),
            spent_shared: meter
                .u64_gauge("keybound.proofs.shared")
                .with_description(
                    "1 while spent proofs are remembered in the Redis that replicas share, 0 while they cannot be",
                )
                .build(),
            spent_locally: meter
                .u64_gauge("keybound.proofs.local")
                .with_description("1 while this process remembers spent proofs alone, because Redis does not answer")
                .build(),
            spent_losses: meter
                .u64_counter("keybound.proofs.losses")
                .with_description("Times that the shared memory may have forgotten spent proofs, or began")
                .build(),
            revocations: Revocations::new(&meter),
            fleet: fleet::Fleet::new(&meter),
            introspections: Introspections::new(&meter),
            status_lists: status_lists::StatusLists::new(&meter),
            registry,
            _provider: provider,
        })
    }

    /// Counts a decision.
    pub fn decided(&self, record: &DecisionRecord<'_>) {
        // In the order of their names: in another one each set is held twice.
        let labels = [
            KeyValue::new("api", record.api().unwrap_or_default().to_owned()),
            KeyValue::new("code", record.code()),
            KeyValue::new("mode", record.mode()),
            KeyValue::new("point", record.point.to_owned()),
            KeyValue::new("would_be", record.would_be().map(Denial::slug).unwrap_or_default()),
        ];
        self.decisions.add(1, &labels);
        self.seconds.record(record.took.as_secs_f64(), &[]);
        for waived in record.waived() {
            let api = KeyValue::new("api", record.api().unwrap_or_default().to_owned());
            self.exceptions.add(1, &[api, KeyValue::new("waives", waived)]);
        }
        if record.stray_proof() {
            self.stray_proofs.add(1, &[]);
        }
    }

    /// Counts a load of files, taken or refused.
    pub fn loaded(&self, what: Loaded, taken: bool) {
        let outcome = if taken { "taken" } else { "refused" };
        self.loads.add(1, &[KeyValue::new("what", what.name()), KeyValue::new("outcome", outcome)]);
    }

    /// How many spent proofs are remembered now.
    pub fn spent_entries(&self, entries: usize) {
        self.spent.record(u64::try_from(entries).unwrap_or(u64::MAX), &[]);
    }

    /// Counts what became of a record about revocations. There are few sources, and their names are config's or ours.
    pub fn revocation_record(&self, source: &str, outcome: &'static str) {
        let labels = [KeyValue::new("outcome", outcome), KeyValue::new("source", source.to_owned())];
        self.revocations.records.add(1, &labels);
    }

    /// Counts a poll for the security events of a transmitter, and what it came to.
    pub fn security_events_polled(&self, transmitter: &str, outcome: &'static str) {
        let labels = [KeyValue::new("outcome", outcome), KeyValue::new("transmitter", transmitter.to_owned())];
        self.revocations.polls.add(1, &labels);
    }

    /// Counts a security event that came. All three come from closed sets: config's names, and ours.
    pub fn security_event(&self, transmitter: &str, event: &'static str, outcome: &'static str) {
        let labels = [
            KeyValue::new("event", event),
            KeyValue::new("outcome", outcome),
            KeyValue::new("transmitter", transmitter.to_owned()),
        ];
        self.revocations.events.add(1, &labels);
    }

    /// A revocation bites from now on: so many seconds after it was asked, `local`ly or elsewhere in the `fleet`, and after the harm was
    /// reported.
    pub fn revoked(&self, origin: &'static str, after_asked: f64, after_reported: f64) {
        self.revocations.propagation.record(after_asked, &[KeyValue::new("origin", origin)]);
        self.revocations.time_to_revoke.record(after_reported, &[]);
    }

    /// How many revocations of a kind are in force.
    pub fn revocations(&self, kind: &'static str, entries: usize) {
        self.revocations.marks.record(u64::try_from(entries).unwrap_or(u64::MAX), &[KeyValue::new("kind", kind)]);
    }

    /// Counts a question about a token. The issuer is one of the operator's file.
    pub fn asked(&self, issuer: &str, what: Asked) {
        let issuer = KeyValue::new("issuer", issuer.to_owned());
        self.introspections.asked.add(1, &[issuer, KeyValue::new("outcome", what.name())]);
    }

    /// How many calls to an issuer are under way.
    pub fn calls(&self, issuer: &str, in_flight: usize) {
        let in_flight = u64::try_from(in_flight).unwrap_or(u64::MAX);
        self.introspections.in_flight.record(in_flight, &[KeyValue::new("issuer", issuer.to_owned())]);
    }

    /// How long a call to an issuer took.
    pub fn called(&self, issuer: &str, took: Duration) {
        self.introspections.seconds.record(took.as_secs_f64(), &[KeyValue::new("issuer", issuer.to_owned())]);
    }

    /// Who remembers spent proofs now, where replicas share them.
    pub fn spent_store(&self, shared: bool, locally: bool) {
        self.spent_shared.record(u64::from(shared), &[]);
        self.spent_locally.record(u64::from(locally), &[]);
    }

    /// Spent proofs may have been forgotten.
    pub fn spent_lost(&self) {
        self.spent_losses.add(1, &[]);
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if TextEncoder::new().encode(&self.registry.gather(), &mut text).is_err() {
            text.clear();
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::decision::Decision;
    use crate::telemetry::record::DecisionId;

    #[test]
    fn what_many_apis_are_refused_hides_no_later_decision() {
        let metrics = Metrics::new().unwrap();
        let decided = |api: &str, denial: Denial| {
            let mut decision = Decision::refuse(denial);
            decision.findings.api = Some(api.to_owned());
            metrics.decided(&DecisionRecord::new(DecisionId::new([0; 16]), "edge", Duration::ZERO, &decision));
        };
        for api in 0..200 {
            for denial in Denial::ALL.iter().filter(|denial| denial.row().status == 401) {
                decided(&format!("api-{api}"), *denial);
            }
        }
        decided("last", Denial::ProofReplayed);
        let text = metrics.text();
        assert!(text.contains("api=\"last\",code=\"proof_replayed\""), "it is counted by its own name");
        assert!(!text.contains("overflow"));
    }
}
