//! Connections on their worker: HTTP/2 on each, until its caller or the process ends.
//!
//! hyper serves them and not a gRPC library: that would cut a call short at the caller's `grpc-timeout`, with an error of gRPC, which a
//! mesh may turn into an allow. What bounds floods of frames and resets is hyper's and h2's.

use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Limits;
use crate::edge::listen::{Accepted, Connection};
use crate::edge::service::Services;

/// Room for Envoy's bursts: one check's headers fit many times.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Above Envoy's largest header block (8 MiB): an Envoy that traces hands a client's `tracestate` on in the headers of the call, and a
/// call whose headers are too long is refused before anybody could deny it.
const HEADER_LIST: u32 = 16 * 1024 * 1024;
/// Checks that Envoy gives up (its timeout) come as resets; a burst of them must not end the connection for the others.
const RESETS: usize = 65_536;

/// How HTTP/2 is spoken.
pub type Http = http2::Builder<TokioExecutor>;

/// HTTP/2 within these limits.
#[must_use]
pub fn http(limits: &Limits) -> Http {
    // Above the bound on work in flight: a check over the bound must reach us and be denied, not be refused as a stream.
    let streams = u32::try_from(limits.in_flight).unwrap_or(u32::MAX).saturating_mul(4).max(4096);
    let mut http = Http::new(TokioExecutor::new());
    http.initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(streams)
        .max_header_list_size(HEADER_LIST)
        .max_pending_accept_reset_streams(RESETS)
        // h2 counts them over the whole life of a connection, also what comes for a check that was refused before its message was all
        // here: a long overload would end the connection, and each check on it with an error of gRPC.
        .max_local_error_reset_streams(None)
        // No caller of gRPC asks for the date.
        .auto_date_header(false);
    http
}

/// Serves the connections of one listener that a worker is given, until there are no more to come or it is told to end; then until
/// each is over.
pub async fn serve_all(
    http: Http,
    services: Services,
    mut accepted: mpsc::Receiver<Accepted>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            next = accepted.recv() => {
                let Some(next) = next else { break };
                connections.spawn(serve(http.clone(), services.clone(), next, stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
            () = told(&mut stopped) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(http: Http, services: Services, accepted: Accepted, mut stopped: watch::Receiver<bool>) {
    let Some(connection) = accepted.open().await else { return };
    let services = Arc::new(services);
    let answer = service_fn(move |request| {
        let answer = services.call(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let mut serving = std::pin::pin!(http.serve_connection(TokioIo::<Connection>::new(connection), answer));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told(&mut stopped) => {
            // What is in flight is answered.
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // A caller that goes without a word, or breaks the protocol: it concerns nobody else.
        tracing::debug!(%error, "a connection broke");
    }
}

/// Returns when the process is ending, with a word or without.
async fn told(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the process ends without a word");
    }
}
