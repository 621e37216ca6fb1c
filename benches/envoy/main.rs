//! What keybound costs behind a real Envoy: the API alone, with Envoy in front, with keybound asked, and with what Envoy has by
//! itself; all on loopback, in one run, from the same load.
//!
//! `make bench-envoy` runs it; `BENCH_SECONDS` says how long each part is measured. Whatever comes back with another status than
//! the expected one fails the run, and so does a request that keybound was not asked about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    clippy::unchecked_time_subtraction,
    missing_docs,
    reason = "a benchmark may stop at the first surprise, and its servers live as long as the process"
)]

mod app;
mod callers;
mod judged;
mod lab;
mod load;
mod measure;
mod report;
mod spread;
mod stand;
#[path = "../world/mod.rs"]
mod world;

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::cores::{Cores, Places};
use measure::{Cost, Latency, SETUPS, Sent, median, saturate, wait};
use report::Findings;
use stand::{Stand, Way};

/// The whole run takes no longer.
const AT_MOST: Duration = Duration::from_secs(350);
/// Each way is measured so often, in turns.
const ROUNDS: usize = 3;
/// Proofs for the first look at how many it takes.
const FIRST_PROOFS: usize = 20_000;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [word, port] = arguments.as_slice()
        && word == app::WORD
    {
        app::serve(port.parse().expect("a port"));
    }
    let begun = Instant::now();
    let machine = Cores::machine();
    end_in_time();
    let places = Places::among(machine);
    places.load.stay();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let findings = runtime.block_on(run(&places, begun));
    tell(&findings.text());
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&results).expect("a directory");
    let file = results.join("envoy.json");
    std::fs::write(&file, format!("{:#}\n", findings.json())).expect("a written file");
    tell(&format!("written to {}", file.display()));
}

/// How long each part warms up, and how long it is measured.
fn times() -> (Duration, Duration) {
    let seconds = std::env::var("BENCH_SECONDS").ok().map(|seconds| seconds.parse().expect("BENCH_SECONDS: a number"));
    (Duration::from_millis(600), Duration::from_secs_f64(seconds.unwrap_or(3.0)))
}

async fn run(places: &Places, begun: Instant) -> Findings {
    let machine = Cores::machine();
    let directory = lab::place::directory("bench-envoy");
    let mut stand = Stand::raised(&directory, places, &[Way::Envoy, Way::Keybound, Way::Own], 1);
    let judged = judged::rows(&stand).await;
    let (allowed, mut sent) = (stand.allowed(), Sent::default());
    let costs = saturations(&stand, places, &mut sent).await;
    let slowest = costs.iter().map(|rounds| rate(rounds)).fold(f64::INFINITY, f64::min);
    let rates = [slowest * 0.25, slowest * 0.5];
    let latencies = latencies(&stand, rates, &mut sent).await;
    stand.must_run();
    assert_eq!(
        stand.allowed() - allowed,
        sent.to_keybound,
        "requests that keybound allowed, and those that came through"
    );
    let cache =
        (stand.counter(Way::Own, "jwt_authn.jwt_cache_hit"), stand.counter(Way::Own, "jwt_authn.jwt_cache_miss"));
    drop(stand);
    let (warm, measured) = times();
    let spreads = spread::measure(&directory.join("spread"), (warm, measured * 2)).await;
    let (cores, places) = (machine.len(), places.told());
    Findings { places, cores, judged, costs, rates, latencies, spreads, cache, seconds: begun.elapsed().as_secs_f64() }
}

fn rate(rounds: &[Cost]) -> f64 {
    median(rounds.iter().map(|cost| cost.per_second).collect())
}

async fn saturations(stand: &Stand, places: &Places, sent: &mut Sent) -> Vec<Vec<Cost>> {
    let (warm, measured) = times();
    let look = (warm / 2, warm / 2);
    let mut costs = vec![Vec::new(); SETUPS.len()];
    for (setup, costs) in SETUPS.iter().zip(&mut costs) {
        let first: Cost = saturate(stand, setup, &places.envoy, look, FIRST_PROOFS, sent).await;
        costs.push(first);
    }
    for round in 1..=ROUNDS {
        for (setup, costs) in SETUPS.iter().zip(&mut costs) {
            let seconds = (warm + measured).as_secs_f64();
            // Half as many again as it took the first time.
            let proofs = (costs[0].per_second * seconds * 1.5) as usize + FIRST_PROOFS / 4;
            let cost = saturate(stand, setup, &places.envoy, (warm, measured), proofs, sent).await;
            tell(&format!("round {round} of {ROUNDS}: {}: {:.0}/s", setup.name, cost.per_second));
            costs.push(cost);
        }
    }
    // The first look is none of the rounds.
    costs.into_iter().map(|costs| costs.into_iter().skip(1).collect()).collect()
}

async fn latencies(stand: &Stand, rates: [f64; 2], sent: &mut Sent) -> Vec<[Vec<Latency>; 2]> {
    let mut latencies = vec![[Vec::new(), Vec::new()]; SETUPS.len()];
    for round in 1..=ROUNDS {
        for (setup, latencies) in SETUPS.iter().zip(&mut latencies) {
            for (rate, latencies) in rates.iter().zip(latencies) {
                latencies.push(wait(stand, setup, *rate, times(), sent).await);
            }
        }
        tell(&format!("round {round} of {ROUNDS}: latencies at {:.0}/s and {:.0}/s", rates[0], rates[1]));
    }
    latencies
}

/// What runs for this program's sake ends with it, whichever way it ends.
fn end_in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(AT_MOST);
        tell(&format!("bench-envoy: still not done after {AT_MOST:?}"));
        std::process::exit(1);
    });
}

fn tell(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output");
}
