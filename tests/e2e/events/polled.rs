//! Events that are fetched (RFC 8936) from a transmitter that keeps them until they are acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::*;
use crate::lab::{serve_in_background, until};

/// Longer than an interval, and two failed polls.
const SOON: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Stream {
    kept: BTreeMap<String, String>,
    refused: BTreeMap<String, String>,
    polls: usize,
    is_down: bool,
}

type Shared = Arc<Mutex<Stream>>;

async fn polled(State(stream): State<Shared>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mut stream = stream.lock().unwrap();
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(headers["authorization"], AUTHORIZATION);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!((&asked["returnImmediately"], &asked["maxEvents"]), (&json!(true), &json!(32)));
    stream.polls += 1;
    if stream.is_down {
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    for name in asked["ack"].as_array().unwrap() {
        stream.kept.remove(name.as_str().unwrap());
    }
    for (name, error) in asked["setErrs"].as_object().unwrap() {
        stream.kept.remove(name);
        assert!(!error["description"].as_str().unwrap().is_empty());
        stream.refused.insert(name.clone(), error["err"].as_str().unwrap().to_owned());
    }
    let sets: BTreeMap<_, _> = stream.kept.iter().take(32).collect();
    let answer = json!({"sets": sets, "moreAvailable": stream.kept.len() > 32});
    (StatusCode::OK, answer.to_string())
}

#[tokio::test]
async fn events_are_fetched_and_acknowledged_when_they_bite() {
    let (name, stream) = ("events-polled", Shared::default());
    let routes = axum::Router::new().route("/poll", post(polled)).with_state(Arc::clone(&stream));
    let port = serve_in_background(routes, 0);
    let place = directory(name);
    secrets::keep(AUTHORIZATION);
    let set = json!({"keys": [keys().client_rsa.jwk_as("rsa", &json!({}))]});
    std::fs::write(place.join("idp.json"), set.to_string()).unwrap();
    std::fs::write(place.join("poll.authorization"), format!("{AUTHORIZATION}\n")).unwrap();
    let plan = Plan {
        sections: format!(
            "revocations:\n  journal: revocations\n  transmitters:\n    - {{ name: idp, issuer: \"{TRANSMITTER}\", \
             audience: \"{US}\", keys: {{ file: idp.json }}, may_revoke_for: [\"{ISSUER}\"], allow_loopback_http: true, \
             poll: {{ url: \"http://127.0.0.1:{port}/poll\", authorization_file: poll.authorization, every_seconds: 1 }} }}\n"
        ),
        ..Plan::default()
    };
    let lab = Lab::ready(name, &plan);
    let edge = lab.edge();
    edge.send(&issued(200)).await.allowed();
    let put = |name: &str, set: String| stream.lock().unwrap().kept.insert(name.to_owned(), set);
    put("good", event(100).compact());
    put("junk", "junk".to_owned());
    put("stranger", changed(|set| set.signed_by(&keys().server_rsa, "RS256")));
    put("foreign", changed(|set| set.claims["iss"] = json!(ISSUER)));
    // More than one poll holds.
    (0..70).for_each(|number| drop(put(&format!("more-{number}"), event(300).compact())));
    let gone = || stream.lock().unwrap().kept.is_empty().then_some(());
    until("all events are taken", SOON, gone);
    edge.send(&issued(200)).await.denied("token_revoked", 401);
    edge.send(&issued(5)).await.allowed();
    let refused = stream.lock().unwrap().refused.clone();
    let code = |name: &str| refused.get(name).map(String::as_str);
    assert_eq!(
        [code("junk"), code("stranger"), code("foreign")],
        ["invalid_request", "invalid_key", "invalid_issuer"].map(Some)
    );
    assert_eq!(refused.len(), 3);

    // While it is away nothing comes; then it does.
    stream.lock().unwrap().is_down = true;
    put("late", event(3).compact());
    told::line("the outage", lab.log(), |line| {
        line["message"] == "security events cannot be fetched: what they revoke is not revoked"
    });
    edge.send(&issued(5)).await.allowed();
    stream.lock().unwrap().is_down = false;
    until("the late event is taken", SOON, gone);
    edge.send(&issued(5)).await.denied("token_revoked", 401);
    let polls = |outcome| lab.metric("keybound_security_event_polls_total", &[("outcome", outcome)]);
    assert!(polls("answered") > 3.0 && polls("failed") > 0.0);
    assert!(stream.lock().unwrap().polls < 40, "it is asked at its interval");
}
