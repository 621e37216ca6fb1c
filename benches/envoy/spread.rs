//! Four workers of Envoy, each with one connection to keybound, on all cores: whether keybound's workers share the work.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::callers::Credential;
use crate::lab::cores::{Cores, Places, Ticks, busy, others};
use crate::lab::process::{Thread, spent, threads};
use crate::load::{self, CONNECTIONS, IN_FLIGHT, Stock, lanes};
use crate::stand::{Stand, Way};

/// Workers of Envoy.
pub const WORKERS: usize = 4;
/// So many connections of clients that none of Envoy's workers is without.
const CLIENTS: usize = 4 * CONNECTIONS;

/// What was seen of one credential.
pub struct Spread {
    pub credential: Credential,
    pub per_second: f64,
    /// Of the time, for each of keybound's workers.
    pub workers: Vec<f64>,
    /// The same for each of Envoy's.
    pub envoy: Vec<f64>,
    /// For each core.
    pub cores: Vec<f64>,
    /// Cores that were taken by what is no part of the run.
    pub others: f64,
}

/// Measures both credentials.
pub async fn measure(directory: &Path, times: (Duration, Duration)) -> Vec<Spread> {
    let places = Places::anywhere(Cores::machine());
    places.load.stay();
    std::fs::create_dir_all(directory).expect("a directory");
    let mut stand = Stand::raised(directory, &places, &[Way::Keybound], WORKERS);
    let mut spreads = Vec::new();
    for credential in [Credential::Certificate, Credential::Proof] {
        spreads.push(of(&stand, credential, times).await);
        stand.must_run();
    }
    spreads
}

struct Seen {
    keybound: Vec<Thread>,
    envoy: Vec<Thread>,
    all: Duration,
    ticks: Vec<Ticks>,
}

async fn of(stand: &Stand, credential: Credential, times: (Duration, Duration)) -> Spread {
    let envoy = stand.envoy(Way::Keybound).expect("an Envoy");
    let see = || Seen {
        keybound: threads(stand.keybound.id()),
        envoy: threads(envoy),
        all: [envoy, stand.keybound.id(), stand.api.id(), std::process::id()].map(spent).iter().sum(),
        ticks: Cores::machine().ticks(),
    };
    // Twice what two cores can do.
    let seconds = (times.0 + times.1).as_secs_f64();
    let proofs = (seconds * 10_000.0 * Cores::machine().len() as f64) as usize;
    let proofs = if credential == Credential::Proof { proofs } else { 0 };
    let requests = (0..CLIENTS).map(|_| credential.request(&credential.token(), proofs / CLIENTS));
    let stock = Arc::new(Stock::of(requests.collect()));
    let lanes = lanes(&stand.road(Way::Keybound, credential), CLIENTS, IN_FLIGHT / 4).await;
    let done = load::closed("four workers of Envoy", lanes, stock, times, see).await;
    let (before, after) = &done.seen;
    let shares = |before: &[Thread], after: &[Thread], name: &str| {
        let of = |thread: &Thread| {
            let earlier = before.iter().find(|other| other.id == thread.id).map(|other| other.spent);
            (thread.spent - earlier.unwrap_or_default()).as_secs_f64() / done.took.as_secs_f64()
        };
        after.iter().filter(|thread| thread.name.starts_with(name)).map(of).collect::<Vec<_>>()
    };
    Spread {
        credential,
        per_second: done.answered as f64 / done.took.as_secs_f64(),
        workers: shares(&before.keybound, &after.keybound, "keybound-worker"),
        envoy: shares(&before.envoy, &after.envoy, "wrk:worker"),
        cores: busy(&before.ticks, &after.ticks),
        others: others(&before.ticks, &after.ticks, (after.all - before.all).as_secs_f64(), done.took.as_secs_f64()),
    }
}
