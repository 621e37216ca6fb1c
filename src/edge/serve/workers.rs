//! Workers: one thread and one runtime per core, and what they serve.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::{SelectAll, join_all};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tonic::service::Routes;

use super::{Ended, LAST_WORDS};
use crate::config::{CheckListener, Config};
use crate::edge::listen::{Accepted, BACKLOG, Worker};
use crate::edge::service::Services;
use crate::edge::spent::redis::{Link, Store};
use crate::edge::{connection, proto};

/// Twice what Cedar needs to evaluate the deepest policy that a bundle may have.
const WORKER_STACK: usize = 4 * 1024 * 1024;

/// Checks that a worker judges before it sees to its sockets: with a signature to verify each, this takes a millisecond. Their answers are
/// written at once, which saves most of the cost of writing.
const TURNS: usize = 16;
/// Steps of tasks, judgements among them, after which a worker looks at its sockets at the latest.
const LOOKS: u32 = 32;

/// For each listener, the senders to every worker; and for each worker, what tells that it has ended.
pub(super) type Workers = (Vec<Vec<Worker>>, Vec<oneshot::Receiver<()>>);

/// One thread and one runtime per core, each serving its share of every listener's connections.
pub(super) fn workers(
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

/// Waits for workers that end what is in flight.
pub(super) async fn until_answered(workers: SelectAll<oneshot::Receiver<()>>) {
    let (_, _, rest) = tokio::time::timeout(LAST_WORDS, workers).await.unwrap_or((Ok(()), 0, Vec::new()));
    if tokio::time::timeout(LAST_WORDS, join_all(rest)).await.is_err() {
        tracing::warn!("some checks were still in flight at the end");
    }
}

/// The services beside ours: these, and reflection if it is wanted.
pub(super) fn others(routes: &Routes, reflection: bool) -> Routes {
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
