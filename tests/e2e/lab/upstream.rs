//! The API behind Envoy: answers with what reached it, and remembers it by the mark that every request of these tests carries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

/// The header with which a request is found again.
pub const MARK: &str = "x-e2e-mark";

/// A request that reached the API.
#[derive(Clone, Debug)]
pub struct Reached {
    pub method: String,
    pub path: String,
    /// Names and values in order; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
}

impl Reached {
    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} reached the API twice");
        value
    }

    /// Every header that keybound writes, but for the decision's own name.
    pub fn identity(&self) -> Vec<(&str, &str)> {
        let ours = |name: &str| name.starts_with("x-keybound-") && name != "x-keybound-decision";
        let mut told: Vec<_> =
            self.headers.iter().filter(|(name, _)| ours(name)).map(|(name, value)| (&**name, &**value)).collect();
        told.sort_unstable();
        told
    }
}

type Seen = Arc<Mutex<HashMap<String, Vec<Reached>>>>;

/// A server on loopback, one for all labs of the run.
pub struct Upstream {
    pub port: u16,
    seen: Seen,
}

impl Upstream {
    /// The one API.
    pub fn shared() -> &'static Self {
        static UPSTREAM: OnceLock<Upstream> = OnceLock::new();
        UPSTREAM.get_or_init(Self::start)
    }

    fn start() -> Self {
        let seen = Seen::default();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let port = super::serve_in_background(routes, 0);
        Self { port, seen }
    }

    /// How often the request with this mark got here, and what it was the last time.
    pub fn reached(&self, mark: &str) -> (usize, Option<Reached>) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let all = seen.get(mark);
        (all.map_or(0, Vec::len), all.and_then(|all| all.last().cloned()))
    }
}

async fn answer(State(seen): State<Seen>, request: Request) -> (StatusCode, String) {
    let headers = request.headers().iter();
    let headers: Vec<(String, String)> = headers
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mark = headers.iter().find(|(name, _)| name == MARK).map(|(_, value)| value.clone());
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let reached = Reached { method, path, headers };
    let body = echo(&reached);
    axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.entry(mark.unwrap_or_default()).or_default().push(reached);
    (StatusCode::OK, body.to_string())
}

fn echo(reached: &Reached) -> Value {
    json!({ "method": reached.method, "path": reached.path, "headers": reached.headers })
}
