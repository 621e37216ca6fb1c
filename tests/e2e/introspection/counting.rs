//! An issuer that counts its calls, and says that tokens of its own are active and others are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use keybound::edge::clock;
use serde_json::json;

use crate::lab::serve_in_background;
use crate::support::issuers::AUDIENCE;
use crate::support::keys;

/// Tokens that begin so are active.
pub const GOOD: &str = "good-";

/// It runs for as long as the tests do.
pub struct Counting {
    pub port: u16,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    pub fn start() -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let routes = Router::new().route("/introspect", post(answer)).with_state(Arc::clone(&calls));
        Self { port: serve_in_background(routes, 0), calls }
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn answer(State(calls): State<Arc<AtomicUsize>>, form: String) -> ([(&'static str, &'static str); 1], String) {
    calls.fetch_add(1, Ordering::SeqCst);
    let now = clock::now();
    let good = json!({
        "active": true, "token_type": "DPoP", "client_id": "robot", "aud": AUDIENCE, "scope": "items.read",
        "iat": now, "exp": now + 300, "cnf": {"jkt": keys().client.thumbprint()},
    });
    let answer = if form.starts_with(&format!("token={GOOD}")) { good } else { json!({"active": false}) };
    ([("content-type", "application/json")], answer.to_string())
}
