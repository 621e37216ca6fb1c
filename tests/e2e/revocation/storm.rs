//! Revocations while much is going on: how soon they bite under load, and that a kill loses none that was answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use super::{BEARER, Desk};
use crate::requests::{ISSUER, mtls};
use crate::send::Direct;
use crate::support::Encoding;

/// Revocations that are measured.
const MEASURED: usize = 200;

fn body(jti: &str) -> Value {
    json!({ "target": { "kind": "token", "issuer": ISSUER, "jti": jti }, "reason": "an exercise" })
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

#[tokio::test]
async fn two_hundred_revocations_bite_at_once_under_load() {
    let desk = Desk::open("bite");
    let url = format!("http://127.0.0.1:{}/v1/revocations", desk.port);
    let (stop, checks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (stop, checks, port) = (Arc::clone(&stop), Arc::clone(&checks), desk.lab.ports.check);
            tokio::spawn(async move {
                let (direct, request) = (Direct::tcp(port).await, mtls().build());
                while !stop.load(Ordering::Relaxed) {
                    direct.check(&request, Encoding::Raw).await.allowed();
                    checks.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let (client, direct) = (Client::builder().no_proxy().build().unwrap(), Direct::tcp(desk.lab.ports.check).await);
    let (mut from_sending, mut from_answer) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for number in 0..MEASURED {
        let jti = format!("measured-{number}");
        let named = jti.clone();
        let request = mtls().token(move |token| token.claims["jti"] = json!(named)).build();
        direct.check(&request, Encoding::Raw).await.allowed();
        let sent = Instant::now();
        let posted = client.post(&url).bearer_auth(BEARER).body(body(&jti).to_string()).send();
        let denied = async {
            loop {
                let judged = direct.check(&request, Encoding::Raw).await;
                if judged.denied.is_some() {
                    judged.denied("token_revoked", 401);
                    return Instant::now();
                }
            }
        };
        let (answered, denied) = tokio::join!(async { (posted.await.unwrap().status(), Instant::now()) }, denied);
        assert_eq!(answered.0, 201);
        from_sending.push(denied - sent);
        // Nothing passes after the answer.
        direct.check(&request, Encoding::Raw).await.denied("token_revoked", 401);
        from_answer.push(denied.saturating_duration_since(answered.1));
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    for load in load {
        load.await.unwrap();
    }
    let rate = u128::from(checks.load(Ordering::Relaxed)) * 1_000 / took.as_millis();
    let (p50, p99) = (percentile(&mut from_sending, 50), percentile(&mut from_sending, 99));
    let (a50, a99) = (percentile(&mut from_answer, 50), percentile(&mut from_answer, 99));
    eprintln!(
        "{MEASURED} revocations under {rate} checks/s: from sending to the first denial p50 {p50:?} p99 {p99:?}; \
         from the answer p50 {a50:?} p99 {a99:?}"
    );
    assert!(p99 < Duration::from_secs(1), "p50 {p50:?}, p99 {p99:?}");
    assert!(a99 < Duration::from_millis(300), "p50 {a50:?}, p99 {a99:?}");
}

#[tokio::test]
async fn a_kill_in_a_storm_loses_nothing_that_was_answered() {
    let desk = Desk::open("kill");
    let url = format!("http://127.0.0.1:{}/v1/revocations", desk.port);
    let storm: Vec<_> = (0..12)
        .map(|caller| {
            let (client, url) = (Client::builder().no_proxy().build().unwrap(), url.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for number in 0.. {
                    let body = body(&format!("storm-{caller}-{number}")).to_string();
                    let Ok(answer) = client.post(&url).bearer_auth(BEARER).body(body).send().await else { break };
                    if answer.status().as_u16() != 201 {
                        continue;
                    }
                    // The status is the promise; the id may come too late.
                    let Ok(text) = answer.text().await else { break };
                    let told: Value = serde_json::from_str(&text).unwrap();
                    answered.push(told["entry"]["id"].as_str().unwrap().to_owned());
                }
                answered
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.lab.keybound().kill();
    let mut answered = BTreeSet::new();
    for caller in storm {
        answered.extend(caller.await.unwrap());
    }
    assert!(answered.len() > 50, "{} were answered", answered.len());
    desk.lab.start_again();
    desk.lab.wait_until_ready();
    let listed = String::from_utf8(desk.revoke(&["list"]).stdout).unwrap();
    let told: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let in_force = told.iter().filter(|told| told["state"] == "in_force" && told["stored"] == true);
    let in_force: BTreeSet<_> = in_force.map(|told| told["entry"]["id"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<_> = answered.difference(&in_force).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), answered.len());
    eprintln!("{} were answered before the kill, {} are in force after it", answered.len(), in_force.len());
    let direct = Direct::tcp(desk.lab.ports.check).await;
    let request = mtls().token(|token| token.claims["jti"] = json!("storm-0-0")).build();
    direct.check(&request, Encoding::Raw).await.denied("token_revoked", 401);
}
