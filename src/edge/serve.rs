//! The process: listeners, workers, the keeper, health, signals. One owner for each; one that ends, ends the process.

mod events;

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

use crate::config::{CheckListener, Config, Limits, ListenAddress};
use crate::decision::snapshot::Snapshot;
use crate::edge::door::Door;
use crate::edge::gate::{Gate, Partners};
use crate::edge::health::Health;
use crate::edge::jwks::Feeds;
use crate::edge::keeper::{ADMIN, Keeper};
use crate::edge::listen::{Accepted, BACKLOG, Listener, Worker};
use crate::edge::plain::PlainListener;
use crate::edge::revocations::admin::{Admin, listener};
use crate::edge::revocations::journal::store::Unopened;
use crate::edge::revocations::{Revocations, crl};
use crate::edge::service::Services;
use crate::edge::spent::memory::Memory;
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
    /// What was revoked cannot be kept.
    #[error(transparent)]
    Journal(#[from] Unopened),
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
    let (list, journal) = (keeper.revocations(), config.revocations.journal.as_deref());
    let revocations = Arc::new(Revocations::open(list, journal, Arc::clone(&metrics))?);
    let ended = runtime.block_on(async {
        let ended = run(file, config, keeper, metrics, &revocations).await;
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
    metrics: Arc<Metrics>,
    revocations: &Arc<Revocations>,
) -> Result<(), Ended> {
    let doors = doors(&config, &keeper)?;
    let feeds = keeper.take_feeds().ok_or(Ended::Task("the keys' feeds"))?;
    let snapshot = Arc::new(ArcSwap::from_pointee(keeper.snapshot()));
    let (gate, health) = judge(&config, &snapshot, &feeds, &metrics, revocations);
    let (reporter, grpc_health) = tonic_health::server::health_reporter();
    // tonic-health says SERVING of itself before anybody knows.
    reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    let grpc_health = Routes::new(grpc_health);
    let listeners = bind(&config).await?;
    let Beside { probes, public, admin } = beside(&config, &keeper, revocations).await?;
    let events = events::EventsListener::bind(&config, (&keeper, &feeds), revocations, &metrics).await?;
    let (stop, stopped) = watch::channel(false);
    let in_flight = Arc::new(Semaphore::new(config.limits.in_flight));
    let (senders, workers) = workers(&config, &stopped, |listener: &CheckListener, turns: &Arc<Semaphore>| {
        let (gate, in_flight, turns) = (Arc::clone(&gate), Arc::clone(&in_flight), Arc::clone(turns));
        let beside = others(&grpc_health, listener.reflection);
        Services::new(gate, &listener.name, in_flight, turns, beside)
    })?;
    let others = [("probes", probes.as_ref()), ("public", public.as_ref()), admin.named(), events.named()];
    let listening = addresses(&config, &listeners, &doors, others);
    let (version, config_file, revision) = (env!("CARGO_PKG_VERSION"), file.display(), keeper.revision());
    tracing::info!(version, %config_file, revision, workers = workers.len(), listeners = listening, "started");

    let accepts = accept(&config, listeners, doors, senders);
    let reload = Arc::new(Notify::new());
    let (sender, news) = mpsc::channel(KEY_NEWS);
    let (mut workers, client) = (select_all(workers), feeds.client());
    tokio::select! {
        _ = accepts => Err(Ended::Task("a listener")),
        () = crl::follow(config.certificate.crls.as_ref(), &client, sender.clone(), Arc::clone(&metrics)) => Err(Ended::Task("the revocation lists' feed")),
        () = feeds.follow(sender, Arc::clone(&metrics)) => Err(Ended::Task("the keys' feeds")),
        () = keeper.keep(Arc::clone(&snapshot), Arc::clone(&metrics), Arc::clone(&reload), news) => Err(Ended::Task("the keeper of the snapshot")),
        () = health.report(reporter) => Err(Ended::Task("health")),
        _ = serve_plain("probes", probes, Arc::clone(&health).probes()) => Err(Ended::Task("the probes listener")),
        _ = serve_plain("public", public, public::routes(Arc::clone(&snapshot))) => Err(Ended::Task("the public listener")),
        () = admin.serve() => Err(Ended::Task("the admin listener")),
        () = events.serve() => Err(Ended::Task("the events listener")),
        () = revocations.follow() => Err(Ended::Task("the book of revocations")),
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
    Ok(())
}

/// Accepts connections of every listener, for ever.
async fn accept(
    config: &Config,
    listeners: Vec<Listener>,
    doors: Vec<Option<Arc<Door>>>,
    senders: Vec<Vec<Worker>>,
) -> Vec<()> {
    let names = config.listeners.check.iter().map(|listener| listener.name.as_str());
    let all = listeners.into_iter().zip(names).zip(doors).zip(senders);
    let accepts = all.map(|(((listener, name), door), senders)| listener.accept_into(name, door, senders));
    join_all(accepts).await
}

/// What judges checks, and what says whether to ask it.
fn judge(
    config: &Config,
    snapshot: &Arc<ArcSwap<Snapshot>>,
    feeds: &Feeds,
    metrics: &Arc<Metrics>,
    revocations: &Arc<Revocations>,
) -> (Arc<Gate>, Arc<Health>) {
    let spent = &config.proofs.spent;
    let watermark = clock::now().saturating_add(config.proofs.rules.future_skew_seconds);
    let memory = Arc::new(Memory::new(spent.capacity, spent.client_share_percent, watermark));
    let required = config.issuers.iter().filter(|issuer| issuer.required);
    let health = Health::new(
        Arc::clone(snapshot),
        Arc::clone(&memory),
        Arc::clone(revocations),
        Arc::clone(metrics),
        required.map(|issuer| issuer.rules.issuer.clone()).collect(),
        feeds.untried(),
    );
    let gate = Gate {
        snapshot: Arc::clone(snapshot),
        partners: Partners { refused: revocations.refused(), ..Partners::alone(memory) },
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
    others: [(&str, Option<&TcpListener>); 4],
) -> String {
    let check = config.listeners.check.iter().zip(listeners).zip(doors).map(|((configured, listener), door)| {
        let tls = if door.is_some() { " (TLS)" } else { "" };
        format!("{} {}{tls}", configured.name, listener.address())
    });
    let others = others.into_iter().filter_map(|(name, listener)| {
        let address = listener?.local_addr().ok()?;
        Some(format!("{name} {address}"))
    });
    check.chain(others).collect::<Vec<_>>().join(", ")
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

/// The listeners beside those that answer Envoy.
struct Beside {
    probes: Option<TcpListener>,
    public: Option<TcpListener>,
    admin: AdminListener,
}

async fn beside(config: &Config, keeper: &Keeper, revocations: &Arc<Revocations>) -> Result<Beside, Ended> {
    let probes = plain("probes", config.listeners.probes).await?;
    let public = plain("public", config.listeners.public).await?;
    Ok(Beside { probes, public, admin: admin(config, keeper, revocations).await? })
}

/// The admin listener, if there is one.
struct AdminListener {
    bound: Option<(TcpListener, Option<Arc<Door>>)>,
    api: Arc<Admin>,
}

async fn admin(config: &Config, keeper: &Keeper, revocations: &Arc<Revocations>) -> Result<AdminListener, Ended> {
    let api = Arc::new(Admin::new(config, keeper.bearers(), Arc::clone(revocations)));
    let Some(configured) = &config.listeners.admin else { return Ok(AdminListener { bound: None, api }) };
    let door = keeper.door(ADMIN);
    if configured.tls.is_some() && door.is_none() {
        return Err(Ended::NoDoor("admin".to_owned()));
    }
    let listener = plain("admin", Some(configured.address)).await?;
    Ok(AdminListener { bound: listener.map(|listener| (listener, door)), api })
}

impl AdminListener {
    fn named(&self) -> (&'static str, Option<&TcpListener>) {
        ("admin", self.bound.as_ref().map(|(listener, _)| listener))
    }

    async fn serve(self) {
        match self.bound {
            Some((listener, door)) => listener::serve(listener, door, self.api).await,
            None => std::future::pending().await,
        }
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
    services: impl Fn(&CheckListener, &Arc<Semaphore>) -> Services,
) -> Result<Workers, Ended> {
    let count = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut senders: Vec<Vec<Worker>> = config.listeners.check.iter().map(|_| Vec::new()).collect();
    let mut ends = Vec::new();
    for _ in 0..count {
        let mut servers = Vec::new();
        let (turns, live) = (Arc::new(Semaphore::new(TURNS)), Arc::new(()));
        for (listener, senders) in config.listeners.check.iter().zip(&mut senders) {
            let (sender, receiver) = mpsc::channel::<Accepted>(BACKLOG);
            senders.push(Worker::new(sender, &live));
            servers.push((services(listener, &turns), receiver));
        }
        let (stopped, http) = (stopped.clone(), connection::http(&config.limits));
        let runtime = tokio::runtime::Builder::new_current_thread().event_interval(LOOKS).enable_all().build()?;
        let (ended, end) = oneshot::channel();
        ends.push(end);
        let builder = std::thread::Builder::new().name("keybound-worker".to_owned()).stack_size(WORKER_STACK);
        builder.spawn(move || {
            let work = |(services, accepted)| connection::serve_all(http.clone(), services, accepted, stopped.clone());
            let servers = servers.into_iter().map(work);
            runtime.block_on(join_all(servers));
            let told = ended.send(()).is_ok();
            tracing::debug!(told, "a worker has ended");
        })?;
    }
    Ok((senders, ends))
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
