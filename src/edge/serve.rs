//! The process: listeners, workers, the keeper, health, signals. One owner for each; one that ends, ends the process.

mod asking;
mod events;
mod listeners;
mod workers;

pub use listeners::socket_paths;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, select_all};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::config::{self, Config, Limits, ListenAddress};
use crate::decision::snapshot::Snapshot;
use crate::edge::gate::{Gate, Partners};
use crate::edge::health::{self, Health};
use crate::edge::introspection::Callers;
use crate::edge::jwks::Feeds;
use crate::edge::keeper::Keeper;
use crate::edge::revocations::fleet::Fleet;
use crate::edge::revocations::journal::store::Unopened;
use crate::edge::revocations::{Revocations, crl};
use crate::edge::service::Services;
use crate::edge::spent::Spent;
use crate::edge::spent::memory::Memory;
use crate::edge::spent::redis::{Refused, Store};
use crate::edge::{clock, public};
use crate::telemetry::metrics::Metrics;
use listeners::{Beside, accept, addresses, beside, bind, doors, serve_plain};
use workers::{others, until_answered, workers};

/// After the drain, how long work in flight may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Key sets fetched and not yet published.
const KEY_NEWS: usize = 16;

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A listener could not be bound.
    #[error("listener `{listener}` cannot listen on {address}: {why}\n  help: {remedy}")]
    Bind {
        /// Its name.
        listener: String,
        /// The address, as configured.
        address: ListenAddress,
        /// The operating system's word.
        why: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A listener is to speak TLS and has no certificate to do it with.
    #[error("listener {0} has no certificate")]
    NoDoor(String),
    /// What was revoked cannot be kept.
    #[error(transparent)]
    Journal(#[from] Unopened),
    /// The Redis that replicas share is none that may remember spent proofs.
    #[error(transparent)]
    Store(#[from] Refused),
    /// Something that must run for ever has ended.
    #[error("{0} has ended")]
    Task(&'static str),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until a signal ends it. `file` is the operator's file, as it was named.
///
/// # Errors
/// [`Ended`], unless it was a signal.
pub fn serve(
    file: &Path,
    config: Arc<Config>,
    keeper: Keeper,
    callers: Callers,
    metrics: Arc<Metrics>,
) -> Result<(), Ended> {
    quiet_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (list, journal) = (keeper.revocations(), config.revocations.journal.as_deref());
    let revocations = Arc::new(Revocations::open(list, journal, Arc::clone(&metrics))?);
    let ended = runtime.block_on(async {
        let ended = run(file, config, keeper, callers, metrics, &revocations).await;
        if tokio::time::timeout(LAST_WORDS, revocations.close()).await.is_err() {
            tracing::warn!("the journal of revocations was not closed: the next start looks it through");
        }
        if ended.is_ok() {
            tracing::info!("ended");
        }
        ended
    });
    runtime.shutdown_background();
    ended
}

async fn run(
    file: &Path,
    config: Arc<Config>,
    mut keeper: Keeper,
    callers: Callers,
    metrics: Arc<Metrics>,
    revocations: &Arc<Revocations>,
) -> Result<(), Ended> {
    let doors = doors(&config, &keeper)?;
    let feeds = keeper.take_feeds().ok_or(Ended::Task("the keys' feeds"))?;
    let snapshot = Arc::new(ArcSwap::from_pointee(keeper.snapshot()));
    let (asked, clerks) = asking::start(&config, callers, (&keeper, &feeds), &snapshot, &metrics)?;
    let fleet = Fleet::join(&config, keeper.fleet(), revocations, &metrics);
    let (spent, store) = remember(&config, &metrics).await?;
    let partners = Partners { refused: revocations.refused(), ..asked.partners(Arc::clone(&spent.memory)) };
    let (gate, health) = judge(&config, &snapshot, &feeds, partners, spent, revocations, &metrics);
    let (reporter, grpc_health) = grpc_health().await;
    let listeners = bind(&config).await?;
    let Beside { probes, public, admin } = beside(&config, &keeper, revocations).await?;
    let events = events::EventsListener::bind(&config, (&keeper, &feeds), revocations, &metrics).await?;
    let (stop, stopped) = watch::channel(false);
    let in_flight = Arc::new(Semaphore::new(config.limits.in_flight));
    let (senders, workers) = workers(&config, &stopped, store.as_ref(), |listener, turns, link| {
        let gate = link.map_or(Arc::clone(&gate), |link| Arc::new(gate.spending_by(Spent::Redis(Arc::clone(link)))));
        let (in_flight, turns) = (Arc::clone(&in_flight), Arc::clone(turns));
        Services::new(gate, &listener.name, in_flight, turns, others(&grpc_health, listener.reflection))
    })?;
    let others = [("probes", probes.as_ref()), ("public", public.as_ref()), admin.named(), events.named()];
    tell_start(file, keeper.revision(), workers.len(), &addresses(&config, &listeners, &doors, others));

    let reload = Arc::new(Notify::new());
    let (sender, news) = mpsc::channel(KEY_NEWS);
    let (mut workers, client) = (select_all(workers), feeds.client());
    let lists = crl::follow(config.certificate.crls.as_ref(), &client, sender.clone(), Arc::clone(&metrics));
    let for_ever = [
        for_ever("a listener", accept(&config, listeners, doors, senders).map(drop)),
        for_ever("the revocation lists' feed", lists),
        for_ever("the keys' feeds", feeds.follow(sender, Arc::clone(&metrics))),
        for_ever("the keeper of the snapshot", keeper.keep(Arc::clone(&snapshot), metrics, Arc::clone(&reload), news)),
        for_ever("introspection", clerks.introspection.serve()),
        for_ever("who fetches status lists", clerks.status_lists.serve()),
        for_ever("health", health.report(reporter)),
        for_ever("the probes listener", serve_plain("probes", probes, Arc::clone(&health).probes()).map(drop)),
        for_ever("the public listener", serve_plain("public", public, public::routes(snapshot)).map(drop)),
        for_ever("the admin listener", admin.serve()),
        for_ever("the events listener", events.serve()),
        for_ever("the book of revocations", revocations.follow()),
        for_ever("the fleet's revocations", keep(fleet)),
        for_ever("a worker", (&mut workers).map(drop)),
    ];
    tokio::select! {
        (ended, ..) = select_all(for_ever) => Err(ended),
        ended = reload_on_hangup(reload) => Err(ended),
        ended = until_told_to_end(&health, &config.limits) => ended,
    }?;
    // Connections are told to go; what is in flight is answered.
    stop.send_replace(true);
    until_answered(workers).await;
    Ok(())
}

async fn grpc_health() -> (HealthReporter, Routes) {
    let (reporter, health) = tonic_health::server::health_reporter();
    // tonic-health says SERVING of itself before anybody knows.
    reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    (reporter, Routes::new(health))
}

/// What must go on as long as the process does; why the process ends when it does not.
fn for_ever<'f>(name: &'static str, work: impl Future<Output = ()> + 'f) -> LocalBoxFuture<'f, Ended> {
    work.map(move |()| Ended::Task(name)).boxed_local()
}

/// Follows the fleet, if there is one.
async fn keep(fleet: Option<Fleet>) {
    match fleet {
        Some(fleet) => fleet.keep().await,
        None => std::future::pending().await,
    }
}

/// The process's own memory of spent proofs, and the one that replicas share, if they do.
async fn remember(config: &Config, metrics: &Arc<Metrics>) -> Result<(health::Spent, Option<Arc<Store>>), Refused> {
    let spent = &config.proofs.spent;
    let skew = config.proofs.rules.future_skew_seconds;
    let redis = config.redis.clone().filter(|_| spent.store == config::Store::Redis);
    // What was spent before this start the shared memory knows; where it does not, it says so.
    let watermark = if redis.is_some() { i64::MIN } else { clock::now().saturating_add(skew) };
    let memory = Arc::new(Memory::new(spent.capacity, spent.client_share_percent, watermark));
    let store = redis.map(|redis| {
        Arc::new(Store::new(redis, spent.on_unavailable, Arc::clone(&memory), skew, clock::now, Arc::clone(metrics)))
    });
    if let Some(store) = &store {
        store.first_look().await?;
    }
    let shared = store.as_ref().map(|store| store.standing());
    Ok((health::Spent { memory, shared }, store))
}

fn tell_start(file: &Path, revision: Option<&str>, workers: usize, listeners: &str) {
    let (version, config_file) = (env!("CARGO_PKG_VERSION"), file.display());
    tracing::info!(version, %config_file, revision, workers, listeners, "started");
}

/// What judges checks, and what says whether to ask it.
fn judge(
    config: &Config,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    feeds: &Feeds,
    partners: Partners,
    spent: health::Spent,
    revocations: &Arc<Revocations>,
    metrics: &Arc<Metrics>,
) -> (Arc<Gate>, Arc<Health>) {
    let required = config.issuers.iter().filter(|issuer| issuer.required);
    let health = Health::new(
        Arc::clone(snapshot),
        spent,
        Arc::clone(revocations),
        Arc::clone(metrics),
        required.map(|issuer| issuer.rules.issuer.clone()).collect(),
        feeds.untried(),
    );
    let gate = Gate {
        snapshot: Arc::clone(snapshot),
        partners,
        clock: clock::now,
        upstream: config.upstream.clone(),
        deadline: Duration::from_millis(config.limits.deadline_milliseconds),
        allow_sample_percent: config.log.allow_sample_percent,
        wanted: feeds.wanted(),
        metrics: Arc::clone(metrics),
    };
    (Arc::new(gate), Arc::new(health))
}

/// A panic says where, never what: its message could quote what was being read.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a defect: panicked");
    }));
}

/// SIGHUP: look at the files now.
async fn reload_on_hangup(reload: Arc<Notify>) -> Ended {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return Ended::Io(error),
    };
    while hangups.recv().await.is_some() {
        reload.notify_one();
    }
    Ended::Task("the listener for signals")
}

/// SIGTERM: not ready any more, serve on until load balancers have noticed, then end. SIGINT, or a second SIGTERM: end now.
async fn until_told_to_end(health: &Health, limits: &Limits) -> Result<(), Ended> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => return Ok(()),
    }
    health.drain();
    tracing::info!(seconds = limits.drain_seconds, "draining");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(limits.drain_seconds)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
