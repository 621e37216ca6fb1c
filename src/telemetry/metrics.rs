//! Counters and gauges, in OpenTelemetry's names; `/metrics` prints them in Prometheus' text format.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::decision::denial::Denial;
use crate::telemetry::record::DecisionRecord;

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
    /// The keys of our nonces.
    Nonces,
    /// Certificate, key and client CA of a check listener.
    Tls,
}

impl Loaded {
    const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Keys => "keys",
            Self::Trust => "trust_bundle",
            Self::Nonces => "nonce_keys",
            Self::Tls => "listener_tls",
        }
    }
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
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("keybound");
        Ok(Self {
            decisions: meter.u64_counter("keybound.decisions").with_description("Decisions by code").build(),
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
            registry,
            _provider: provider,
        })
    }

    /// Counts a decision.
    pub fn decided(&self, record: &DecisionRecord<'_>) {
        let labels = [
            KeyValue::new("code", record.code()),
            KeyValue::new("api", record.api().unwrap_or_default().to_owned()),
            KeyValue::new("mode", record.mode()),
            KeyValue::new("would_be", record.would_be().map(Denial::slug).unwrap_or_default()),
            KeyValue::new("point", record.point.to_owned()),
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
