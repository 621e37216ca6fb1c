//! The connection between Envoy and keybound is lost, late, cut off and spoilt.

use std::time::Duration;

use super::{CALM, Fault, RATE, Row, Scene, edge, plan};
use crate::figures::Figures;
use crate::lab::{Edge, Lab};
use crate::load::{Load, sleep};
use crate::mix::steady;
use crate::relay::{Mode, Relay};

const DENIED: &str = "Envoy denies with 503 (`failure_mode_allow: false`)";
const ENDS: &str = "Envoy connects again";

pub const BROKEN: Scene = Scene {
    faults: &[
        Fault {
            name: "wire-cut",
            done: "connections between Envoy and keybound are ended ten times a second",
            meanwhile: "what was being asked is denied: Envoy says 503 and does not ask again, because the proof may be spent. The \
                        next request goes over a new connection",
            ends: ENDS,
        },
        Fault { name: "wire-refused", done: "no connection is taken", meanwhile: DENIED, ends: ENDS },
        Fault {
            name: "wire-late",
            done: "keybound's answers come 1.5 s late, after Envoy's timeout",
            meanwhile: "Envoy denies with 503 when its timeout is over; an allow that comes later is worth nothing",
            ends: "with the delay",
        },
        Fault {
            name: "wire-truncated",
            done: "connections end in the middle of keybound's answers",
            meanwhile: "an answer that is not whole is no answer: 503",
            ends: ENDS,
        },
        Fault {
            name: "wire-noise",
            done: "keybound's answers are replaced by random bytes",
            meanwhile: "noise is no answer: 503",
            ends: ENDS,
        },
    ],
    play: broken,
};

fn broken() -> Vec<Row> {
    let lab = Lab::ready("wire", &plan());
    let relay = Relay::to(lab.ports.check);
    let edge = edge(&lab, relay.port);
    BROKEN.faults.iter().map(|fault| (fault.name, one(&relay, &edge, fault.name))).collect()
}

fn one(relay: &Relay, edge: &Edge, name: &str) -> Figures {
    let load = Load::start(edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    match name {
        "wire-cut" => {
            for _ in 0..20 {
                relay.cut();
                sleep(100);
            }
        }
        "wire-refused" => {
            relay.mode(Mode::Refuse);
            relay.cut();
            sleep(2000);
        }
        "wire-late" => {
            relay.mode(Mode::Delay(Duration::from_millis(1500)));
            sleep(3000);
        }
        "wire-truncated" => {
            relay.mode(Mode::Truncate);
            sleep(2000);
        }
        _ => {
            relay.mode(Mode::Noise);
            sleep(2000);
        }
    }
    relay.mode(Mode::Pass);
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.denied_with("-");
    let [half, _, _] = figures.denials();
    let late = name == "wire-late";
    assert_eq!(half >= Duration::from_millis(900), late, "{name}: denials took {half:?}");
    figures
}
