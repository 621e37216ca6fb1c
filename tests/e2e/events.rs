//! Security events pushed by a real transmitter: what an event revokes is denied at the next request through Envoy, after a kill too.

mod polled;

use std::time::{Duration, Instant};

use keybound::edge::clock;
use reqwest::Client;
use serde_json::{Value, json};

use crate::lab::files::server_certificate;
use crate::lab::place::{directory, free_port};
use crate::lab::{Lab, Plan, secrets, told};
use crate::requests::{ISSUER, mtls};
use crate::support::{Jws, Request, fresh_id, keys};

const TRANSMITTER: &str = "https://idp.example.com";
const US: &str = "https://keybound.example.com/events";
const AUTHORIZATION: &str = "Bearer push-7d1f5b0c9e3a4d62b8e1c7f00a9d4e36";
const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// A lab with an events listener on loopback, a journal, and a transmitter that signs with RS256.
struct Stage {
    lab: Lab,
    url: String,
    client: Client,
}

impl Stage {
    fn set_up(name: &str) -> Self {
        secrets::keep(AUTHORIZATION);
        let (place, port) = (directory(name), free_port());
        let set = json!({"keys": [keys().client_rsa.jwk_as("rsa", &json!({}))]});
        std::fs::write(place.join("idp.json"), set.to_string()).unwrap();
        std::fs::write(place.join("idp.authorization"), format!("{AUTHORIZATION}\n")).unwrap();
        let plan = Plan {
            listeners: format!("  events: {{ address: \"127.0.0.1:{port}\" }}\n"),
            sections: format!(
                "revocations:\n  journal: revocations\n  transmitters:\n    - {{ name: idp, issuer: \"{TRANSMITTER}\", \
                 audience: \"{US}\", keys: {{ file: idp.json }}, may_revoke_for: [\"{ISSUER}\"], \
                 authorization_file: idp.authorization }}\n"
            ),
            ..Plan::default()
        };
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { lab: Lab::ready(name, &plan), url: format!("http://127.0.0.1:{port}/v1/security-events"), client }
    }

    /// Status and error code.
    async fn push(&self, body: String) -> (u16, String) {
        let request = self.client.post(&self.url).header("content-type", "application/secevent+jwt");
        let sent = request.header("authorization", AUTHORIZATION).body(body).send().await;
        let Ok(answer) = sent else { return (0, String::new()) };
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        let told: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(status == 202, body.is_empty(), "{status}: {body}");
        (status, told["err"].as_str().unwrap_or_default().to_owned())
    }

    fn metric(&self, outcome: &str) -> f64 {
        self.lab.metric("keybound_security_events_total", &[("outcome", outcome)])
    }
}

/// The session of somebody was revoked, so many seconds ago.
fn event(seconds_ago: i64) -> Jws {
    let subject = json!({"format": "iss_sub", "iss": ISSUER, "sub": "robot"});
    let now = clock::now();
    let claims = json!({
        "iss": TRANSMITTER, "aud": US, "iat": now, "jti": fresh_id(), "sub_id": subject,
        "events": { REVOKED: { "event_timestamp": now - seconds_ago, "initiating_entity": "policy" } },
    });
    let mut set = Jws::new("secevent+jwt", "RS256", &keys().client_rsa, claims);
    set.header["kid"] = json!("rsa");
    set
}

fn changed(change: impl FnOnce(&mut Jws)) -> String {
    let mut set = event(100);
    change(&mut set);
    set.compact()
}

fn issued(seconds_ago: i64) -> Request {
    mtls().token(move |token| token.claims["iat"] = json!(clock::now() - seconds_ago)).build()
}

#[tokio::test]
async fn a_session_that_is_revoked_is_denied_at_the_next_request_and_after_a_kill() {
    let stage = Stage::set_up("events");
    let edge = stage.lab.edge();
    let (old, new) = (issued(200), issued(5));
    edge.send(&old).await.allowed();
    let set = event(100).compact();
    assert_eq!(stage.push(set.clone()).await, (202, String::new()));
    let answer = edge.send(&old).await;
    answer.denied("token_revoked", 401);
    edge.send(&new).await.allowed();
    let line = told::line("the event", stage.lab.log(), |line| line["message"] == "a security event revokes");
    assert_eq!((&line["transmitter"], &line["event"]), (&json!("idp"), &json!("session-revoked")));
    assert_eq!(answer.decision["revocation"], line["revocation"], "{answer:?}");
    // The same again: taken, and no second effect.
    assert_eq!(stage.push(set.clone()).await.0, 202);
    let (_, _, ready) = told::get(stage.lab.ports.probes, "probes", "/readyz").unwrap();
    assert!(ready.contains("revocations: 1 in force; journal: stored"), "{ready}");
    assert!((stage.metric("revoked") - 1.0).abs() < 0.1 && (stage.metric("known") - 1.0).abs() < 0.1);

    stage.lab.keybound().kill();
    stage.lab.start_again();
    stage.lab.wait_until_ready();
    let mut answer = edge.send(&old).await;
    for _ in 0..100 {
        // Envoy finds it again a moment later.
        if answer.code() != "(no decision)" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = edge.send(&old).await;
    }
    answer.denied("token_revoked", 401);
    edge.send(&new).await.allowed();
    assert_eq!(stage.push(set).await.0, 202);
    let (_, _, ready) = told::get(stage.lab.ports.probes, "probes", "/readyz").unwrap();
    assert!(ready.contains("revocations: 1 in force"), "{ready}");
}

#[tokio::test]
async fn what_is_no_good_event_is_told_so_and_harms_nobody() {
    let stage = Stage::set_up("bad-events");
    let edge = stage.lab.edge();
    let refused = async |body: String, code: &str| assert_eq!(stage.push(body).await, (400, code.to_owned()));
    refused(changed(|set| set.signed_by(&keys().stranger_rsa, "RS256")), "invalid_key").await;
    refused(changed(|set| set.claims["aud"] = json!("https://elsewhere.example.com")), "invalid_audience").await;
    refused(changed(|set| set.claims["iss"] = json!(ISSUER)), "invalid_issuer").await;
    refused(changed(|set| set.claims["sub_id"]["iss"] = json!("https://elsewhere.example.com")), "access_denied").await;
    refused(changed(|set| set.header["typ"] = json!("JWT")), "invalid_request").await;
    refused(changed(|set| set.add_to_claims("\"jti\":\"twice\"")), "invalid_request").await;
    refused("garbage".to_owned(), "invalid_request").await;
    let plain = stage.client.post(&stage.url).header("content-type", "application/secevent+jwt");
    let answer = plain.body(event(100).compact()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert!(answer.text().await.unwrap().contains("authentication_failed"));
    // Whoever sends on while it is refused may find the connection gone.
    let huge = stage.push("x".repeat(10 << 20)).await;
    assert!([413, 0].contains(&huge.0), "{huge:?}");

    let junk: Vec<_> = (0..1_000)
        .map(|number| {
            let request = stage.client.post(&stage.url).header("content-type", "application/secevent+jwt");
            let sent = request.body(format!("junk-{number}")).send();
            tokio::spawn(async move { sent.await.map_or(0, |answer| answer.status().as_u16()) })
        })
        .collect();
    let begun = Instant::now();
    for _ in 0..20 {
        edge.send(&mtls().build()).await.allowed();
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let mut seen = std::collections::BTreeMap::new();
    for junk in junk {
        *seen.entry(junk.await.unwrap()).or_insert(0) += 1;
    }
    assert!(seen.keys().all(|status| [0, 400, 429, 503].contains(status)), "{seen:?}");
    edge.send(&issued(200)).await.allowed();
    // A transmitter is heard as before.
    assert_eq!(stage.push(event(100).compact()).await.0, 202);
    edge.send(&issued(200)).await.denied("token_revoked", 401);
    assert!(stage.metric("invalid_request") > 3.0 && (stage.metric("access_denied") - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn keys_by_discovery_are_the_transmitters_own_and_events_come_over_tls() {
    let (name, port) = ("events-tls", free_port());
    let source = free_port();
    let issuer = format!("http://127.0.0.1:{source}/tenant");
    let metadata = json!({"issuer": issuer, "jwks_uri": format!("http://127.0.0.1:{source}/jwks")}).to_string();
    let set = json!({"keys": [keys().client_rsa.jwk_as("rsa", &json!({}))]}).to_string();
    let routes = axum::Router::new()
        .route("/.well-known/ssf-configuration/tenant", axum::routing::get(async move || metadata.clone()))
        .route("/jwks", axum::routing::get(async move || set.clone()));
    crate::lab::serve_in_background(routes, source);
    let plan = Plan {
        listeners: format!(
            "  events: {{ address: \"0.0.0.0:{port}\", tls: {{ certificate: server.crt, key: server.key }} }}\n"
        ),
        sections: format!(
            "revocations:\n  transmitters:\n    - {{ name: idp, issuer: \"{issuer}\", audience: \"{US}\", \
             keys: {{ discovery: true }}, may_revoke_for: [\"{ISSUER}\"], allow_loopback_http: true }}\n"
        ),
        ..Plan::default()
    };
    let lab = Lab::ready(name, &plan);
    let edge = lab.edge();
    let root = reqwest::Certificate::from_pem(server_certificate().pem.as_bytes()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]);
    let client = client.resolve("keybound.test", ([127, 0, 0, 1], port).into()).build().unwrap();
    let push = async |set: Jws| {
        let request = client.post(format!("https://keybound.test:{port}/v1/security-events"));
        let request = request.header("content-type", "application/secevent+jwt").body(set.compact());
        request.send().await.unwrap().status().as_u16()
    };
    let of = |change: &dyn Fn(&mut Jws)| {
        let mut set = event(100);
        set.claims["iss"] = json!(issuer);
        change(&mut set);
        set
    };
    // A key of the issuer whose tokens these are is none of the transmitter's.
    let by_server = of(&|set| set.signed_by(&keys().server_rsa, "RS256"));
    assert_eq!(push(by_server).await, 400);
    // What may be a new key is asked for, and the event should come again.
    assert_eq!(push(of(&|set| set.header["kid"] = json!("new"))).await, 503);
    edge.send(&issued(200)).await.allowed();
    assert_eq!(push(of(&|_| {})).await, 202);
    edge.send(&issued(200)).await.denied("token_revoked", 401);
}
