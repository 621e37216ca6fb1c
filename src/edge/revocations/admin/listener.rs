//! Listeners for those who tell of revocations: HTTP/1.1 and HTTP/2, over TLS or on loopback, with few connections that end after a while.
//!
//! Whoever connects and says nothing takes one of few places, and not for long: neither checks nor other callers wait for that.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Admin, Peer};
use crate::decision::certificate;
use crate::edge::door::Door;
use crate::edge::patience::Patience;

/// Connections at once: operators and a robot or two.
const CONNECTIONS: usize = 128;
/// The head of a call must be here by then.
const HEAD: Duration = Duration::from_secs(5);
/// A connection on which nobody has shown who it is ends then: it takes the place of somebody who would.
const UNKNOWN: Duration = Duration::from_secs(5);
/// Any other ends then, whatever it does; who keeps one opens the next.
const LIFE: Duration = Duration::from_secs(60);
/// The head of a call, in bytes: far above what a bearer and a path need.
const HEAD_BYTES: usize = 16 * 1024;

/// What answers the calls of a listener.
pub trait Calls: Send + Sync + 'static {
    /// The listener's name.
    const LISTENER: &'static str;

    /// Answers one, and marks the peer as known once it has shown who it is.
    fn call(&self, peer: &Peer, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

impl Calls for Admin {
    const LISTENER: &'static str = "admin";

    fn call(&self, peer: &Peer, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send {
        self.answer(peer, request)
    }
}

/// Serves for ever.
pub async fn serve<C: Calls>(listener: TcpListener, door: Option<Arc<Door>>, calls: Arc<C>) {
    let (mut patience, places) = (Patience::new(C::LISTENER), Arc::new(Semaphore::new(CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await.ok();
        let (stream, address) = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => break accepted,
                    Err(error) => patience.after(error).await,
                },
                Some(_) = connections.join_next() => {}
            }
        };
        let (door, calls) = (door.clone(), Arc::clone(&calls));
        connections.spawn(async move {
            let _place = place;
            if tokio::time::timeout(LIFE, connection(stream, address, door, calls)).await.is_err() {
                tracing::debug!(listener = C::LISTENER, "a connection has lived long enough");
            }
        });
    }
}

async fn connection<C: Calls>(stream: TcpStream, address: SocketAddr, door: Option<Arc<Door>>, calls: Arc<C>) {
    let mut peer = Peer { address: address.to_string(), ..Peer::default() };
    let Some(door) = door else { return http(stream, peer, calls).await };
    let place = door.place().await;
    let Some(stream) = door.admit(stream).await else { return };
    drop(place);
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    if let Some(names) = leaf.and_then(|leaf| certificate::names_of(leaf)) {
        (peer.uris, peer.dns_names) = (names.uris, names.dns_names);
    }
    http(stream, peer, calls).await;
}

async fn http<C: Calls>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Peer, calls: Arc<C>) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let list = u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX);
    http.http2().timer(TokioTimer::new()).max_concurrent_streams(16).max_header_list_size(list);
    let peer = Arc::new(peer);
    let unknown = Arc::clone(&peer);
    let answer = service_fn(move |request| {
        let (peer, calls) = (Arc::clone(&peer), Arc::clone(&calls));
        async move { Ok::<_, Infallible>(calls.call(&peer, request).await) }
    });
    tokio::select! {
        ended = http.serve_connection(TokioIo::new(stream), answer) => {
            if let Err(error) = ended {
                tracing::debug!(listener = C::LISTENER, error, "a connection broke");
            }
        }
        () = stays_unknown(&unknown) => tracing::debug!(listener = C::LISTENER, "nobody showed who it is on a connection"),
    }
}

/// Returns when the time for showing who it is is over; never, if it has.
async fn stays_unknown(peer: &Peer) {
    tokio::time::sleep(UNKNOWN).await;
    if peer.known.load(Ordering::Acquire) {
        std::future::pending::<()>().await;
    }
}
