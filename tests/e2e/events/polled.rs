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
    kept: BTreeMap<String, Value>,
    refused: BTreeMap<String, String>,
    polls: usize,
    /// The most that was asked for, and the least.
    most: (u64, u64),
    is_down: bool,
}

type Shared = Arc<Mutex<Stream>>;

async fn polled(State(stream): State<Shared>, headers: HeaderMap, body: String) -> (StatusCode, String) {
    let mut stream = stream.lock().unwrap();
    let asked: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(headers["authorization"], AUTHORIZATION);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(asked["returnImmediately"], json!(true));
    let most = asked["maxEvents"].as_u64().unwrap();
    stream.most = (stream.most.0.max(most), if stream.polls == 0 { most } else { stream.most.1.min(most) });
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
    let most = usize::try_from(most).unwrap();
    let sets: BTreeMap<_, _> = stream.kept.iter().take(most).collect();
    let answer = json!({"sets": sets, "moreAvailable": stream.kept.len() > most});
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
    let put = |name: &str, set: String| stream.lock().unwrap().kept.insert(name.to_owned(), json!(set));
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
    assert_eq!(stream.lock().unwrap().most, (32, 32));

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

#[tokio::test]
async fn events_that_cannot_be_taken_keep_those_behind_them_back_for_some_polls_at_most() {
    let (name, stream) = ("events-stuck", Shared::default());
    let set = json!({"keys": [keys().client_rsa.jwk_as("rsa", &json!({}))]}).to_string();
    let routes = axum::Router::new()
        .route("/poll", post(polled))
        .with_state(Arc::clone(&stream))
        .route("/jwks", axum::routing::get(async move || ([("content-type", "application/json")], set.clone())));
    let port = serve_in_background(routes, 0);
    secrets::keep(AUTHORIZATION);
    std::fs::write(directory(name).join("poll.authorization"), format!("{AUTHORIZATION}\n")).unwrap();
    let plan = Plan {
        sections: format!(
            "revocations:\n  journal: revocations\n  transmitters:\n    - {{ name: idp, issuer: \"{TRANSMITTER}\", \
             audience: \"{US}\", keys: {{ url: \"http://127.0.0.1:{port}/jwks\" }}, may_revoke_for: [\"{ISSUER}\"], \
             allow_loopback_http: true, \
             poll: {{ url: \"http://127.0.0.1:{port}/poll\", authorization_file: poll.authorization, every_seconds: 1 }} }}\n"
        ),
        ..Plan::default()
    };
    // One is longer than an answer may be, one is no text.
    let put = |name: &str, set: Value| stream.lock().unwrap().kept.insert(name.to_owned(), set);
    put("a-long", json!("x".repeat(6 << 20)));
    put("odd", json!({}));
    put("z-good", json!(event(100).compact()));
    let lab = Lab::ready(name, &plan);
    let edge = lab.edge();
    let gone = |name: &'static str| {
        let stream = Arc::clone(&stream);
        move || (!stream.lock().unwrap().kept.contains_key(name)).then_some(())
    };
    until("the one behind them is taken", SOON, gone("z-good"));
    edge.send(&issued(200)).await.denied("token_revoked", 401);
    let (refused, most) = {
        let stream = stream.lock().unwrap();
        (stream.refused.clone(), stream.most)
    };
    assert_eq!(refused.into_values().collect::<Vec<_>>(), ["invalid_request", "invalid_request"]);
    assert_eq!(most, (32, 1));

    // More than one poll holds are signed with a key that was withdrawn.
    edge.send(&issued(5)).await.allowed();
    for number in 0..40 {
        put(&format!("a-{number:02}"), json!(changed(|set| set.header["kid"] = json!("withdrawn"))));
    }
    put("z-new", json!(event(3).compact()));
    until("the one behind them is taken", SOON, gone("z-new"));
    edge.send(&issued(5)).await.denied("token_revoked", 401);
    assert_eq!(stream.lock().unwrap().kept.len(), 40, "it may be our keys that are old");
    assert!(lab.metric("keybound_security_event_polls_total", &[("outcome", "stuck")]) > 0.0);
    told::line("that they are stuck", lab.log(), |line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("none of the security events that came can be"))
    });
}
