//! A host of status lists on loopback: it counts its calls, can be told to answer oddly, stopped, and started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use keybound::edge::clock;
use serde_json::json;
use tokio::sync::oneshot;

use crate::lab::place;
use crate::support::issuers::KID;
use crate::support::{Jws, SigningKey, keys, status_list};

#[derive(Default)]
struct Shared {
    origin: String,
    /// The values of every list, eight bits each.
    values: [u8; 4],
    calls: BTreeMap<String, usize>,
}

/// It runs until it is stopped or dropped.
pub struct Host {
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Lists live so long, in seconds.
pub const LIFE: u64 = 2;

impl Host {
    pub fn start() -> Self {
        let port = place::free_port();
        let shared = Shared { origin: format!("http://127.0.0.1:{port}"), ..Shared::default() };
        let mut host = Self { port, shared: Arc::new(Mutex::new(shared)), running: None };
        host.start_again();
        host
    }

    pub fn start_again(&mut self) {
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&self.shared));
        let listener = std::net::TcpListener::bind(("127.0.0.1", self.port)).expect("the port of the lists");
        listener.set_nonblocking(true).expect("a socket");
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    served = async { axum::serve(listener, routes).await } => served.expect("a server"),
                    _ = stopped => {}
                }
            });
            // Connections end with the runtime.
            runtime.shutdown_background();
        });
        self.running = Some((stop, thread));
    }

    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.send(()).expect("it runs");
            thread.join().expect("it ends");
        }
    }

    pub fn uri(&self, path: &str) -> String {
        format!("{}{path}", lock(&self.shared).origin)
    }

    /// Every list says this of the token at that place.
    pub fn say(&self, index: usize, value: u8) {
        lock(&self.shared).values[index] = value;
    }

    pub fn calls(&self) -> usize {
        lock(&self.shared).calls.values().sum()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The list at a path, whose name says what is wrong with it.
async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let (uri, values) = {
        let mut shared = lock(&shared);
        *shared.calls.entry(path.clone()).or_default() += 1;
        (format!("{}{path}", shared.origin), shared.values)
    };
    if path == "/slow" {
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let body = if path == "/garbage" { "<html>".to_owned() } else { list(&path, &uri, &values) };
    let response = Response::builder().header("content-type", "application/statuslist+jwt");
    // What HTTP says of caching does not count.
    response.header("cache-control", "max-age=31536000").body(Body::from(body)).expect("an answer")
}

fn list(path: &str, uri: &str, values: &[u8]) -> String {
    let bomb = vec![0; 8 * 1024 * 1024];
    let entries = status_list(8, if path == "/bomb" { &bomb } else { values });
    let claims = json!({"sub": uri, "iat": clock::now(), "ttl": LIFE, "status_list": entries});
    let theirs = matches!(path, "/key" | "/signer");
    let signer: &'static SigningKey = if theirs { &keys().stranger } else { &keys().server };
    let mut list = Jws::new("statuslist+jwt", "ES256", signer, claims);
    list.header["kid"] = json!(KID);
    if path == "/signer" {
        list.header["kid"] = json!("signer");
    }
    if path == "/subject" {
        list.claims["sub"] = json!("https://status.example.com/lists/1");
    }
    list.compact()
}
