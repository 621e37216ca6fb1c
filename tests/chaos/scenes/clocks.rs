//! Clocks that disagree: the issuer's, and clients'.

use std::time::Duration;

use super::{CALM, Fault, RATE, Row, Scene, edge, plan};
use crate::lab::{Lab, Plan};
use crate::load::{Load, sleep};
use crate::mix::{Must, issued, proved, proving, steady, steady_and};

pub const ASKEW: Scene = Scene {
    faults: &[Fault {
        name: "clocks",
        done: "the issuer's clock is ahead or behind, by less than the skew and by more; so are clients' clocks",
        meanwhile: "within the skews requests pass, each proof once. Beyond: `token_not_yet_valid`, `token_expired`, \
                    `proof_from_future`, `proof_stale`; everybody else is served",
        ends: "with the next token or proof of a clock that is right",
    }],
    play: askew,
};

fn askew() -> Vec<Row> {
    let proofs = ", max_age_seconds: 20".to_owned();
    let lab = Lab::ready("clocks", &Plan { proofs, future_skew_seconds: 5, ..plan() });
    let edge = edge(&lab, lab.ports.check);
    // A proof of three seconds ago was made after the watermark.
    sleep(3000);
    let load = Load::start(&edge, steady(), RATE);
    sleep(CALM);
    load.fault();
    load.mix(steady_and([
        proving("token-ahead-5", 2, Must::Pass, || issued(5)),
        proving("token-ahead-120", 2, Must::Fail, || issued(120)),
        proving("token-behind-250", 2, Must::Pass, || issued(-250)),
        proving("token-behind-600", 2, Must::Fail, || issued(-600)),
        proving("proof-ahead-3", 2, Must::Pass, || proved(3)),
        proving("proof-ahead-60", 2, Must::Fail, || proved(60)),
        proving("proof-behind-3", 2, Must::Pass, || proved(-3)),
        proving("proof-behind-40", 2, Must::Fail, || proved(-40)),
    ]));
    sleep(4000);
    load.mix(steady());
    load.healed();
    load.recover(Duration::from_secs(20));
    let figures = load.end();
    figures.all_of("token-ahead-120", "token_not_yet_valid");
    figures.all_of("token-behind-600", "token_expired");
    figures.all_of("proof-ahead-60", "proof_from_future");
    figures.all_of("proof-behind-40", "proof_stale");
    figures.well_in_fault();
    for good in ["token-ahead-5", "token-behind-250", "proof-ahead-3", "proof-behind-3"] {
        figures.served(good, 90);
    }
    vec![("clocks", figures)]
}
