//! How soon two hundred revocations bite at both replicas while both are under load, and a storm of them in which Redis dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use super::{NOTICED, at, fleet, named, plan};
use crate::lab::redis::Redis;
use crate::lab::until;
use crate::requests::{ISSUER, mtls};
use crate::revocation::BEARER;
use crate::send::Direct;
use crate::support::{Encoding, Request};

const MEASURED: usize = 200;

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// When it is refused.
async fn refused(direct: &Direct, request: &Request) -> Instant {
    loop {
        let judged = direct.check(request, Encoding::Raw).await;
        if judged.denied.is_some() {
            judged.denied("token_revoked", 401);
            return Instant::now();
        }
    }
}

#[tokio::test]
async fn two_hundred_revocations_reach_both_replicas_under_load() {
    let redis = Redis::start("many-redis", &[]);
    let [one, two] = fleet("many", &plan(&at(&redis), ""));
    let (stop, checks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = [&one, &two]
        .map(|replica| {
            let (stop, checks, port) = (Arc::clone(&stop), Arc::clone(&checks), replica.desk.lab.ports.check);
            tokio::spawn(async move {
                let (direct, request) = (Direct::tcp(port).await, mtls().build());
                while !stop.load(Ordering::Relaxed) {
                    direct.check(&request, Encoding::Raw).await.allowed();
                    checks.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .into();
    let client = Client::builder().no_proxy().build().unwrap();
    let (at_one, at_two) = (one.direct().await, two.direct().await);
    let (mut here, mut there, mut unshared) = (Vec::new(), Vec::new(), 0);
    let begun = Instant::now();
    for number in 0..MEASURED {
        let jti = format!("measured-{number}");
        let request = named(&jti);
        // At one, and at the other in turn: each asks and each is told.
        let (asked, asks, other) = if number % 2 == 0 { (&one, &at_one, &at_two) } else { (&two, &at_two, &at_one) };
        for direct in [asks, other] {
            direct.check(&request, Encoding::Raw).await.allowed();
        }
        let url = format!("http://127.0.0.1:{}/v1/revocations", asked.desk.port);
        let body = json!({ "target": { "kind": "token", "issuer": ISSUER, "jti": jti }, "reason": "an exercise" });
        let sent = Instant::now();
        let posted = client.post(&url).bearer_auth(BEARER).body(body.to_string()).send();
        let (answer, near, far) = tokio::join!(posted, refused(asks, &request), refused(other, &request));
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 201);
        let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        unshared += usize::from(document["shared"] != true);
        here.push(near - sent);
        there.push(far - sent);
    }
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    for load in load {
        load.await.unwrap();
    }
    let rate = u128::from(checks.load(Ordering::Relaxed)) * 1_000 / took.as_millis();
    let [(h50, h99), (t50, t99)] = [&mut here, &mut there].map(|times| (percentile(times, 50), percentile(times, 99)));
    eprintln!(
        "{MEASURED} revocations under {rate} checks/s, from sending to the first denial: at the replica that was asked \
         p50 {h50:?} p99 {h99:?}, at the other p50 {t50:?} p99 {t99:?}; {unshared} answers did not wait for Redis"
    );
    assert!(h99 < Duration::from_secs(1) && t99 < Duration::from_secs(1), "{h99:?} {t99:?}");
    assert!(unshared <= MEASURED / 100, "{unshared}");
    for replica in [&one, &two] {
        let received = replica.metric("keybound_revocation_propagation_seconds_count", &[("origin", "fleet")]);
        assert!((received - 100.0).abs() < 0.1, "{received}");
    }
}

/// Asks one replica again and again until it is told to stop; the ids of what was answered to be in force.
async fn storm(url: String, caller: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let (client, mut answered) = (Client::builder().no_proxy().build().unwrap(), Vec::new());
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let target = json!({ "kind": "token", "issuer": ISSUER, "jti": format!("storm-{caller}-{number}") });
        let body = json!({ "target": target, "reason": "an exercise" }).to_string();
        let answer = client.post(&url).bearer_auth(BEARER).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "in force and stored, whatever becomes of Redis");
        let told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        answered.push(told["entry"]["id"].as_str().unwrap().to_owned());
    }
    answered
}

#[tokio::test]
async fn a_redis_that_dies_in_a_storm_and_comes_back_empty_loses_nothing_that_was_answered() {
    let redis = Redis::start("storm-redis", &[]);
    let replicas: [_; 2] = fleet("storm", &plan(&at(&redis), ""));
    let stop = Arc::new(AtomicBool::new(false));
    let callers = (0..8).map(|caller| {
        let url = format!("http://127.0.0.1:{}/v1/revocations", replicas[caller % 2].desk.port);
        tokio::spawn(storm(url, caller, Arc::clone(&stop)))
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        redis.kill();
        tokio::time::sleep(Duration::from_millis(400)).await;
        redis.start_again();
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answered = BTreeSet::new();
    for caller in callers {
        answered.extend(caller.await.unwrap());
    }
    assert!(answered.len() > 50, "{} were answered", answered.len());
    let begun = Instant::now();
    for replica in &replicas {
        until("it has all of them", NOTICED, || {
            let listed = String::from_utf8(replica.desk.revoke(&["list"]).stdout).unwrap();
            let told = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let in_force = told.filter(|told| told["state"] == "in_force");
            let in_force: BTreeSet<_> = in_force.map(|told| told["entry"]["id"].as_str().unwrap().to_owned()).collect();
            (in_force == answered).then_some(())
        });
    }
    eprintln!("{} were answered, and are in force at both replicas {:?} after", answered.len(), begun.elapsed());
}
