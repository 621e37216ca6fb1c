//! The journal goes away under a keybound that runs: what was answered as stored is in force after a kill and a start.

use std::fs;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::{BEARER, Desk};
use crate::lab::{told, until};
use crate::requests::{ISSUER, mtls};
use crate::send::Direct;
use crate::support::Encoding;

async fn denied(desk: &Desk, all: &[&'static str]) {
    let direct = Direct::tcp(desk.lab.ports.check).await;
    for jti in all {
        let request = mtls().token(|token| token.claims["jti"] = json!(jti)).build();
        direct.check(&request, Encoding::Raw).await.denied("token_revoked", 401);
    }
}

fn killed_and_started_again(desk: &Desk) {
    desk.lab.keybound().kill();
    desk.lab.start_again();
    desk.lab.wait_until_ready();
}

fn revoke(desk: &Desk, jti: &str) -> Value {
    desk.done(&["token", "--issuer", ISSUER, "--jti", jti, "--reason", "an exercise"])
}

#[tokio::test]
async fn a_journal_that_is_removed_under_a_running_keybound_forgets_nothing() {
    let desk = Desk::open("gone");
    revoke(&desk, "before");
    fs::remove_file(desk.lab.directory.join("revocations")).unwrap();
    assert_eq!(revoke(&desk, "after")["stored"], true);
    killed_and_started_again(&desk);
    denied(&desk, &["before", "after"]).await;
}

#[tokio::test]
async fn what_is_put_in_the_place_of_the_journal_is_told_and_left_alone() {
    let desk = Desk::open("put");
    let journal = desk.lab.directory.join("revocations");
    let ready = || told::get(desk.lab.ports.probes, "probes", "/readyz").unwrap().2;
    revoke(&desk, "before");
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    let id = "000102030405060708090a0b0c0d0e0f";
    let target = json!({ "kind": "token", "issuer": ISSUER, "jti": "meanwhile" });
    let body = json!({ "target": target, "id": id, "reason": "an exercise" });
    let client = Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/revocations", desk.port);
    let answer = client.post(url).bearer_auth(BEARER).body(body.to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["in_force"], json!([id]), "{answer}");
    denied(&desk, &["before", "meanwhile"]).await;
    let told = "CANNOT BE WRITTEN, a restart forgets all of it: something that is no file is at the path";
    assert!(ready().contains(told), "{}", ready());
    fs::remove_dir(&journal).unwrap();
    until("the journal is written again", Duration::from_secs(10), || {
        ready().contains("2 in force; journal: stored").then_some(())
    });
    killed_and_started_again(&desk);
    denied(&desk, &["before", "meanwhile"]).await;
    desk.done(&["cancel", id, "--reason", "the exercise is over"]);
}
