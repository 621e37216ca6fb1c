//! The faults. Each scene raises a keybound and an Envoy, lets the load run, brings its faults about and takes them away; what it
//! says of them is `docs/faults.md`.

mod bundle;
mod clocks;
mod crowd;
mod keys;
mod process;
mod wire;

use crate::figures::Figures;
use crate::lab::{Edge, Lab, Plan, Road, Variant, told, until};

/// One row of the page.
pub struct Fault {
    pub name: &'static str,
    pub done: &'static str,
    pub meanwhile: &'static str,
    pub ends: &'static str,
}

/// What was measured of a fault.
pub type Row = (&'static str, Figures);

/// Faults that share a keybound.
pub struct Scene {
    pub faults: &'static [Fault],
    pub play: fn() -> Vec<Row>,
}

pub const SCENES: &[Scene] = &[
    process::KILLED,
    process::FROZEN,
    process::DESCRIPTORS,
    keys::FEED,
    keys::CACHE,
    bundle::REPLACED,
    clocks::ASKEW,
    crowd::FULL,
    crowd::FLOOD,
    crowd::OVERLOAD,
    wire::BROKEN,
];

/// Requests a second, where nothing else is said.
const RATE: u32 = 150;
/// Milliseconds without a fault, first.
const CALM: u64 = 1500;

/// Deadlines as they relate to each other in what is shipped, longer.
fn plan() -> Plan {
    Plan { deadline_milliseconds: 600, ..Plan::default() }
}

fn edge(lab: &Lab, port: u16) -> Edge {
    lab.edge_as(&Variant { check_timeout: "1s", ..Variant::new("envoy", Road::Tcp(port)) })
}

/// Waits until keybound's log, from a place on, has this text.
fn wait_for_line(lab: &Lab, at: u64, text: &str) {
    until(text, std::time::Duration::from_secs(15), || {
        let log = told::rest_of(lab.log(), at);
        String::from_utf8_lossy(&log).contains(text).then_some(())
    });
}

/// Waits until one more load of this kind came out like this.
fn wait_for_load(lab: &Lab, what: &str, outcome: &str, before: f64) {
    until(&format!("{what} {outcome}"), std::time::Duration::from_secs(15), || {
        (loads(lab, what, outcome) > before).then_some(())
    });
}

fn loads(lab: &Lab, what: &str, outcome: &str) -> f64 {
    lab.metric("keybound_loads_total", &[("what", what), ("outcome", outcome)])
}
