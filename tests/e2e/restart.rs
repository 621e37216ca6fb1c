//! keybound dies and comes back: Envoy denies meanwhile, and no proof that was spent before passes again.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use keybound::edge::clock;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::lab::{Lab, Plan, until};
use crate::requests::{dpop, dpop_with_nonce, mtls};
use crate::send::Direct;
use crate::support::Encoding;

/// What gRPC health says of the service; none if nobody answers.
pub async fn health(port: u16) -> Option<ServingStatus> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    let mut client = HealthClient::new(endpoint.connect().await.ok()?);
    let service = "envoy.service.auth.v3.Authorization".to_owned();
    let answer = client.check(HealthCheckRequest { service }).await.ok()?;
    Some(answer.into_inner().status())
}

/// gRPC health follows readiness in a moment.
async fn serving(port: u16) {
    let begun = Instant::now();
    while health(port).await != Some(ServingStatus::Serving) {
        assert!(begun.elapsed() < Duration::from_secs(3), "still not serving");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_spent_proof_passes_again_after_a_crash() {
    let lab = Lab::ready("restart", &Plan { future_skew_seconds: 2, ..Plan::default() });
    let edge = lab.edge();
    serving(lab.ports.check).await;
    let spent = dpop().build();
    edge.send(&spent).await.allowed();
    // As far ahead of our clock as is allowed: it outlives a watermark that forgets the skew.
    let ahead = dpop().proof(|proof| proof.claims["iat"] = (proof.claims["iat"].as_i64().unwrap() + 2).into()).build();
    edge.send(&ahead).await.allowed();
    let with_nonce = dpop_with_nonce(clock::now()).build();
    edge.send(&with_nonce).await.allowed();
    let unspent = dpop().build();

    lab.keybound().kill();
    for request in [&spent, &unspent, &mtls().build()] {
        let answer = edge.send(request).await;
        assert_eq!(answer.response.status, 503, "{answer:?}");
        assert!(answer.reached.is_none(), "{answer:?}");
    }

    lab.start_again();
    until("keybound listens", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", lab.ports.check)).ok());
    let direct = Direct::tcp(lab.ports.check).await;
    let mut told_not_serving = false;
    loop {
        let serving = health(lab.ports.check).await;
        // A check is answered whatever health says, and a spent proof is refused all the time.
        for request in [&spent, &ahead, &unspent] {
            direct.check(request, Encoding::Raw).await.denied("proof_predates_memory", 401);
        }
        direct.check(&with_nonce, Encoding::Raw).await.denied("proof_nonce_required", 401);
        // A certificate has nothing to remember.
        direct.check(&mtls().build(), Encoding::Raw).await.allowed();
        if serving == Some(ServingStatus::Serving) {
            break;
        }
        assert_eq!(serving, Some(ServingStatus::NotServing));
        told_not_serving = true;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(told_not_serving, "it was ready before it could know");
    assert!(lab.is_ready());
    for request in [&spent, &ahead, &unspent] {
        edge.send(request).await.denied("proof_predates_memory", 401);
    }
    edge.send(&with_nonce).await.denied("proof_nonce_required", 401);
    // What is made now passes, once.
    let fresh = dpop().build();
    edge.send(&fresh).await.allowed();
    edge.send(&fresh).await.denied("proof_replayed", 401);
    edge.send(&dpop_with_nonce(clock::now()).build()).await.allowed();
}
