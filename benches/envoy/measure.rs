//! What is measured of each way: requests a second at saturation, processor time of a request, latency at rates that every way
//! can take.

use std::sync::Arc;
use std::time::Duration;

use crate::callers::Credential;
use crate::lab::cores::{Cores, Ticks, busy, others};
use crate::lab::process::spent;
use crate::load::{self, CONNECTIONS, IN_FLIGHT, Stock, lanes};
use crate::stand::{Stand, Way};

/// A way to the API, and what is sent on it.
pub struct Setup {
    pub name: &'static str,
    /// For the file of results.
    pub key: &'static str,
    pub way: Way,
    pub credential: Credential,
}

/// What is compared, in one run.
pub const SETUPS: [Setup; 6] = [
    setup("the API alone", "api", Way::Api, Credential::Certificate),
    setup("Envoy without a filter, mTLS", "envoy_mtls", Way::Envoy, Credential::Certificate),
    setup("Envoy, keybound: bound to the certificate", "keybound_mtls", Way::Keybound, Credential::Certificate),
    setup("Envoy, jwt_authn and RBAC: no binding", "jwt_authn_rbac", Way::Own, Credential::Certificate),
    setup("Envoy without a filter, DPoP's headers", "envoy_dpop", Way::Envoy, Credential::Proof),
    setup("Envoy, keybound: DPoP ES256", "keybound_dpop", Way::Keybound, Credential::Proof),
];

const fn setup(name: &'static str, key: &'static str, way: Way, credential: Credential) -> Setup {
    Setup { name, key, way, credential }
}

/// One closed loop.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub per_second: f64,
    /// Microseconds of processor time for each request.
    pub envoy: f64,
    pub keybound: f64,
    pub api: f64,
    pub load: f64,
    /// Of the core on which Envoy is, 0 to 1.
    pub busy: f64,
    /// Cores that were taken by what is no part of the run.
    pub others: f64,
}

impl Cost {
    /// Of everybody who serves.
    pub fn all(&self) -> f64 {
        self.envoy + self.keybound + self.api
    }
}

/// One open loop, microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    pub median: f64,
    pub p99: f64,
    pub count: usize,
}

struct Seen {
    envoy: Duration,
    keybound: Duration,
    api: Duration,
    load: Duration,
    core: Vec<Ticks>,
    machine: Vec<Ticks>,
}

impl Seen {
    fn all(&self) -> Duration {
        self.envoy + self.keybound + self.api + self.load
    }
}

fn see(stand: &Stand, way: Way, core: &Cores) -> Seen {
    Seen {
        envoy: stand.envoy(way).map(spent).unwrap_or_default(),
        keybound: spent(stand.keybound.id()),
        api: spent(stand.api.id()),
        load: spent(std::process::id()),
        core: core.ticks(),
        machine: Cores::machine().ticks(),
    }
}

/// Requests that came in so far, for the account at the end.
#[derive(Default)]
pub struct Sent {
    pub to_keybound: u64,
}

/// Finds the saturation of a way.
pub async fn saturate(
    stand: &Stand,
    setup: &Setup,
    core: &Cores,
    (warm, measured): (Duration, Duration),
    proofs: usize,
    sent: &mut Sent,
) -> Cost {
    let stock = Arc::new(Stock::of(Cores::machine().during(|| setup.credential.requests(proofs))));
    let road = stand.road(setup.way, setup.credential);
    let lanes = lanes(&road, CONNECTIONS, IN_FLIGHT).await;
    let done = load::closed(setup.name, lanes, stock, (warm, measured), || see(stand, setup.way, core)).await;
    if setup.way == Way::Keybound {
        sent.to_keybound += done.all;
    }
    let (before, after) = &done.seen;
    let each = |before: Duration, after: Duration| (after - before).as_secs_f64() * 1e6 / done.answered as f64;
    Cost {
        per_second: done.answered as f64 / done.took.as_secs_f64(),
        envoy: each(before.envoy, after.envoy),
        keybound: each(before.keybound, after.keybound),
        api: each(before.api, after.api),
        load: each(before.load, after.load),
        busy: busy(&before.core, &after.core)[0],
        others: others(
            &before.machine,
            &after.machine,
            (after.all() - before.all()).as_secs_f64(),
            done.took.as_secs_f64(),
        ),
    }
}

/// Measures latency at a rate.
pub async fn wait(
    stand: &Stand,
    setup: &Setup,
    per_second: f64,
    (warm, measured): (Duration, Duration),
    sent: &mut Sent,
) -> Latency {
    let schedule = load::schedule(per_second, warm + measured);
    // The connections take turns, but not exactly.
    let proofs = schedule.len() + schedule.len() / 4 + CONNECTIONS * 50;
    let stock = Arc::new(Stock::of(Cores::machine().during(|| setup.credential.requests(proofs))));
    let lanes = lanes(&stand.road(setup.way, setup.credential), CONNECTIONS, IN_FLIGHT).await;
    let latencies = load::open(setup.name, lanes, stock, &schedule, warm).await;
    if setup.way == Way::Keybound {
        sent.to_keybound += schedule.len() as u64;
    }
    Latency { median: percentile(&latencies, 0.5), p99: percentile(&latencies, 0.99), count: latencies.len() }
}

/// Of a sorted list, in microseconds.
fn percentile(sorted: &[Duration], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    let one = sorted.get(at.saturating_sub(1)).expect("enough answers");
    one.as_secs_f64() * 1e6
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
