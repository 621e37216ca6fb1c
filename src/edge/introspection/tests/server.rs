//! The server, and a desk with its clerk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use tokio::sync::{Notify, Semaphore};

use super::*;

/// What it says.
#[derive(Clone)]
pub struct Says {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
    /// Where it sends the caller.
    pub location: Option<String>,
}

impl Says {
    pub fn json(body: impl Into<String>) -> Self {
        Self { status: 200, kind: "application/json", body: body.into(), location: None }
    }
}

#[derive(Default)]
pub struct Seen {
    pub headers: HeaderMap,
    pub form: String,
}

pub struct Server {
    pub says: Mutex<Says>,
    pub calls: AtomicUsize,
    pub seen: Mutex<Seen>,
    /// Answers wait for one of these.
    pub may_answer: Semaphore,
    pub called: Notify,
}

impl Server {
    pub fn say(&self, says: Says) {
        *self.says.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn form(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap();
        let url = config::Url::parse(&format!("http://form.test/?{}", seen.form)).unwrap();
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.seen.lock().unwrap().headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    server.calls.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let form = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    assert_eq!((parts.method.as_str(), parts.uri.query()), ("POST", None), "a token is in no URL");
    *server.seen.lock().unwrap() = Seen { headers: parts.headers, form };
    server.called.notify_one();
    server.may_answer.acquire().await.unwrap().forget();
    let says = server.says.lock().unwrap().clone();
    let mut response = Response::builder().status(says.status).header("content-type", says.kind);
    if let Some(location) = says.location {
        response = response.header("location", location);
    }
    response.body(Body::from(says.body)).unwrap()
}

/// A server that answers with a good token until it is told otherwise; its port.
pub async fn server() -> (Arc<Server>, u16) {
    let server = Arc::new(Server {
        says: Mutex::new(Says::json(said(&json!({}), crate::edge::clock::now()))),
        calls: AtomicUsize::new(0),
        seen: Mutex::default(),
        may_answer: Semaphore::new(1_000_000),
        called: Notify::new(),
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = axum::Router::new().fallback(answer).with_state(Arc::clone(&server));
    // It ends with the runtime of the test.
    tokio::task::spawn_local(async move { axum::serve(listener, routes).await.unwrap() });
    (server, port)
}

/// A desk whose clerk is at work.
pub struct Office {
    pub desk: Arc<Desk>,
    pub metrics: Arc<Metrics>,
    _directory: tempfile::TempDir,
}

pub const ISSUER: &str = "https://as.test";

/// One issuer at this port, with more in its section.
pub fn office(port: u16, more: &str) -> Office {
    let section = format!("client_id: keybound, auth: {{ client_secret_basic: secret }}{more}");
    office_of(&[(ISSUER, format!("url: \"http://127.0.0.1:{port}/introspect\", {section}"))])
}

pub fn office_of(issuers: &[(&str, String)]) -> Office {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "s3cr3t of:us\n").unwrap();
    let usual = "audiences: [\"https://api.test\"], max_lifetime_seconds: 600, allow_loopback_http: true";
    let entry = |(issuer, section): &(&str, String)| {
        format!("  - {{ issuer: \"{issuer}\", {usual}, introspection: {{ {section} }} }}\n")
    };
    let issuers: Vec<_> = issuers.iter().map(entry).collect();
    let issuers = issuers.concat();
    let callers = match Callers::open(&config(directory.path(), &issuers)) {
        Ok(callers) => callers,
        Err(problems) => panic!("{problems:#?}"),
    };
    let metrics = Arc::new(Metrics::new().unwrap());
    let (desk, clerk) = callers.start(Wanted::default(), &metrics);
    tokio::task::spawn_local(clerk.serve());
    Office { desk, metrics, _directory: directory }
}

impl Office {
    pub async fn ask(&self, token: &str) -> Option<Introspection> {
        self.ask_of(ISSUER, token).await
    }

    pub async fn ask_of(&self, issuer: &str, token: &str) -> Option<Introspection> {
        let issuer = super::issuer(issuer);
        let ask = Ask::new(token.as_bytes(), sha256(token.as_bytes()), &issuer, None);
        self.desk.introspect(&ask, crate::edge::clock::now()).await
    }

    pub fn counted(&self, outcome: &str) -> usize {
        let text = self.metrics.text();
        let line = text.lines().find(|line| {
            line.starts_with("keybound_introspection_total{") && line.contains(&format!("outcome=\"{outcome}\""))
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}
