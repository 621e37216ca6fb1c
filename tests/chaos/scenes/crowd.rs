//! Too much of everything: proofs, one client's proofs, requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;

use super::{CALM, Fault, RATE, Row, Scene, edge, plan};
use crate::figures::Figures;
use crate::lab::{Edge, Lab, Plan, until};
use crate::load::{Load, sleep};
use crate::mix::{Must, dpop_of_client, proving, steady, steady_and};
use crate::requests::dpop;
use crate::send::Direct;
use crate::send::direct::framed;
use crate::support::Encoding;
use crate::support::wire::encode;

/// The least that can be configured; an entry is forgotten 6 to 38 seconds after its proof was made.
fn small_memory(share_percent: u8) -> Plan {
    let spent = format!("{{ capacity: 1000, client_share_percent: {share_percent} }}");
    Plan { proofs: format!(", max_age_seconds: 5, spent: {spent}"), ..plan() }
}

fn denied(lab: &Lab, code: &str) -> f64 {
    lab.metric("keybound_decisions_total", &[("code", code)])
}

pub const FULL: Scene = Scene {
    faults: &[Fault {
        name: "memory-full",
        done: "the memory of spent proofs is full (capacity 1000)",
        meanwhile: "DPoP requests are denied with `fault_spent_store_full`, replays among them; no live entry is forgotten. mTLS \
                    goes on",
        ends: "when the entries' time is over: the age of a proof, its skew, and up to 32 s",
    }],
    play: full,
};

fn full() -> Vec<Row> {
    let lab = Lab::ready("full", &small_memory(100));
    let edge = edge(&lab, lab.ports.check);
    // What is remembered of the steady load must fit.
    let slow = 20;
    let load = Load::start(&edge, steady(), slow);
    sleep(CALM * 2);
    load.fault();
    load.mix(steady_and([proving("flood", 60, Must::Either, || dpop_of_client("visitor"))]));
    load.rate(20, 20);
    until("the memory is full", Duration::from_secs(40), || {
        (denied(&lab, "fault_spent_store_full") > 0.0).then_some(())
    });
    load.mix(steady());
    load.rate(slow, 1);
    sleep(3000);
    load.healed();
    load.recover(Duration::from_secs(60));
    let figures = load.end();
    figures.denied_with("fault_spent_store_full");
    figures.served("mtls", 90);
    vec![("memory-full", figures)]
}

pub const FLOOD: Scene = Scene {
    faults: &[Fault {
        name: "flood",
        done: "one client sends fresh proofs as fast as it can",
        meanwhile: "above its share of the memory (20 % here) it is denied with `proof_share_exceeded` (429); everybody else is \
                    served",
        ends: "when its own entries' time is over",
    }],
    play: flood,
};

fn flood() -> Vec<Row> {
    let lab = Lab::ready("flood", &small_memory(20));
    let edge = edge(&lab, lab.ports.check);
    let load = Load::start(&edge, steady(), 30);
    sleep(CALM * 2);
    load.fault();
    load.mix(steady_and([proving("flood", 100, Must::Either, || dpop_of_client("visitor"))]));
    load.rate(25, 5);
    until("its share is taken", Duration::from_secs(40), || {
        (denied(&lab, "proof_share_exceeded") > 50.0).then_some(())
    });
    sleep(1500);
    load.mix(steady());
    load.rate(30, 1);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    let flood = figures.codes_of("flood");
    assert!(flood.contains_key("proof_share_exceeded"), "{flood:?}");
    figures.well_in_fault();
    vec![("flood", figures)]
}

pub const OVERLOAD: Scene = Scene {
    faults: &[
        Fault {
            name: "in-flight",
            done: "slow callers take every place that keybound has for checks in flight (`limits.in_flight`: 8), again as soon as \
                   one is free",
            meanwhile: "what is above the bound is denied at once with `fault_overloaded` (503) and spends no proof; what finds a \
                        place is judged as ever",
            ends: "when the slow callers' deadline is over",
        },
        Fault {
            name: "overload",
            done: "100 requests at once, again and again, far more than the machine can judge",
            meanwhile: "what is above the bound is denied at once with `fault_overloaded` (503) and spends no proof; what finds a \
                        place is judged as ever; Envoy gives up what waits too long",
            ends: "when what waited has been answered or given up",
        },
    ],
    play: overload,
};

fn overload() -> Vec<Row> {
    let lab = Lab::ready("overload", &Plan { in_flight: 8, ..plan() });
    let edge = edge(&lab, lab.ports.check);
    vec![("in-flight", places_taken(&lab, &edge)), ("overload", too_many(&edge))]
}

fn places_taken(lab: &Lab, edge: &Edge) -> Figures {
    let load = Load::start(edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    let slow = SlowCallers::start(lab.ports.check, 16);
    sleep(2000);
    drop(slow);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("fault_overloaded");
    let [half, _, _] = figures.denials();
    assert!(half < Duration::from_millis(300), "shedding took {half:?}");
    figures
}

fn too_many(edge: &Edge) -> Figures {
    let load = Load::start(edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    load.rate(20, 100);
    sleep(2500);
    load.rate(RATE, 1);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("fault_overloaded");
    let (all, denied) = figures.good_in_fault();
    assert!(denied < all, "nothing was judged in time: {all}");
    // A copy may overtake its original, which is the replay then.
    let codes = figures.denied_in_fault();
    let expected = ["-", "fault_overloaded", "fault_deadline", "proof_replayed"];
    assert!(codes.keys().all(|code| expected.contains(&code.as_str())), "{codes:?}");
    figures
}

/// Callers that begin a check and never end it, and begin another when they are answered.
struct SlowCallers {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowCallers {
    fn start(port: u16, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let direct = Direct::tcp(port).await;
                join_all((0..count).map(|_| slow(&direct, &told))).await;
            });
        });
        Self { stop, thread: Some(thread) }
    }
}

async fn slow(direct: &Direct, stop: &AtomicBool) {
    let message = framed(0, &encode(&dpop().build(), Encoding::Raw));
    while !stop.load(Ordering::Acquire) {
        let mut call = direct.open(&[]).await;
        call.send(message[..200].to_vec());
        assert_ne!(call.answer().await.judged().code, 0, "half a message was allowed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Drop for SlowCallers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking(), "a slow caller broke");
    }
}
