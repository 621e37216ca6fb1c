//! Whether this process should be asked: the truth, told over gRPC health and to probes.
//!
//! Ready: a bundle is loaded, each issuer's keys were tried once (and are here, where `required`), the watermark of the spent proofs
//! has passed, and the process is not draining. One dead identity provider does not take the others' tenants down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::decision::snapshot::Snapshot;
use crate::edge::clock;
use crate::edge::service::CheckService;
use crate::edge::spent::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// How often the answer of gRPC health is brought up to date.
const EVERY: Duration = Duration::from_millis(200);

/// What readiness is told from.
pub struct Health {
    snapshot: Arc<ArcSwap<Snapshot>>,
    spent: Arc<Memory>,
    metrics: Arc<Metrics>,
    required: Vec<String>,
    untried: Arc<AtomicUsize>,
    draining: AtomicBool,
}

/// Why the process is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It is ending.
    Draining,
    /// No bundle yet.
    BundleMissing,
    /// Some issuer's keys have not been fetched for once yet.
    KeysUntried,
    /// Keys of an issuer that is `required` are missing.
    KeysMissing,
    /// Proofs made before the start could still be replayed.
    WatermarkAhead,
}

impl NotReady {
    const fn text(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::BundleMissing => "no bundle yet",
            Self::KeysUntried => "keys have not been fetched for once yet",
            Self::KeysMissing => "keys of a required issuer are missing",
            Self::WatermarkAhead => "proofs made before the start could still be replayed",
        }
    }
}

impl Health {
    /// Tells from these. `required` are the issuers without whose keys the process is not ready; `untried` counts those whose keys
    /// have not been fetched for once.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        spent: Arc<Memory>,
        metrics: Arc<Metrics>,
        required: Vec<String>,
        untried: Arc<AtomicUsize>,
    ) -> Self {
        Self { snapshot, spent, metrics, required, untried, draining: AtomicBool::new(false) }
    }

    /// From now on the process is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process should be asked.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), NotReady> {
        if self.draining.load(Ordering::Acquire) {
            return Err(NotReady::Draining);
        }
        let snapshot = self.snapshot.load();
        if snapshot.bundle.is_none() {
            return Err(NotReady::BundleMissing);
        }
        if self.untried.load(Ordering::Acquire) > 0 {
            return Err(NotReady::KeysUntried);
        }
        let has_keys = |issuer: &String| snapshot.issuers.find(issuer).is_some_and(|issuer| issuer.keys.is_some());
        if !self.required.iter().all(has_keys) {
            return Err(NotReady::KeysMissing);
        }
        if clock::now() <= self.spent.watermark() {
            return Err(NotReady::WatermarkAhead);
        }
        Ok(())
    }

    /// Keeps gRPC health true, for ever.
    pub async fn report(&self, reporter: HealthReporter) {
        let mut told = None;
        loop {
            let now = self.ready().is_ok();
            if told != Some(now) {
                let status = if now { ServingStatus::Serving } else { ServingStatus::NotServing };
                reporter.set_service_status("", status).await;
                let name = <CheckService as tonic::server::NamedService>::NAME;
                reporter.set_service_status(name, status).await;
                tracing::info!(ready = now, why = self.ready().err().map(NotReady::text), "readiness");
                told = Some(now);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// `/livez`, `/readyz`, `/metrics`.
    pub fn probes(self: Arc<Self>) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    match health.ready() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", why.text())),
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> ([(header::HeaderName, &'static str); 1], String) {
    health.metrics.spent_entries(health.spent.entries());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.text())
}
