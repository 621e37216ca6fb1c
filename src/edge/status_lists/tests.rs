#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod keeping;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use futures_util::future::join_all;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value as Json, json};
use tokio::task::LocalSet;

use super::*;
use crate::config::parse;
use crate::decision::jose::base64url_of;
use crate::decision::status_list::{ListReader, StatusLists as _};
use crate::decision::token::{Issuers, Keyring};
use crate::edge::clock;

const AS: &str = "https://as.test";

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
}

fn keys() -> Option<Arc<Keyring>> {
    let x = base64url_of(pair().public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
    Keyring::parse(set.to_string().as_bytes()).ok().map(Arc::new)
}

/// A list for this URI whose first token has this value; what is changed of its claims.
fn list(uri: &str, value: u8, change: &Json) -> String {
    let lst = base64url_of(&compress_to_vec_zlib(&[value], 6));
    let mut claims = json!({"sub": uri, "iat": clock::now(), "status_list": {"bits": 8, "lst": lst}});
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let part = |value: &Json| base64url_of(value.to_string().as_bytes());
    let input = format!("{}.{}", part(&json!({"typ": "statuslist+jwt", "alg": "EdDSA", "kid": "k"})), part(&claims));
    format!("{input}.{}", base64url_of(pair().sign(input.as_bytes()).as_ref()))
}

/// What is served: status, headers, body; for every path.
type Says = Box<dyn Fn(&str) -> (u16, Vec<(&'static str, String)>, String) + Send>;

struct Server {
    says: Mutex<Says>,
    calls: AtomicUsize,
    seen: Mutex<HeaderMap>,
    origin: String,
}

fn good(origin: &str, path: &str) -> (u16, Vec<(&'static str, String)>, String) {
    (200, kind("application/statuslist+jwt"), list(&format!("{origin}{path}"), 0, &json!({})))
}

fn kind(kind: &str) -> Vec<(&'static str, String)> {
    vec![("content-type", kind.to_owned())]
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    server.calls.fetch_add(1, Ordering::SeqCst);
    *server.seen.lock().unwrap() = request.headers().clone();
    let (status, headers, body) = (server.says.lock().unwrap())(request.uri().path());
    // Whoever asks meanwhile finds a fetch under way.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let response = headers
        .into_iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
    response.body(Body::from(body)).unwrap()
}

async fn serve() -> Arc<Server> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (calls, seen, own) = (AtomicUsize::new(0), Mutex::default(), origin.clone());
    let says: Says = Box::new(move |path| good(&own, path));
    let server = Arc::new(Server { says: Mutex::new(says), calls, seen, origin });
    let routes = axum::Router::new().fallback(answer).with_state(Arc::clone(&server));
    tokio::task::spawn_local(async move { axum::serve(listener, routes).await.unwrap() });
    server
}

impl Server {
    fn say(&self, says: impl Fn(&str) -> (u16, Vec<(&'static str, String)>, String) + Send + 'static) {
        *self.says.lock().unwrap() = Box::new(says);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn uri(&self, path: &str) -> Arc<str> {
        Arc::from(format!("{}{path}", self.origin))
    }
}

/// A config whose issuer has lists at these hosts.
fn config_of(hosts: &str, more: &str) -> Config {
    let source = format!(
        "listeners: {{ check: [{{ name: edge, address: 127.0.0.1:0 }}] }}\nbundle: {{ directory: p }}\nissuers:\n  - {{ issuer: \
         \"{AS}\", keys: {{ discovery: true }}, audiences: [a], max_lifetime_seconds: 60, allow_loopback_http: true, \
         status_list: {{ hosts: [{hosts}]{more} }} }}\n"
    );
    parse("keybound.yaml", &source).unwrap().0
}

/// A desk whose librarian is at work, and what the issuer is.
struct Library {
    desk: Arc<Desk>,
    shelf: Arc<Shelf>,
    issuer: Issuer,
    metrics: Arc<Metrics>,
}

impl Library {
    fn open(server: &Server, more: &str) -> Self {
        let config = config_of(&format!("\"{}\"", server.origin.trim_start_matches("http://")), more);
        let issuer = || Issuer { rules: Arc::clone(&config.issuers[0].rules), keys: keys(), signer_keys: None };
        let snapshot = Snapshot { issuers: Issuers::new([issuer()]), ..crate::edge::gate::tests::snapshot() };
        let (shelf, metrics) = (Arc::new(Shelf::new(&config)), Arc::new(Metrics::new().unwrap()));
        let held = (Arc::clone(&shelf), &Arc::new(ArcSwap::from_pointee(snapshot)));
        let (desk, librarian) = start(&config, None, held, Wanted::default(), &metrics).unwrap();
        tokio::task::spawn_local(librarian.serve());
        Self { desk, shelf, issuer: issuer(), metrics }
    }

    async fn ask(&self, uri: &Arc<str>) -> Option<Arc<StatusList>> {
        self.desk.consult(&self.issuer, uri, clock::now()).await
    }

    fn find(&self, uri: &str) -> Option<u8> {
        self.shelf.find(AS, uri, clock::now()).and_then(|list| list.value(0))
    }

    fn counted(&self, outcome: &str) -> bool {
        self.metrics.text().contains(&format!("outcome=\"{outcome}\""))
    }
}

#[tokio::test]
async fn sl_07_a_hundred_checks_are_one_fetch_and_the_list_is_at_hand_then() {
    let test = async {
        let server = serve().await;
        let library = Library::open(&server, "");
        let uri = server.uri("/lists/1");
        assert_eq!(library.find(&uri), None);
        let all = join_all((0..100).map(|_| library.ask(&uri))).await;
        assert!(all.iter().all(|list| list.as_ref().is_some_and(|list| list.value(0) == Some(0))));
        assert_eq!((server.calls(), library.find(&uri)), (1, Some(0)));
        let seen = server.seen.lock().unwrap().clone();
        assert_eq!(seen["accept"], "application/statuslist+jwt");
        assert!(!seen.contains_key("accept-encoding") && !seen.contains_key("authorization"));
        assert!(library.counted("fetched") && library.counted("joined"));
        // It is at hand: nobody is asked again.
        assert!(library.ask(&uri).await.is_some());
        assert_eq!(server.calls(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn sl_08_a_flood_of_uris_is_no_flood_to_the_host() {
    let test = async {
        let server = serve().await;
        let library = Library::open(&server, ", max_per_second: 5, max_in_flight: 2");
        let uris: Vec<_> = (0..1_000).map(|number| server.uri(&format!("/{number}"))).collect();
        let begun = Instant::now();
        let had = join_all(uris.iter().map(|uri| library.ask(uri))).await.into_iter().flatten().count();
        let most = 5 + usize::try_from(begun.elapsed().as_secs() + 1).unwrap() * 5;
        assert!((1..=most).contains(&had) && server.calls() == had, "{had} of {}", server.calls());
        assert!(library.counted("over_budget"));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn sl_09_what_is_no_list_is_none_and_is_left_alone_for_a_while() {
    let test = async {
        let server = serve().await;
        let library = Library::open(&server, "");
        let uri = |path: &str| server.uri(path);
        let origin = server.origin.clone();
        server.say(move |path| {
            let text = |change: Json| list(&format!("{origin}{path}"), 0, &change);
            let list = kind("application/statuslist+jwt");
            match path {
                "/status" => (404, list, text(json!({}))),
                "/created" => (201, list, text(json!({}))),
                "/kind" => (200, kind("application/jwt"), text(json!({}))),
                "/no-kind" => (200, Vec::new(), text(json!({}))),
                "/gzip" => (200, [list, vec![("content-encoding", "gzip".to_owned())]].concat(), text(json!({}))),
                "/subject" => (200, list, text(json!({"sub": "https://other.test"}))),
                "/expired" => (200, list, text(json!({"exp": 1}))),
                "/garbage" => (200, list, "garbage".to_owned()),
                "/large" => (200, list, "a".repeat(9_000_000)),
                "/elsewhere" => (302, vec![("location", "http://localhost:9/".to_owned())], String::new()),
                "/loop" => (302, vec![("location", "/loop".to_owned())], String::new()),
                "/moved" => (307, vec![("location", "/there".to_owned())], String::new()),
                // The list of the URI that was asked for, wherever it was found.
                "/there" => (200, list, self::list(&format!("{origin}/moved"), 0, &json!({}))),
                _ => (200, kind("Application/StatusList+JWT; charset=utf-8"), text(json!({}))),
            }
        });
        for path in [
            "/status",
            "/created",
            "/kind",
            "/no-kind",
            "/gzip",
            "/subject",
            "/expired",
            "/garbage",
            "/large",
            "/elsewhere",
        ] {
            let calls = server.calls();
            for _ in 0..3 {
                assert!(library.ask(&uri(path)).await.is_none(), "{path}");
            }
            assert_eq!(server.calls() - calls, 1, "{path}");
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
        let calls = server.calls();
        assert!(library.ask(&uri("/loop")).await.is_none());
        assert_eq!(server.calls() - calls, 4, "three redirects are followed");
        assert!(library.ask(&uri("/moved")).await.is_some() && library.ask(&uri("/fine")).await.is_some());
        assert!(library.counted("backing_off") && library.counted("refused") && library.counted("failed"));
        // A host that is not named is not asked, whoever should ask for it.
        let calls = server.calls();
        let other = Arc::from(server.uri("/lists/1").replace("127.0.0.1", "localhost"));
        assert!(library.ask(&other).await.is_none());
        assert_eq!(server.calls(), calls);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn sl_07_a_list_in_use_is_fetched_again_before_it_runs_out_and_no_other() {
    let test = async {
        let server = serve().await;
        let library = Library::open(&server, ", least_seconds: 1, most_seconds: 2");
        let (used, idle) = (server.uri("/used"), server.uri("/idle"));
        assert!(library.ask(&used).await.is_some() && library.ask(&idle).await.is_some());
        assert_eq!(server.calls(), 2);
        let origin = server.origin.clone();
        server.say(move |path| {
            (200, kind("application/statuslist+jwt"), list(&format!("{origin}{path}"), 1, &json!({})))
        });
        let begun = Instant::now();
        let mut flipped = None;
        while begun.elapsed() < Duration::from_millis(2_600) {
            let found = library.find(&used);
            assert!(found.is_some(), "a list in use is always at hand");
            if found == Some(1) && flipped.is_none() {
                flipped = Some(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(flipped.is_some_and(|after| after < Duration::from_secs(2)), "{flipped:?}");
        assert_eq!(library.find(&idle), None);
        assert_eq!(server.calls(), 3, "the one in use, once");
        // An older list does not take its place, and it runs out.
        let origin = server.origin.clone();
        let old = json!({"iat": clock::now() - 60});
        server.say(move |path| (200, kind("application/statuslist+jwt"), list(&format!("{origin}{path}"), 0, &old)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_ne!(library.find(&used), Some(0));
        assert!(library.counted("refused"));
        let text = library.metrics.text();
        assert!(
            ["status_list_held{", "status_list_age_seconds{", "status_list_total{"]
                .iter()
                .all(|name| text.contains(name))
        );
    };
    LocalSet::new().run_until(test).await;
}
