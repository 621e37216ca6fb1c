#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::Connections;
use super::entrance::{Entrance, Lanes, Place, Said, Shown, Tried};
use super::grant::{self, Grant};
use super::proof::ProofKey;
use crate::decision::jose::{base64url, base64url_of, sha256};

/// What a server was asked: the peer's port, the headers and the body.
type Seen = Arc<Mutex<Vec<(u16, HeaderMap, String)>>>;

/// A server that answers so, for as long as the test runs.
fn server(answer: impl Fn(usize, &HeaderMap) -> Response + Clone + Send + Sync + 'static) -> (String, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let routes = Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        let (answer, noted) = (answer.clone(), Arc::clone(&noted));
        async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(axum::body::to_bytes(body, 65_536).await.unwrap().to_vec()).unwrap();
            let mut noted = noted.lock().unwrap();
            noted.push((peer.port(), head.headers.clone(), body));
            answer(noted.len(), &head.headers)
        }
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
    });
    (url, seen)
}

/// A gateway with TLS and HTTP/2; how many connections it took, and its certificate.
fn gateway() -> (SocketAddr, Arc<AtomicUsize>, String) {
    let made = rcgen::generate_simple_self_signed(["gateway.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&taken);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::task::spawn_local(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let fine = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                        assert_eq!(request.version(), http::Version::HTTP_2);
                        Ok::<_, std::convert::Infallible>(http::Response::new("fine".to_owned()))
                    });
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
                    // How a client leaves is its own business.
                    builder.serve_connection(io, fine).await.unwrap_or_default();
                });
            }
        });
    });
    (address, taken, made.cert.pem())
}

/// The claims of a JWT in a header, or in a form's field.
fn claims(jwt: &str) -> Value {
    serde_json::from_slice(&base64url(jwt.split('.').nth(1).unwrap().as_bytes()).unwrap()).unwrap()
}

fn proof(headers: &HeaderMap) -> Value {
    claims(headers["dpop"].to_str().unwrap())
}

fn entrance(url: &str, lanes: Lanes) -> Entrance {
    let place: Place = format!("{url}/items/7?a=b").parse().unwrap();
    Entrance::new(place, http::Method::GET, &Connections::default(), lanes).unwrap()
}

fn said(tried: Tried) -> Said {
    tried.answer.unwrap()
}

#[tokio::test]
async fn each_try_is_on_a_connection_of_its_own_unless_it_is_said_otherwise() {
    for (lanes, connections) in [(Lanes::New, 6), (Lanes::Kept, 1), (Lanes::Mixed, 4)] {
        let (url, seen) = server(|_, _| "fine".into_response());
        let entrance = entrance(&url, lanes);
        let shown = Shown { token: "abc".to_owned(), key: None };
        for _ in 0..6 {
            assert_eq!(said(entrance.attempt(&shown).await).status, 200);
        }
        let seen = seen.lock().unwrap();
        let ports: BTreeSet<_> = seen.iter().map(|(port, _, _)| *port).collect();
        assert_eq!((seen.len(), ports.len()), (6, connections), "{lanes:?}");
        assert!(seen.iter().all(|(_, headers, _)| headers["authorization"] == "Bearer abc"));
    }
}

#[tokio::test]
async fn a_new_connection_is_a_new_one_in_http_2_too() {
    for (lanes, connections) in [(Lanes::New, 6), (Lanes::Kept, 1), (Lanes::Mixed, 4)] {
        let (address, taken, ca) = gateway();
        let place: Place = format!("https://gateway.test/items/7 via {address}").parse().unwrap();
        let trusting = Connections { ca: Some(ca.into_bytes()), identity: None };
        let entrance = Entrance::new(place, http::Method::GET, &trusting, lanes).unwrap();
        let shown = Shown { token: "abc".to_owned(), key: None };
        for _ in 0..6 {
            assert_eq!(said(entrance.attempt(&shown).await).status, 200);
        }
        assert_eq!(taken.load(Ordering::Relaxed), connections, "{lanes:?}");
    }
}

#[tokio::test]
async fn a_nonce_that_a_resource_asks_for_is_given_and_a_new_one_taken() {
    let (url, seen) = server(|count, headers| match (count, proof(headers).get("nonce").is_some()) {
        (1, _) | (_, false) => {
            let challenge = ("www-authenticate", "Bearer, DPoP algs=\"ES256\", error=\"use_dpop_nonce\"");
            (StatusCode::UNAUTHORIZED, [challenge, ("dpop-nonce", "one")]).into_response()
        }
        _ => ([("dpop-nonce", "two")], "fine").into_response(),
    });
    let entrance = entrance(&url, Lanes::New);
    let shown = Shown { token: "abc".to_owned(), key: Some(ProofKey::fresh().unwrap()) };
    for _ in 0..2 {
        assert_eq!(said(entrance.attempt(&shown).await).status, 200);
    }
    let seen = seen.lock().unwrap();
    let proofs: Vec<_> = seen.iter().map(|(_, headers, _)| proof(headers)).collect();
    let nonces: Vec<_> = proofs.iter().map(|proof| proof["nonce"].as_str()).collect();
    assert_eq!(nonces, [None, Some("one"), Some("two")]);
    assert!(seen.iter().all(|(_, headers, _)| headers["authorization"] == "DPoP abc"));
    let ids: BTreeSet<_> = proofs.iter().map(|proof| proof["jti"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "each proof is its own");
    let (target, hash) = (format!("{url}/items/7"), base64url_of(&sha256(b"abc")));
    assert!(proofs.iter().all(|proof| proof["htu"] == target && proof["htm"] == "GET" && proof["ath"] == hash));
}

#[tokio::test]
async fn an_answer_is_told_in_words_that_nobody_else_chose() {
    for (challenge, body, told) in [
        ("Bearer error=\"invalid_token\", scope=\"x\"", "{}", (Some("invalid_token"), None, None)),
        ("DPoP algs=\"ES256\", error=invalid_token", "{}", (Some("invalid_token"), None, None)),
        ("Bearer error_description=\"is error=\", error=\"invalid_token\"", "{}", (Some("invalid_token"), None, None)),
        ("Bearer error_description=\"not error=invalid_token at all\"", "{}", (None, None, None)),
        ("Bearer error=\"a token: abc\"", "no JSON", (None, None, None)),
        (
            "Bearer error=\"invalid_token\"",
            r#"{"type":"urn:keybound:denial:token","decision_id":"00ff"}"#,
            (Some("invalid_token"), Some("token"), Some("00ff")),
        ),
        ("Bearer", r#"{"type":"urn:keybound:denial:token","decision_id":"secret"}"#, (None, Some("token"), None)),
        ("Bearer", r#"{"type":"about:blank","decision_id":"00ff"}"#, (None, None, None)),
    ] {
        let answer = move |_: usize, _: &HeaderMap| {
            (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)], body).into_response()
        };
        let (url, _) = server(answer);
        let said = said(entrance(&url, Lanes::New).attempt(&Shown { token: "abc".to_owned(), key: None }).await);
        let words = (said.error.as_deref(), said.class.as_deref(), said.decision.as_deref());
        assert_eq!(words, told, "{challenge} {body}");
    }
    // Nobody is there; and a redirect is an answer, not a way to somebody else.
    let gone = entrance("http://127.0.0.1:1", Lanes::New).attempt(&Shown { token: "abc".to_owned(), key: None }).await;
    assert!(gone.answer.unwrap_err().contains("refused"));
    let (url, seen) = server(|_, _| (StatusCode::FOUND, [("location", "/elsewhere")]).into_response());
    let shown = Shown { token: "abc".to_owned(), key: None };
    assert_eq!(said(entrance(&url, Lanes::New).attempt(&shown).await).status, 302);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

fn grant(url: &str, shown: grant::Shown) -> Grant {
    let wanted = vec![("scope", "a b".to_owned()), ("resource", "https://api.test/".to_owned())];
    Grant { endpoint: format!("{url}/token").parse().unwrap(), client_id: "a:b".to_owned(), shown, wanted }
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_nonce_that_the_server_wants() {
    let (url, seen) = server(|_, headers| {
        if proof(headers).get("nonce").is_none() {
            let problem = json!({ "error": "use_dpop_nonce" }).to_string();
            return (StatusCode::BAD_REQUEST, [("dpop-nonce", "one")], problem).into_response();
        }
        json!({ "access_token": "abc", "token_type": "dpop", "expires_in": 60 }).to_string().into_response()
    });
    let client = Connections::default().client().unwrap();
    let shown = grant::Shown::secret("a:b", b"s%\n", true).unwrap();
    let granted = grant(&url, shown).ask(&client, Some(&ProofKey::fresh().unwrap())).await.unwrap();
    assert_eq!((granted.token.as_str(), granted.is_dpop, granted.expires_in), ("abc", true, Some(60)));
    let seen = seen.lock().unwrap();
    let form = "grant_type=client_credentials&scope=a%20b&resource=https%3A%2F%2Fapi.test%2F&client_id=a%3Ab&client_secret=s%25";
    assert!(seen.len() == 2 && seen.iter().all(|(_, _, body)| body == form), "{:?}", seen.last());
    let last = proof(&seen[1].1);
    assert_eq!((&last["htm"], &last["htu"]), (&json!("POST"), &json!(format!("{url}/token"))));
    assert_eq!((&last["nonce"], last.get("ath")), (&json!("one"), None));
}

#[tokio::test]
async fn a_server_that_gives_no_token_is_told_of_by_its_code_alone() {
    let client = Connections::default().client().unwrap();
    let basic = || grant::Shown::secret("a:b", b"secret", false).unwrap();
    for (status, body, told) in [
        (401, r#"{"error":"invalid_client","error_description":"secret"}"#, "/token: status 401 invalid_client"),
        (400, r#"{"error":"Bearer secret"}"#, "/token: status 400"),
        (500, "secret", "/token: status 500"),
        (200, "secret", "the answer has no access_token"),
        (200, r#"{"access_token":"se cret","token_type":"Bearer"}"#, "the answer has no access_token"),
        (200, r#"{"access_token":"secret","token_type":"mac"}"#, "neither Bearer nor DPoP"),
    ] {
        let answer = move |_: usize, _: &HeaderMap| (StatusCode::from_u16(status).unwrap(), body).into_response();
        let (url, seen) = server(answer);
        let why = grant(&url, basic()).ask(&client, None).await.err().unwrap();
        assert!(why.ends_with(told) && !why.contains("secret"), "{why}");
        // RFC 6749 §2.3.1: `a%3Ab:secret`.
        assert_eq!(seen.lock().unwrap()[0].1["authorization"], "Basic YSUzQWI6c2VjcmV0");
    }
}

#[test]
fn keys_that_no_proof_can_be_made_with_are_refused() {
    let refused = |file: &[u8]| ProofKey::read(file).err();
    assert!(refused(b"").unwrap().contains("no PKCS#8 key"));
    assert!(refused(br#"{"kty":"EC"}"#).unwrap().contains("no private key"));
    // RFC 8037 appendix A.1 and A.3: the thumbprint of this key is published.
    let jwk = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}"#;
    let thumbprint = ProofKey::read(jwk).ok().unwrap().thumbprint();
    assert_eq!(base64url_of(&thumbprint.0), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
