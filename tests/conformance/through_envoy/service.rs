//! The real service behind Envoy, told the row's time and given the row's configuration and memory; and the API behind both.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::serve::ListenerExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keybound::config::{Limits, Upstream};
use keybound::decision::snapshot::Snapshot;
use keybound::edge::connection;
use keybound::edge::gate::{Gate, Partners};
use keybound::edge::introspection::Introspect;
use keybound::edge::jwks::Wanted;
use keybound::edge::service::{Answer, Services};
use keybound::edge::spent::memory;
use keybound::edge::status_lists::Consult;
use keybound::telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tonic::service::Routes;

/// With this header the API says that it was reached, and for what: method, host, path. Nobody else writes it.
pub const REACHED: &str = "x-tests-reached";

static CLOCK: AtomicI64 = AtomicI64::new(0);

/// What answers the next check.
#[derive(Clone)]
pub struct Stage {
    pub snapshot: Arc<Snapshot>,
    pub spent: Arc<memory::Memory>,
    pub introspection: Arc<dyn Introspect>,
    pub status_lists: Arc<dyn Consult>,
    pub point: &'static str,
}

/// The service and the API, on loopback.
pub struct Behind {
    pub keybound: u16,
    pub upstream: u16,
    front: Front,
    _runtime: Runtime,
}

impl Behind {
    pub fn start(first: Stage) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listen = || {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            (listener, port)
        };
        let ((check, keybound), (api, upstream)) = (listen(), listen());
        let front = Front {
            stage: Arc::new(Mutex::new(first)),
            asked: Arc::default(),
            in_flight: Arc::new(Semaphore::new(100)),
            metrics: Arc::new(Metrics::new().expect("metrics")),
        };
        let judge = front.clone();
        runtime.spawn(async move {
            let (reporter, health) = tonic_health::server::health_reporter();
            reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
            judge.serve(check, Routes::new(health)).await;
        });
        runtime.spawn(async move {
            let routes = axum::Router::new()
                .fallback(|request: axum::extract::Request| async move { ([(REACHED, asked_for(&request))], "") });
            axum::serve(api.tap_io(|stream| stream.set_nodelay(true).expect("a socket")), routes)
                .await
                .expect("a server");
        });
        Self { keybound, upstream, front, _runtime: runtime }
    }

    /// The next checks are judged like this, at this time.
    pub fn set(&self, stage: Stage, now: i64) {
        CLOCK.store(now, Ordering::SeqCst);
        *self.front.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// How many checks came so far.
    pub fn asked(&self) -> usize {
        self.front.asked.load(Ordering::SeqCst)
    }
}

fn asked_for(request: &axum::extract::Request) -> String {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("{} {host} {}", request.method(), request.uri())
}

/// Hands each check to a service of its own.
#[derive(Clone)]
struct Front {
    stage: Arc<Mutex<Stage>>,
    asked: Arc<AtomicUsize>,
    in_flight: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Front {
    async fn serve(self, listener: TcpListener, others: Routes) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            // A small answer must not wait for more of it.
            stream.set_nodelay(true).expect("a socket");
            let (front, others) = (self.clone(), others.clone());
            let answer = service_fn(move |request| {
                let answer = front.call(request, others.clone());
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection = connection::http(&Limits::default()).serve_connection(TokioIo::new(stream), answer);
            connections.spawn(async move { connection.await.ok() });
        }
    }

    fn call(
        &self,
        request: http::Request<Incoming>,
        others: Routes,
    ) -> impl Future<Output = http::Response<Answer>> + Send + use<> {
        if request.uri().path().starts_with("/envoy.") {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        let Stage { snapshot, spent, introspection, status_lists, point } =
            self.stage.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gate = Gate {
            snapshot: Arc::new(ArcSwap::from(snapshot)),
            partners: Partners { introspection, status_lists, ..Partners::alone(spent) },
            clock: || CLOCK.load(Ordering::SeqCst),
            upstream: Upstream::default(),
            deadline: Duration::from_secs(5),
            allow_sample_percent: 0,
            wanted: Wanted::default(),
            metrics: Arc::clone(&self.metrics),
        };
        let (in_flight, turns) = (Arc::clone(&self.in_flight), Arc::new(Semaphore::new(1)));
        Services::new(Arc::new(gate), point, in_flight, turns, others).call(request)
    }
}
