//! The process: listeners, workers, the keeper, health, signals. One owner for each; one that ends, ends the process.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{join_all, select_all};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tonic::service::Routes;

use crate::config::{self, CheckListener, Config, Limits, ListenAddress};
use crate::decision::snapshot::Snapshot;
use crate::edge::door::Door;
use crate::edge::gate::{Gate, Partners};
use crate::edge::health::{self, Health};
use crate::edge::jwks::Feeds;
use crate::edge::keeper::Keeper;
use crate::edge::listen::{Accepted, BACKLOG, Listener, Worker};
use crate::edge::plain::PlainListener;
use crate::edge::service::Services;
use crate::edge::spent::Spent;
use crate::edge::spent::memory::Memory;
use crate::edge::spent::redis::{Link, Refused, Store};
use crate::edge::{clock, connection, proto, public};
use crate::telemetry::metrics::Metrics;

/// After the drain, how long work in flight may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Twice what Cedar needs to evaluate the deepest policy that a bundle may have.
const WORKER_STACK: usize = 4 * 1024 * 1024;

/// Checks that a worker judges before it sees to its sockets: with a signature to verify each, this takes a millisecond. Their answers are
/// written at once, which saves most of the cost of writing.
const TURNS: usize = 16;
/// Steps of tasks, judgements among them, after which a worker looks at its sockets at the latest.
const LOOKS: u32 = 32;

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
pub fn serve(file: &Path, config: Arc<Config>, keeper: Keeper, metrics: Arc<Metrics>) -> Result<(), Ended> {
    quiet_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(run(file, config, keeper, metrics));
    runtime.shutdown_background();
    ended
}

async fn run(file: &Path, config: Arc<Config>, mut keeper: Keeper, metrics: Arc<Metrics>) -> Result<(), Ended> {
    let doors = doors(&config, &keeper)?;
    let feeds = keeper.take_feeds().ok_or(Ended::Task("the keys' feeds"))?;
    let snapshot = Arc::new(ArcSwap::from_pointee(keeper.snapshot()));
    let (memory, store) = remember(&config, &metrics).await?;
    let (gate, health) = judge(&config, &snapshot, &feeds, &metrics, memory, store.as_ref());
    let (reporter, grpc_health) = tonic_health::server::health_reporter();
    // tonic-health says SERVING of itself before anybody knows.
    reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    let grpc_health = Routes::new(grpc_health);
    let listeners = bind(&config).await?;
    let probes = plain("probes", config.listeners.probes).await?;
    let public = plain("public", config.listeners.public).await?;
    let (stop, stopped) = watch::channel(false);
    let in_flight = Arc::new(Semaphore::new(config.limits.in_flight));
    let (senders, workers) = workers(&config, &stopped, store.as_ref(), |listener, turns, link| {
        let gate = link.map_or(Arc::clone(&gate), |link| Arc::new(gate.spending_by(Spent::Redis(Arc::clone(link)))));
        let (in_flight, turns) = (Arc::clone(&in_flight), Arc::clone(turns));
        let others = others(&grpc_health, listener.reflection);
        Services::new(gate, &listener.name, in_flight, turns, others)
    })?;
    let listening = addresses(&config, &listeners, &doors, probes.as_ref(), public.as_ref());
    let (version, config_file, revision) = (env!("CARGO_PKG_VERSION"), file.display(), keeper.revision());
    tracing::info!(version, %config_file, revision, workers = workers.len(), listeners = listening, "started");

    let names = config.listeners.check.iter().map(|listener| listener.name.as_str());
    let accepts = join_all(
        listeners
            .into_iter()
            .zip(names)
            .zip(doors)
            .zip(senders)
            .map(|(((listener, name), door), senders)| listener.accept_into(name, door, senders)),
    );
    let reload = Arc::new(Notify::new());
    let (sender, news) = mpsc::channel(KEY_NEWS);
    let mut workers = select_all(workers);
    tokio::select! {
        _ = accepts => Err(Ended::Task("a listener")),
        () = feeds.follow(sender, Arc::clone(&metrics)) => Err(Ended::Task("the keys' feeds")),
        () = keeper.keep(Arc::clone(&snapshot), Arc::clone(&metrics), Arc::clone(&reload), news) => Err(Ended::Task("the keeper of the snapshot")),
        () = health.report(reporter) => Err(Ended::Task("health")),
        _ = serve_plain("probes", probes, Arc::clone(&health).probes()) => Err(Ended::Task("the probes listener")),
        _ = serve_plain("public", public, public::routes(Arc::clone(&snapshot))) => Err(Ended::Task("the public listener")),
        _ = &mut workers => Err(Ended::Task("a worker")),
        ended = reload_on_hangup(reload) => Err(ended),
        ended = until_told_to_end(&health, &config.limits) => ended,
    }?;
    // Connections are told to go; what is in flight is answered.
    stop.send_replace(true);
    let (_, _, rest) = tokio::time::timeout(LAST_WORDS, workers).await.unwrap_or((Ok(()), 0, Vec::new()));
    if tokio::time::timeout(LAST_WORDS, join_all(rest)).await.is_err() {
        tracing::warn!("some checks were still in flight at the end");
    }
    tracing::info!("ended");
    Ok(())
}

/// The process's own memory of spent proofs, and the one that replicas share, if they do.
async fn remember(config: &Config, metrics: &Arc<Metrics>) -> Result<(Arc<Memory>, Option<Arc<Store>>), Refused> {
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
    Ok((memory, store))
}

/// What judges checks, and what says whether to ask it.
fn judge(
    config: &Config,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    feeds: &Feeds,
    metrics: &Arc<Metrics>,
    memory: Arc<Memory>,
    store: Option<&Arc<Store>>,
) -> (Arc<Gate>, Arc<Health>) {
    let required = config.issuers.iter().filter(|issuer| issuer.required);
    let health = Health::new(
        Arc::clone(snapshot),
        health::Spent { memory: Arc::clone(&memory), shared: store.map(|store| store.standing()) },
        Arc::clone(metrics),
        required.map(|issuer| issuer.rules.issuer.clone()).collect(),
        feeds.untried(),
    );
    let gate = Gate {
        snapshot: Arc::clone(snapshot),
        partners: Partners::alone(memory),
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

/// The TLS of each check listener. One that is to have it and has not must not be served in plain text.
fn doors(config: &Config, keeper: &Keeper) -> Result<Vec<Option<Arc<Door>>>, Ended> {
    let door = |listener: &CheckListener| match (&listener.tls, keeper.door(&listener.name)) {
        (Some(_), None) => Err(Ended::NoDoor(listener.name.clone())),
        (_, door) => Ok(door),
    };
    config.listeners.check.iter().map(door).collect()
}

/// Every listener with its real address: what a port 0 became is found nowhere else.
fn addresses(
    config: &Config,
    listeners: &[Listener],
    doors: &[Option<Arc<Door>>],
    probes: Option<&TcpListener>,
    public: Option<&TcpListener>,
) -> String {
    let check = config.listeners.check.iter().zip(listeners).zip(doors).map(|((configured, listener), door)| {
        let tls = if door.is_some() { " (TLS)" } else { "" };
        format!("{} {}{tls}", configured.name, listener.address())
    });
    let plain = [("probes", probes), ("public", public)].into_iter().filter_map(|(name, listener)| {
        let address = listener?.local_addr().ok()?;
        Some(format!("{name} {address}"))
    });
    check.chain(plain).collect::<Vec<_>>().join(", ")
}

async fn bind(config: &Config) -> Result<Vec<Listener>, Ended> {
    let mut listeners = Vec::new();
    for CheckListener { name, address, .. } in &config.listeners.check {
        listeners.push(Listener::bind(address).await.map_err(|why| unbound(name, address, why))?);
    }
    Ok(listeners)
}

async fn plain(name: &str, address: Option<SocketAddr>) -> Result<Option<TcpListener>, Ended> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|why| unbound(name, &ListenAddress::Tcp(address), why))
}

fn unbound(name: &str, address: &ListenAddress, why: io::Error) -> Ended {
    let remedy = Listener::remedy(address, &why);
    Ended::Bind { listener: name.to_owned(), address: address.clone(), why, remedy }
}

async fn serve_plain(name: &str, listener: Option<TcpListener>, routes: axum::Router) -> io::Result<()> {
    match listener {
        Some(listener) => axum::serve(PlainListener::new(name, listener), routes).await,
        None => std::future::pending().await,
    }
}

/// The services beside ours: these, and reflection if it is wanted.
fn others(routes: &Routes, reflection: bool) -> Routes {
    let reflection = reflection.then(|| {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR)
            .build_v1()
    });
    match reflection {
        Some(Ok(reflection)) => routes.clone().add_service(reflection),
        Some(Err(_)) | None => routes.clone(),
    }
}

/// For each listener, the senders to every worker; and for each worker, what tells that it has ended.
type Workers = (Vec<Vec<Worker>>, Vec<oneshot::Receiver<()>>);

/// One thread and one runtime per core, each serving its share of every listener's connections.
fn workers(
    config: &Config,
    stopped: &watch::Receiver<bool>,
    store: Option<&Arc<Store>>,
    services: impl Fn(&CheckListener, &Arc<Semaphore>, Option<&Arc<Link>>) -> Services,
) -> Result<Workers, Ended> {
    let count = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // Before the first worker begins: it stands as a whole.
    let links: Vec<_> = (0..count).map(|_| store.map(Store::link)).collect();
    let mut senders: Vec<Vec<Worker>> = config.listeners.check.iter().map(|_| Vec::new()).collect();
    let mut ends = Vec::new();
    for link in links {
        let mut servers = Vec::new();
        let (turns, live) = (Arc::new(Semaphore::new(TURNS)), Arc::new(()));
        for (listener, senders) in config.listeners.check.iter().zip(&mut senders) {
            let (sender, receiver) = mpsc::channel::<Accepted>(BACKLOG);
            senders.push(Worker::new(sender, &live));
            servers.push((services(listener, &turns, link.as_ref()), receiver));
        }
        let (stopped, http) = (stopped.clone(), connection::http(&config.limits));
        let runtime = tokio::runtime::Builder::new_current_thread().event_interval(LOOKS).enable_all().build()?;
        let (ended, end) = oneshot::channel();
        ends.push(end);
        let builder = std::thread::Builder::new().name("keybound-worker".to_owned()).stack_size(WORKER_STACK);
        builder.spawn(move || {
            let work = |(services, accepted)| connection::serve_all(http.clone(), services, accepted, stopped.clone());
            let servers = servers.into_iter().map(work);
            runtime.block_on(async {
                tokio::select! {
                    _ = join_all(servers) => {}
                    () = kept(link) => {}
                }
            });
            let told = ended.send(()).is_ok();
            tracing::debug!(told, "a worker has ended");
        })?;
    }
    Ok((senders, ends))
}

/// Keeps a worker's link, if it has one, for ever: its connections live on the worker's runtime.
async fn kept(link: Option<Arc<Link>>) {
    match link {
        Some(link) => link.keep().await,
        None => std::future::pending().await,
    }
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

/// Where the file of a Unix socket listener is, to remove it at the end.
#[must_use]
pub fn socket_paths(config: &Config) -> Vec<PathBuf> {
    let path = |listener: &CheckListener| match &listener.address {
        crate::config::ListenAddress::Unix(path) => Some(path.clone()),
        crate::config::ListenAddress::Tcp(_) => None,
    };
    config.listeners.check.iter().filter_map(path).collect()
}
