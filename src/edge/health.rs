//! Whether this process should be asked: the truth, told over gRPC health and to probes.
//!
//! Ready: a bundle is loaded, each issuer's keys were tried once (and are here, where `required`), the memory of spent proofs has been
//! found and its watermark has passed, what other replicas have revoked was read (if nothing passes without it), and the process is
//! not draining. One dead identity provider does not take the others' tenants down, and neither does a shared memory that goes away
//! later: whoever shows a certificate is served without it.

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

use crate::decision::revocation::Kind;
use crate::decision::snapshot::Snapshot;
use crate::edge::clock;
use crate::edge::revocations::Revocations;
use crate::edge::service;
use crate::edge::spent::memory::Memory;
use crate::edge::spent::redis::{Standing, State as Shared};
use crate::telemetry::metrics::Metrics;

/// How often the answer of gRPC health is brought up to date.
const EVERY: Duration = Duration::from_millis(200);

/// What readiness is told from.
pub struct Health {
    snapshot: Arc<ArcSwap<Snapshot>>,
    spent: Spent,
    revocations: Arc<Revocations>,
    metrics: Arc<Metrics>,
    required: Vec<String>,
    untried: Arc<AtomicUsize>,
    draining: AtomicBool,
    /// The watermark of the start has passed: one that is raised later is no reason to be asked nothing at all.
    begun: AtomicBool,
}

/// The memory of spent proofs, as far as readiness is concerned.
pub struct Spent {
    /// The process's own.
    pub memory: Arc<Memory>,
    /// How it stands with the one that replicas share, if they do.
    pub shared: Option<Arc<Standing>>,
}

/// Why the process is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It is ending.
    Draining,
    /// No bundle yet.
    BundleMissing,
    /// The keys of so many issuers have not been fetched for once yet.
    KeysUntried(usize),
    /// Keys of these issuers, which are `required`, are missing.
    KeysMissing(Vec<String>),
    /// The shared memory of spent proofs has not been found, and perhaps why.
    SpentUnseen(Option<String>),
    /// What other replicas have revoked has not been read for once, and perhaps why.
    RevocationsUnread(Option<String>),
    /// Proofs made before the start could still be replayed, for so many seconds.
    WatermarkAhead(i64),
}

impl NotReady {
    /// When it is over by itself.
    #[must_use]
    pub const fn seconds_left(&self) -> Option<i64> {
        match self {
            Self::WatermarkAhead(seconds) => Some(*seconds),
            Self::Draining
            | Self::BundleMissing
            | Self::KeysUntried(_)
            | Self::KeysMissing(_)
            | Self::SpentUnseen(_)
            | Self::RevocationsUnread(_) => None,
        }
    }

    /// Whether it is the same reason, whatever its numbers are.
    fn is_like(&self, other: &Self) -> bool {
        core::mem::discriminant(self) == core::mem::discriminant(other)
    }
}

impl core::fmt::Display for NotReady {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Draining => f.write_str("draining"),
            Self::BundleMissing => f.write_str("no bundle yet"),
            Self::KeysUntried(issuers) => {
                write!(f, "keys have not been fetched for once yet; issuers: {issuers}")
            }
            Self::KeysMissing(issuers) => write!(f, "keys of required issuers are missing: {}", issuers.join(", ")),
            Self::SpentUnseen(None) => f.write_str("the memory of spent proofs has not been looked at yet"),
            Self::SpentUnseen(Some(why)) => write!(f, "the memory of spent proofs cannot be used: {why}"),
            Self::RevocationsUnread(None) => f.write_str("what other replicas have revoked has not been read yet"),
            Self::RevocationsUnread(Some(why)) => {
                write!(f, "what other replicas have revoked cannot be read: {why}")
            }
            Self::WatermarkAhead(_) => f.write_str("proofs made before the start could still be replayed"),
        }
    }
}

impl Health {
    /// Tells from these. `required` are the issuers without whose keys the process is not ready; `untried` counts those whose keys
    /// have not been fetched for once.
    #[must_use]
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        spent: Spent,
        revocations: Arc<Revocations>,
        metrics: Arc<Metrics>,
        required: Vec<String>,
        untried: Arc<AtomicUsize>,
    ) -> Self {
        let (draining, begun) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { snapshot, spent, revocations, metrics, required, untried, draining, begun }
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
        let untried = self.untried.load(Ordering::Acquire);
        if untried > 0 {
            return Err(NotReady::KeysUntried(untried));
        }
        let has_keys = |issuer: &&String| snapshot.issuers.find(issuer).is_some_and(|issuer| issuer.keys.is_some());
        let missing: Vec<_> = self.required.iter().filter(|issuer| !has_keys(issuer)).cloned().collect();
        if !missing.is_empty() {
            return Err(NotReady::KeysMissing(missing));
        }
        if !self.begun.load(Ordering::Acquire) {
            self.remembers()?;
            if let Some(why) = self.revocations.publisher().and_then(|fleet| fleet.standing().not_begun()) {
                return Err(NotReady::RevocationsUnread(why));
            }
            self.begun.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether it can be said of every proof whether it was used before.
    fn remembers(&self) -> Result<(), NotReady> {
        if let Some(shared) = &self.spent.shared
            && shared.state() == Shared::Starting
        {
            return Err(NotReady::SpentUnseen(shared.why()));
        }
        // At the watermark itself they still could.
        let seconds_left = self.spent.memory.watermark().saturating_sub(clock::now()).saturating_add(1);
        if seconds_left > 0 { Err(NotReady::WatermarkAhead(seconds_left)) } else { Ok(()) }
    }

    /// What is said beside readiness.
    fn remarks(&self) -> String {
        let mut revocations = self.revocations.status();
        if let Some(fleet) = self.revocations.publisher() {
            revocations = format!("{revocations}\n{}", fleet.standing().line());
        }
        let Some(shared) = &self.spent.shared else { return format!("{revocations}\n") };
        let why = shared.why().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{revocations}\nspent proofs: {}{why}\n", shared.state().name())
    }

    /// Keeps gRPC health true, for ever.
    pub async fn report(&self, reporter: HealthReporter) {
        let mut told: Option<Result<(), NotReady>> = None;
        loop {
            let now = self.ready();
            let news = match (&told, &now) {
                (Some(Ok(())), Ok(())) => false,
                (Some(Err(before)), Err(why)) => !before.is_like(why),
                _ => true,
            };
            if news {
                let status = if now.is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
                reporter.set_service_status("", status).await;
                reporter.set_service_status(service::NAME, status).await;
                let why = now.as_ref().err();
                let seconds_left = why.and_then(NotReady::seconds_left);
                tracing::info!(ready = now.is_ok(), why = why.map(ToString::to_string), seconds_left, "readiness");
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
    let remarks = health.remarks();
    match health.ready() {
        Ok(()) => (StatusCode::OK, format!("ok\n{remarks}")),
        Err(why) => {
            let left = why.seconds_left().map(|seconds| format!("seconds_left: {seconds}\n")).unwrap_or_default();
            (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n{remarks}{left}"))
        }
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> ([(header::HeaderName, &'static str); 1], String) {
    health.metrics.spent_entries(health.spent.memory.entries());
    if let Some(fleet) = health.revocations.publisher() {
        let heard = fleet.standing().now();
        health.metrics.unheard(heard.seconds, heard.is_stale);
    }
    for kind in Kind::ALL {
        health.metrics.revocations(kind.name(), health.revocations.book().count(kind));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], health.metrics.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_again_only_when_it_is_another_one() {
        assert!(NotReady::WatermarkAhead(10).is_like(&NotReady::WatermarkAhead(9)));
        assert!(!NotReady::WatermarkAhead(1).is_like(&NotReady::KeysUntried(1)));
        assert_eq!(NotReady::WatermarkAhead(9).seconds_left(), Some(9));
        assert_eq!(NotReady::Draining.seconds_left(), None);
        let missing = NotReady::KeysMissing(vec!["https://as.test".to_owned()]);
        assert_eq!(missing.to_string(), "keys of required issuers are missing: https://as.test");
    }
}
