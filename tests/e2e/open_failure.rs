//! An Envoy that lets pass what it could not ask about: with `failure_mode_allow` a gRPC error would be an allow, so nothing that a
//! client sends may cause one.

use std::sync::OnceLock;

use crate::lab::{Edge, Lab, Plan, Road, Variant};
use crate::requests::{dpop, mtls};
use crate::support::Good;

struct Open {
    lab: Lab,
    edges: [Edge; 2],
}

fn open() -> &'static Open {
    static OPEN: OnceLock<Open> = OnceLock::new();
    OPEN.get_or_init(|| {
        let lab = Lab::ready("open", &Plan::default());
        let variant = |name, raw_headers| Variant {
            raw_headers,
            open: true,
            body_bytes: Some(20 << 20),
            large_headers: true,
            ..Variant::new(name, Road::Tcp(lab.ports.check))
        };
        let edges = [lab.edge_as(&variant("raw", true)), lab.edge_as(&variant("joined", false))];
        Open { lab, edges }
    })
}

fn forging(good: Good) -> Good {
    good.header("x-keybound-client", "root")
}

/// `count` headers of `bytes` each.
fn with_headers(good: Good, count: usize, bytes: usize) -> Good {
    let value = "v".repeat(bytes);
    (0..count).fold(good, |good, index| good.and_header(&format!("x-filler-{index}"), &value))
}

#[tokio::test]
async fn bodies_and_headers_within_the_limits_pass() {
    for edge in &open().edges {
        let request = dpop().method("POST").path("/items").build();
        edge.send_body(&request, &vec![b'b'; 12 << 20]).await.allowed();
        // Below 256 KiB, and below the 100 fields that this API reads.
        edge.send(&with_headers(dpop(), 60, 4000).build()).await.allowed();
        edge.send(&mtls().build()).await.allowed();
    }
    open().lab.must_have_told_no_secret();
}

#[tokio::test]
async fn a_body_over_the_message_limit_is_denied() {
    for edge in &open().edges {
        let request = forging(dpop().method("POST").path("/items")).build();
        let answer = edge.send_body(&request, &vec![b'b'; 18 << 20]).await;
        answer.denied("request_limit_exceeded", 400);
    }
}

#[tokio::test]
async fn too_many_headers_are_denied() {
    for edge in &open().edges {
        edge.send(&forging(with_headers(dpop(), 300, 1)).build()).await.denied("request_limit_exceeded", 400);
    }
}

#[tokio::test]
async fn too_large_headers_are_denied() {
    for edge in &open().edges {
        edge.send(&forging(with_headers(dpop(), 40, 8000)).build()).await.denied("request_limit_exceeded", 400);
        // 2 MiB.
        edge.send(&forging(with_headers(dpop(), 40, 50_000)).build()).await.denied("request_limit_exceeded", 400);
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_are_no_error() {
    for edge in &open().edges {
        edge.send(&forging(dpop()).header("x-bytes", b"\xFF\xFE\x80").build()).await.allowed();
        let odd_token = dpop().edit_header("authorization", |value| [&value[..], b"\xFF"].concat());
        edge.send(&forging(odd_token).build()).await.denied("credential_malformed", 400);
        let odd_proof = dpop().edit_header("dpop", |value| [&value[..], b"\xFF"].concat());
        edge.send(&forging(odd_proof).build()).await.denied("proof_malformed", 401);
    }
}

#[tokio::test]
async fn two_credentials_are_denied() {
    for edge in &open().edges {
        let request = dpop().build();
        let proof = request.headers.iter().find(|header| header.0 == "dpop").expect("a proof").1.clone();
        let twice = dpop().and_header("dpop", proof);
        edge.send(&forging(twice).build()).await.denied("proof_duplicated", 401);
        let both = dpop().and_header("authorization", "Bearer another");
        edge.send(&forging(both).build()).await.denied("credential_repeated", 400);
    }
}
