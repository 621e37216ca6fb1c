//! SIGTERM: not asked any more, still answering, then gone with what is in flight answered. A second one: at once.

use std::time::{Duration, Instant};

use tonic_health::pb::health_check_response::ServingStatus;

use crate::lab::process::Signal;
use crate::lab::{Lab, Plan, until};
use crate::requests::dpop;
use crate::restart::health;
use crate::send::Direct;
use crate::send::direct::framed;
use crate::support::Encoding;
use crate::support::wire::encode;

#[tokio::test]
async fn it_drains_and_ends_well() {
    let lab = Lab::ready("drain", &Plan { drain_seconds: 3, ..Plan::default() });
    let edge = lab.edge();
    let port = lab.ports.check;
    let direct = Direct::tcp(port).await;
    edge.send(&dpop().build()).await.allowed();

    let told = Instant::now();
    lab.keybound().signal(Signal::Terminate);
    // Within the drain: not ready, and every check is answered still.
    while health(port).await == Some(ServingStatus::Serving) {
        assert!(told.elapsed() < Duration::from_secs(1), "it went on saying that it serves");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(health(port).await, Some(ServingStatus::NotServing));
    assert!(!lab.is_ready());
    while told.elapsed() < Duration::from_secs(2) {
        direct.check(&dpop().build(), Encoding::Raw).await.allowed();
        edge.send(&dpop().build()).await.allowed();
    }
    // In flight when the drain is over: half a message is there, the rest comes later.
    let message = framed(0, &encode(&dpop().build(), Encoding::Raw));
    let mut call = direct.open(&[]).await;
    call.send(message[..200].to_vec());
    tokio::time::sleep(Duration::from_millis(3500).saturating_sub(told.elapsed())).await;
    assert!(lab.keybound().ended().is_none(), "it did not wait for what is in flight");
    call.send(message[200..].to_vec());
    call.finish().await.judged().allowed();

    let status = lab.keybound().wait(Duration::from_secs(5));
    assert!(status.success(), "{status}");
    assert!(told.elapsed() >= Duration::from_secs(3), "it ended before the drain was over");
    assert_eq!(edge.send(&dpop().build()).await.response.status, 503);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let lab = Lab::ready("twice", &Plan { drain_seconds: 120, ..Plan::default() });
    lab.keybound().signal(Signal::Terminate);
    until("not ready", Duration::from_secs(2), || (!lab.is_ready()).then_some(()));
    assert!(lab.keybound().ended().is_none());
    let told = Instant::now();
    lab.keybound().signal(Signal::Terminate);
    let status = lab.keybound().wait(Duration::from_secs(5));
    assert!(status.success(), "{status}");
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_hold_the_end_up() {
    let lab = Lab::ready("silent", &Plan { drain_seconds: 0, ..Plan::default() });
    let _silent = std::net::TcpStream::connect(("127.0.0.1", lab.ports.check)).unwrap();
    let idle = Direct::tcp(lab.ports.check).await;
    idle.check(&dpop().build(), Encoding::Raw).await.allowed();
    lab.keybound().signal(Signal::Terminate);
    let status = lab.keybound().wait(Duration::from_secs(8));
    assert!(status.success(), "{status}");
}
