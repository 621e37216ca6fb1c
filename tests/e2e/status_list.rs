//! Status lists of a real host: what it flips bites, what it takes back is good again, and nobody is let in without it.
#![allow(clippy::print_stdout, reason = "tells how long a flip took")]

mod host;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use self::host::{Host, LIFE};
use crate::lab::files::{Plan, issuer, replace};
use crate::lab::{Lab, place, until};
use crate::requests::{ISSUER, dpop};
use crate::send::Direct;
use crate::support::{Encoding, Good, SigningKey, fresh_id, keys};

/// A list's whole life, and a busy machine.
const BOUND: Duration = Duration::from_secs(LIFE + 2);

fn lab(name: &str, host: &Host, more: &str) -> Lab {
    let section =
        format!("hosts: [\"127.0.0.1:{}\"], least_seconds: 1, most_seconds: {LIFE}, negative_seconds: 1", host.port);
    let more = format!(", allow_loopback_http: true, status_list: {{ {section}{more} }}");
    let issuers = issuer(ISSUER, "file: \"{directory}/keys.json\"", &more);
    Lab::ready(name, &Plan { issuers, ..Plan::default() })
}

/// A good request whose token is this entry of the list there.
fn listed(host: &Host, path: &str, index: usize) -> Good {
    let uri = host.uri(path);
    dpop().token(|token| token.claims["status"] = json!({"status_list": {"idx": index, "uri": uri}}))
}

/// Asks until it is answered so; how long that took.
async fn until_answered(direct: &Direct, request: impl Fn() -> Good, slug: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let judged = direct.check(&request().build(), Encoding::Raw).await;
        if judged.slug == slug {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < BOUND, "not {slug} but {} after {:?}", judged.slug, begun.elapsed());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test]
async fn sl_09_a_flip_bites_within_the_bound_and_is_taken_back() {
    let mut host = Host::start();
    let lab = lab("status-flip", &host, "");
    let direct = Direct::tcp(lab.ports.check).await;
    let request = |index: usize| listed(&host, "/lists/1", index);
    direct.check(&request(1).build(), Encoding::Raw).await.allowed();
    direct.check(&request(2).build(), Encoding::Raw).await.allowed();
    assert_eq!(host.calls(), 1, "two tokens, one list");
    direct.check(&request(4).build(), Encoding::Raw).await.denied("token_status_unknown", 401);

    host.say(1, 1);
    let revoked = until_answered(&direct, || request(1), "token_revoked").await;
    host.say(2, 2);
    let suspended = until_answered(&direct, || request(2), "token_suspended").await;
    let edge = lab.edge();
    edge.send(&request(1).build()).await.denied("token_revoked", 401);
    edge.send(&request(2).build()).await.denied("token_suspended", 401);
    host.say(2, 0);
    let back = until_answered(&direct, || request(2), "allowed").await;
    println!(
        "lists live {LIFE} s: revoked after {revoked:?}, suspended after {suspended:?}, good again after {back:?}"
    );
    edge.send(&request(2).build()).await.allowed();

    host.stop();
    let mut host = host;
    let ended = until_answered(&direct, || listed(&host, "/lists/1", 2), "fault_status_list_unavailable").await;
    println!("without its host the list was good for {ended:?}");
    edge.send(&listed(&host, "/lists/1", 2).build()).await.denied("fault_status_list_unavailable", 503);
    edge.send(&dpop().build()).await.allowed();
    assert!(lab.is_ready(), "readiness does not depend on it");
    host.start_again();
    until_answered(&direct, || listed(&host, "/lists/1", 2), "allowed").await;
    let counted = |outcome: &str| lab.metric("keybound_status_list_total", &[("outcome", outcome)]);
    assert!(counted("fetched") >= 4.0 && counted("failed") >= 1.0, "{}", lab.metrics());
    until("the list is held", BOUND, || {
        let held = lab.metric("keybound_status_list_held", &[("issuer", ISSUER)]);
        (held > 0.5).then_some(())
    });
}

#[tokio::test]
async fn sl_09_what_a_host_serves_beside_lists_lets_nobody_in() {
    let host = Host::start();
    let lab = lab("status-odd", &host, ", timeout_milliseconds: 500, max_in_flight: 16");
    let direct = Direct::tcp(lab.ports.check).await;
    let slow = {
        let (direct, request) = (direct.clone(), listed(&host, "/slow", 1).build());
        async move {
            let begun = Instant::now();
            direct.check(&request, Encoding::Raw).await.denied("fault_status_list_unavailable", 503);
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        }
    };
    let odd = async {
        for path in ["/garbage", "/bomb", "/key", "/subject"] {
            let request = listed(&host, path, 1).build();
            direct.check(&request, Encoding::Raw).await.denied("fault_status_list_unavailable", 503);
            direct.check(&listed(&host, "/good", 1).build(), Encoding::Raw).await.allowed();
        }
    };
    futures_util::join!(slow, odd);
    // Nobody is asked about a request that is bad anyway.
    let calls = host.calls();
    let expired = listed(&host, "/a", 1).token(|token| token.claims["exp"] = json!(1_700_000_000));
    direct.check(&expired.build(), Encoding::Raw).await.denied("token_expired", 401);
    let forged = listed(&host, "/b", 1).token(|token| token.signed_by(&keys().stranger, "ES256"));
    direct.check(&forged.build(), Encoding::Raw).await.denied("token_signature_invalid", 401);
    let stolen = listed(&host, "/c", 1).proof(|proof| {
        proof.header["jwk"] = keys().stranger.jwk();
        proof.signed_by(&keys().stranger, "ES256");
    });
    direct.check(&stolen.build(), Encoding::Raw).await.denied("proof_key_mismatch", 401);
    let elsewhere = dpop().token(|token| {
        token.claims["status"] = json!({"status_list": {"idx": 1, "uri": "https://169.254.169.254/lists/1"}});
    });
    direct.check(&elsewhere.build(), Encoding::Raw).await.denied("token_status_unchecked", 401);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // But the good list, which is in use, may have been fetched again.
    assert!(host.calls() <= calls + 1, "{} calls, {calls} before", host.calls());
}

#[tokio::test]
async fn sl_03_somebody_else_may_sign_with_keys_that_are_read_again() {
    let host = Host::start();
    let name = "status-signer";
    let file = place::directory(name).join("signer.json");
    let set = |key: &SigningKey| json!({"keys": [key.jwk_as("signer", &json!({}))]}).to_string();
    replace(&file, set(&keys().stranger));
    let signer =
        ", signer: { issuer: \"https://status-signer.example.com\", keys: { file: \"{directory}/signer.json\" } }";
    let lab = lab(name, &host, signer);
    let direct = Direct::tcp(lab.ports.check).await;
    let check = async |path: &str| direct.check(&listed(&host, path, 1).build(), Encoding::Raw).await;
    check("/signer").await.allowed();
    check("/lists/1").await.denied("fault_status_list_unavailable", 503);
    // With the key its lists end, though the host goes on serving them.
    replace(&file, set(&keys().second));
    until_answered(&direct, || listed(&host, "/signer", 1), "fault_status_list_unavailable").await;
    replace(&file, set(&keys().stranger));
    until_answered(&direct, || listed(&host, "/signer", 1), "allowed").await;
}

#[tokio::test]
async fn sl_08_tokens_with_random_uris_are_no_flood_to_the_host_and_hold_up_nobody() {
    const FLOOD: usize = 1_000;
    let host = Host::start();
    let lab = lab("status-flood", &host, ", max_per_second: 10, max_in_flight: 4");
    let direct = Direct::tcp(lab.ports.check).await;
    direct.check(&listed(&host, "/good", 1).build(), Encoding::Raw).await.allowed();
    let begun = Instant::now();
    let mut had = 0;
    for _ in 0..FLOOD / 100 {
        let flood = (0..100).map(|_| {
            let (direct, request) = (direct.clone(), listed(&host, &format!("/{}", fresh_id()), 1).build());
            async move {
                let judged = direct.check(&request, Encoding::Raw).await;
                if judged.slug != "allowed" {
                    judged.denied("fault_status_list_unavailable", 503);
                }
                usize::from(judged.slug == "allowed")
            }
        });
        had += join_all(flood).await.into_iter().sum::<usize>();
        // Whose list is at hand is served meanwhile, and so is who needs none.
        direct.check(&listed(&host, "/good", 1).build(), Encoding::Raw).await.allowed();
        direct.check(&dpop().build(), Encoding::Raw).await.allowed();
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    let calls = host.calls();
    println!("{FLOOD} tokens with random URIs in {seconds} s: {calls} fetches, {had} allowed");
    // A second's worth at once, as many in each second, and the good list again.
    assert!(calls <= 10 * (seconds + 1) + seconds, "{calls} fetches in {seconds} s");
    assert!((1..=calls).contains(&had));
    assert!(lab.metric("keybound_status_list_total", &[("outcome", "over_budget")]) > 0.5);
    assert!(lab.is_ready());
}
