//! Calls that no Envoy sends: every one is answered with gRPC OK and a denial, because a mesh may turn a gRPC error into an
//! allow.

use std::time::{Duration, Instant};

use crate::lab::{Lab, Plan, visit};
use crate::requests::dpop;
use crate::send::Direct;
use crate::send::direct::framed;
use crate::support::wire::encode;
use crate::support::{Encoding, fresh_id};

#[tokio::test]
async fn the_unchanged_call_is_allowed() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    for encoding in Encoding::BOTH {
        direct.check(&dpop().build(), encoding).await.allowed();
    }
}

#[tokio::test]
async fn broken_messages_are_denied() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let good = || encode(&dpop().build(), Encoding::Raw);
    let long_length = [0, 0, 0, 0xFF, 0xFF];
    for (what, body, slug) in [
        ("no bytes at all", Vec::new(), "request_malformed"),
        ("an empty message", framed(0, &[]), "request_malformed"),
        ("garbage", framed(0, &[0xFF; 1000]), "request_malformed"),
        ("a message cut short", framed(0, &good()[..200]), "request_malformed"),
        ("two messages", [framed(0, &good()), framed(0, &good())].concat(), "request_malformed"),
        (
            "a message and half of one",
            [framed(0, &good()), framed(0, &good())[..90].to_vec()].concat(),
            "request_malformed",
        ),
        ("a good message and garbage", [framed(0, &good()), vec![7; 90]].concat(), "request_malformed"),
        ("half a prefix", vec![0, 0, 0], "request_malformed"),
        ("half a message", framed(0, &good())[..300].to_vec(), "request_malformed"),
        ("a compressed flag", framed(1, &good()), "request_malformed"),
        ("an unknown flag", framed(7, &good()), "request_malformed"),
        ("a length without a message", long_length.to_vec(), "request_malformed"),
        ("a length of 4 GiB", vec![0, 0xFF, 0xFF, 0xFF, 0xFF], "request_limit_exceeded"),
        ("20 MiB", framed(0, &vec![0x0A; 20 << 20]), "request_limit_exceeded"),
    ] {
        let started = Instant::now();
        let judged = direct.call(&[], body).await.judged();
        assert_eq!((judged.slug.as_str(), judged.denied.as_ref().map(|denied| denied.0)), (slug, Some(400)), "{what}");
        assert_ne!(judged.code, 0, "{what}: Envoy would allow it");
        assert!(started.elapsed() < Duration::from_secs(4), "{what} took until the deadline");
    }
    // The connection has survived all of it.
    direct.check(&dpop().build(), Encoding::Raw).await.allowed();
}

#[tokio::test]
async fn messages_up_to_the_limit_are_read() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let good = encode(&dpop().build(), Encoding::Raw);
    // An unknown field of 15 MiB: number 15, length-delimited.
    let mut padded = good.clone();
    prost::encoding::encode_key(15, prost::encoding::WireType::LengthDelimited, &mut padded);
    prost::encoding::encode_varint(15 << 20, &mut padded);
    padded.resize(padded.len() + (15 << 20), b'x');
    direct.message(&padded).await.allowed();
}

#[tokio::test]
async fn encodings_that_are_not_spoken_are_denied() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let good = || encode(&dpop().build(), Encoding::Raw);
    for encoding in ["gzip", "snappy", "identity", "", "none, such"] {
        let compressed = direct.call(&[("grpc-encoding", encoding)], framed(1, &good())).await;
        compressed.denied("request_malformed", 400);
        // What is announced and not done changes nothing.
        direct.call(&[("grpc-encoding", encoding)], framed(0, &good())).await.judged().allowed();
    }
    let accepting = direct.call(&[("grpc-accept-encoding", "gzip")], framed(0, &good())).await;
    accepting.judged().allowed();
}

#[tokio::test]
async fn silence_in_the_middle_is_denied_at_the_deadline() {
    let plan = Plan { deadline_milliseconds: 1000, ..Plan::default() };
    let lab = Lab::ready("silence", &plan);
    let direct = Direct::tcp(lab.ports.check).await;
    let good = framed(0, &encode(&dpop().build(), Encoding::Raw));
    for sent in [0, 3, 5, 300, good.len()] {
        let started = Instant::now();
        let mut call = direct.open(&[]).await;
        call.send(good[..sent].to_vec());
        // The body is left open: Envoy would still be writing.
        call.answer().await.denied("fault_deadline", 503);
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(5), "{sent} bytes: {took:?}");
    }
    direct.check(&dpop().build(), Encoding::Raw).await.allowed();
}

#[tokio::test]
async fn whatever_the_caller_writes_around_the_message_is_no_grpc_error() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let good = || framed(0, &encode(&dpop().build(), Encoding::Raw));
    for headers in [
        ("content-type", "application/grpc+proto"),
        ("content-type", "application/json"),
        ("content-type", "text/html"),
        ("grpc-timeout", "99999999H"),
        ("grpc-timeout", "soon"),
        ("grpc-timeout", "1n"),
        ("traceparent", "00-not-a-trace"),
        ("user-agent", "nobody"),
    ] {
        direct.call(&[headers], good()).await.judged().allowed();
    }
}

#[tokio::test]
async fn headers_of_the_call_as_long_as_any_envoy_takes_are_no_grpc_error() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    // An Envoy that traces hands on what the client wrote there.
    for length in [15_000, 17_000, 60_000, 200_000, 8 << 20] {
        let state = format!("a={}", "x".repeat(length));
        let call = direct.call(&[("tracestate", &state)], framed(0, &encode(&dpop().build(), Encoding::Raw))).await;
        call.judged().allowed();
    }
    direct.check(&dpop().build(), Encoding::Raw).await.allowed();
}

#[tokio::test]
async fn a_thousand_broken_calls_leave_it_serving() {
    let lab = visit();
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let calls = (0..1000).map(|call| {
        let direct = direct.clone();
        async move {
            // Any bytes: a fresh id, as often as the number of the call says.
            let noise = fresh_id().repeat(call % 40);
            direct.message(noise.as_bytes()).await.denied("request_malformed", 400);
        }
    });
    futures_util::future::join_all(calls).await;
    direct.check(&dpop().build(), Encoding::Raw).await.allowed();
}
