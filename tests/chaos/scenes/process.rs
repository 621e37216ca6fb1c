//! keybound itself is killed, frozen, or short of file descriptors.

use std::net::TcpStream;
use std::time::Duration;

use super::{CALM, Fault, RATE, Row, Scene, edge, plan, wait_for_line};
use crate::lab::process::Signal;
use crate::lab::{Lab, Plan, told};
use crate::load::{Load, sleep};
use crate::mix::steady;
use crate::relay::Relay;

pub const KILLED: Scene = Scene {
    faults: &[Fault {
        name: "killed",
        done: "keybound is killed (SIGKILL), started, killed again before it is ready, and started",
        meanwhile: "Envoy denies with 503. Once it is back, mTLS passes at once; proofs from before stay refused with \
                    `proof_predates_memory`, spent or not, because nobody can tell",
        ends: "new proofs pass when `proofs.future_skew_seconds` since the start are over",
    }],
    play: killed,
};

fn killed() -> Vec<Row> {
    let lab = Lab::ready("killed", &plan());
    let edge = edge(&lab, lab.ports.check);
    let load = Load::start(&edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    lab.keybound().kill();
    sleep(1000);
    lab.start_again();
    sleep(700);
    lab.keybound().kill();
    sleep(700);
    lab.start_again();
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("-");
    assert!(figures.denied_after("proof_predates_memory") > 10, "proofs from before were not sent, or passed");
    let (mtls, dpop) = (figures.first_pass("mtls"), figures.first_pass("dpop"));
    assert!(mtls < dpop, "mTLS has nothing to wait for: {mtls:?}, {dpop:?}");
    vec![("killed", figures)]
}

pub const FROZEN: Scene = Scene {
    faults: &[Fault {
        name: "frozen",
        done: "keybound is stopped (SIGSTOP) for three seconds, longer than Envoy waits, and goes on (SIGCONT)",
        meanwhile: "Envoy denies with 503 when its timeout is over",
        ends: "checks that waited are dropped or answered late, to nobody: their requests were denied. A proof among them may be spent; its \
               client makes a new one",
    }],
    play: frozen,
};

fn frozen() -> Vec<Row> {
    let lab = Lab::ready("frozen", &plan());
    let edge = edge(&lab, lab.ports.check);
    let load = Load::start(&edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    lab.keybound().signal(Signal::Stop);
    sleep(3000);
    lab.keybound().signal(Signal::Continue);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("-");
    let [half, _, _] = figures.denials();
    assert!(half >= Duration::from_millis(900) && half < Duration::from_secs(3), "Envoy waited {half:?}");
    vec![("frozen", figures)]
}

pub const DESCRIPTORS: Scene = Scene {
    faults: &[Fault {
        name: "descriptors",
        done: "idle connections take every file descriptor that keybound may have (64); then Envoy loses its connections too",
        meanwhile: "what is connected goes on being served. Who connects anew waits in the listener's queue, so that Envoy denies \
                    with 503, and keybound's log says `connections cannot be accepted`",
        ends: "as soon as the idle connections are gone",
    }],
    play: descriptors,
};

/// More than keybound may have.
const IDLE: usize = 100;

fn descriptors() -> Vec<Row> {
    let lab = Lab::ready("descriptors", &Plan { descriptors: Some(64), ..plan() });
    let relay = Relay::to(lab.ports.check);
    let edge = edge(&lab, relay.port);
    let load = Load::start(&edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    let at = told::length(lab.log());
    let connect = |_| TcpStream::connect(("127.0.0.1", lab.ports.check)).expect("a place in the queue");
    let idle: Vec<_> = (0..IDLE).map(connect).collect();
    wait_for_line(&lab, at, "connections cannot be accepted");
    // Nobody who is connected notices.
    let before = load.good_so_far();
    sleep(1500);
    let after = load.good_so_far();
    let (passed, denied) = (after.0 - before.0, after.1 - before.1);
    assert!(passed > 20 && denied * 20 <= passed, "{passed} good requests passed, {denied} were denied");
    relay.cut();
    sleep(3000);
    drop(idle);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("-");
    vec![("descriptors", figures)]
}
