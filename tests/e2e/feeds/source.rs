//! A server of key sets and metadata on loopback that can be stopped and can answer oddly.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, header};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::issuers::KID;
use crate::support::{SigningKey, keys};

/// The issuer whose metadata the server has.
pub fn tenant(port: u16) -> String {
    format!("http://127.0.0.1:{port}/tenant")
}

/// What is wrong with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    Empty,
    Html,
    /// The right document, and 10 MiB after it.
    Huge,
    NoKeys,
    Redirect,
    Status,
    /// Metadata of another issuer, or a key set that is metadata.
    WrongIssuer,
}

impl Odd {
    /// All that say nothing about the keys. `NoKeys` does: there are none any more.
    pub const SILENT: [Self; 6] =
        [Self::Empty, Self::Html, Self::Huge, Self::Redirect, Self::Status, Self::WrongIssuer];
}

struct Shared {
    port: u16,
    fetches: HashMap<String, usize>,
    odd: Option<Odd>,
    keys: Vec<Value>,
}

/// It runs until it is dropped.
pub struct Source {
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    pub fn start(port: u16) -> Self {
        let keys = vec![keys().server.jwk_as(KID, &json!({}))];
        let shared = Arc::new(Mutex::new(Shared { port, fetches: HashMap::new(), odd: None, keys }));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port of the issuer");
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
        Self { shared, stop: Some(stop), thread: Some(thread) }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// From now on every answer is odd.
    pub fn answer(&self, odd: Odd) {
        self.shared().odd = Some(odd);
    }

    pub fn add_key(&self, kid: &str, key: &SigningKey) {
        self.shared().keys.push(key.jwk_as(kid, &json!({})));
    }

    /// How often a path was asked for.
    pub fn fetches(&self, path: &str) -> usize {
        self.shared().fetches.get(path).copied().unwrap_or_default()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let told = self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!((told, ended), (Some(Ok(())), Some(Ok(())))) || std::thread::panicking());
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response<Body> {
    let mut shared = lock(&shared);
    let path = request.uri().path().to_owned();
    *shared.fetches.entry(path.clone()).or_default() += 1;
    let elsewhere = format!("http://127.0.0.1:{}/elsewhere", shared.port);
    let good = match path.as_str() {
        "/jwks" => json!({"keys": shared.keys}),
        "/tenant/jwks" => json!({"keys": [keys().second.jwk_as(KID, &json!({}))]}),
        "/tenant/.well-known/openid-configuration" => {
            let issuer = tenant(shared.port);
            json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")})
        }
        // The keys of somebody who would like to be believed.
        "/elsewhere" => json!({"keys": [keys().stranger.jwk_as(KID, &json!({}))]}),
        _ => return response(404, "text/plain", "not here".to_owned()),
    };
    let json = "application/json";
    match shared.odd {
        None => response(200, json, good.to_string()),
        Some(Odd::Empty) => response(200, json, String::new()),
        Some(Odd::Html) => response(200, "text/html", "<html><body>Sign in</body></html>".to_owned()),
        Some(Odd::Huge) => response(200, json, format!("{good}{}", " ".repeat(10 << 20))),
        Some(Odd::NoKeys) => response(200, json, json!({"keys": []}).to_string()),
        Some(Odd::Redirect) => {
            let mut response = response(302, json, String::new());
            response.headers_mut().insert(header::LOCATION, elsewhere.parse().expect("a header"));
            response
        }
        Some(Odd::Status) => response(500, json, good.to_string()),
        Some(Odd::WrongIssuer) => {
            response(200, json, json!({"issuer": "https://as.example.org", "jwks_uri": elsewhere}).to_string())
        }
    }
}

fn response(status: u16, kind: &str, body: String) -> Response<Body> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
    response.body(Body::from(body)).expect("a response")
}
