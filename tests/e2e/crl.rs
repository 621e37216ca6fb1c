//! Certificate revocation lists, for chains that keybound verifies: a file that is renewed, and a URL.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use keybound::edge::clock;

use crate::lab::files::replace;
use crate::lab::{Edge, Lab, Plan, serve_in_background, until};
use crate::requests::{dpop, mtls};
use crate::support::{Leaf, pki};

/// A file is looked at every second, a URL every ten; and the machine may be busy.
const SOON: Duration = Duration::from_secs(40);

fn plan(directory: &Path, lists: &str) -> Plan {
    let trust = directory.join("trust.pem");
    replace(&trust, pki().trust_pem());
    let certificate = format!(
        "{{ source: envoy_peer_certificate, chain_verified_by: keybound, trust_bundle: {}, crls: {{ {lists}, depth: leaf }} }}",
        trust.display()
    );
    Plan { certificate, ..Plan::default() }
}

/// Waits until the client's certificate is answered so.
async fn until_answered(edge: &Edge, code: &str) {
    let begun = std::time::Instant::now();
    loop {
        let answer = edge.send(&mtls().build()).await;
        if answer.decision["code"] == code {
            return;
        }
        assert!(begun.elapsed() < SOON, "not {code} but {}", answer.decision["code"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn refusals(lab: &Lab) -> f64 {
    lab.metric("keybound_loads_total", &[("what", "certificate_revocation_list"), ("outcome", "refused")])
}

#[tokio::test]
async fn a_renewed_list_bites_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.crl");
    let now = clock::now();
    let signed = |revoked: &[&Leaf], issued: i64| pki().crl(revoked, now + issued, now + 3_600);
    replace(&file, signed(&[], -60));
    let lab = Lab::ready("crl-file", &plan(directory.path(), &format!("files: [{}]", file.display())));
    let edge = lab.edge();
    edge.send(&mtls().build()).await.allowed();

    replace(&file, signed(&[&pki().client], -50));
    until_answered(&edge, "certificate_revoked").await;
    edge.send(&mtls().build()).await.denied("certificate_revoked", 401);
    edge.send(&dpop().build()).await.allowed();

    // Garbage, a list that nobody here signed, and the one before.
    let mut forged = signed(&[], 0);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bad in [b"garbage".to_vec(), forged, signed(&[], -60)] {
        let before = refusals(&lab);
        replace(&file, bad);
        until("the list is refused", SOON, || (refusals(&lab) > before).then_some(()));
        edge.send(&mtls().build()).await.denied("certificate_revoked", 401);
    }

    replace(&file, signed(&[], 0));
    until_answered(&edge, "allowed").await;
}

#[tokio::test]
async fn a_list_that_is_not_here_yet_or_has_run_out_denies() {
    let served: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let answer = Arc::clone(&served);
    let answer = move || {
        let list = answer.lock().unwrap().clone();
        async move { list.ok_or(StatusCode::NOT_FOUND) }
    };
    let port = serve_in_background(Router::new().route("/clients.crl", get(answer)), 0);
    let directory = tempfile::tempdir().unwrap();
    let lists = format!("urls: [\"http://127.0.0.1:{port}/clients.crl\"], refresh_seconds: 10");
    let lab = Lab::ready("crl-url", &plan(directory.path(), &lists));
    let edge = lab.edge();
    edge.send(&mtls().build()).await.denied("certificate_status_unknown", 401);
    edge.send(&dpop().build()).await.allowed();

    let now = clock::now();
    *served.lock().unwrap() = Some(pki().crl(&[&pki().other], now - 60, now + 15));
    until_answered(&edge, "allowed").await;
    until_answered(&edge, "certificate_status_unknown").await;
    assert!(clock::now() > now + 15, "it was good for fifteen seconds");
}
