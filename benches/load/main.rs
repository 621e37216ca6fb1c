//! `make bench`: what a check costs, compared in one run with a gRPC server that decides nothing and with the bare signature.
//!
//! Words choose what is measured: groups (`floor bound unseen dpop denials policies`), rows (`bound.1000`), and the bad cases (`cold
//! rotation buster goodput reload workers memory replay revoked`). Without any, everything is. docs/benchmarks.md says how to read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    clippy::default_trait_access,
    missing_docs,
    reason = "a benchmark may stop at the first surprise"
)]

mod answer;
mod bench;
mod cases;
mod chart;
mod figures;
mod floor;
mod load;
mod process;
mod replay;
mod report;
mod revoked;
mod told;
mod trouble;
mod verify;
#[path = "../world/mod.rs"]
mod world;

use std::io::Write as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use bench::{Bench, jemalloc_floor};
use cases::{Case, cases};
use load::{Shape, Supply};
use process::Server;
use report::Floor;
use serde_json::json;
use told::Told;
use world::Algorithm;

/// The whole run, at most: with default settings it takes less than eight minutes.
const AT_MOST: Duration = Duration::from_secs(15 * 60);

type Trouble = fn(&Bench, &mut Told) -> Result<(), String>;
const TROUBLES: [(&str, Trouble); 9] = [
    ("cold", trouble::cold),
    ("rotation", trouble::rotation),
    ("buster", trouble::buster),
    ("goodput", trouble::goodput),
    ("reload", trouble::reload),
    ("workers", trouble::workers),
    ("memory", trouble::memory),
    ("replay", replay::replay),
    ("revoked", revoked::revoked),
];

fn main() -> Result<(), String> {
    if std::env::var_os(process::ROLE).is_some() {
        floor::serve();
        return Ok(());
    }
    process::end_after(AT_MOST);
    // Cargo says `--bench`; what else begins with a dash is not ours either.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |key: &str| words.is_empty() || words.iter().any(|word| is_of(key, word));
    let shape = Shape { connections: number("BENCH_CONNECTIONS", 4.0)?, in_flight: number("BENCH_IN_FLIGHT", 32.0)? };
    let long = Duration::from_secs_f64(setting("BENCH_SECONDS", 1.0)?);
    let bench = Bench::new(shape, long, number("BENCH_REPETITIONS", 3.0)?);
    let peer = std::env::var("PEER").ok().map(|at| address(&at));
    let mut told = Told::default();
    setup(&bench, &mut told);

    bench.say("signing tokens");
    let cases: Vec<_> = cases(&chosen, peer.transpose()?);
    let cases: Vec<_> =
        cases.into_iter().filter(|case| case.key != "floor.jemalloc" || jemalloc_floor().is_some()).collect();
    words.iter().try_for_each(|word| known(word, &cases))?;
    let signatures = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256]
        .map(|algorithm| (algorithm, verify::cost(algorithm, &bench.server)));
    let mut seen = None;
    let mut primed = |case: &Case, server: &Server, supply: &Supply| prime(&bench, (case, server, supply), &mut seen);
    let rows = bench.rows(&cases, &mut primed)?;
    if let Some((tokens, before, after)) = seen {
        trouble::cached_tokens(&mut told, tokens, before, after);
    }
    let floor = Floor { e: rows[0].cpu().middle, signatures: signatures.to_vec() };
    let mut failures = Vec::new();
    for (key, trouble) in TROUBLES.into_iter().filter(|(key, _)| chosen(key)) {
        bench.say(key);
        // What was measured so far is told, whatever fails.
        failures.extend(trouble(&bench, &mut told).err().map(|wrong| format!("{key}: {wrong}")));
    }
    report::judge(&cases, &rows, &floor, &mut told);
    publish(&cases, &rows, &floor, &told)?;
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// Whether a word chooses a key: it is the key, or the group that the key is of.
fn is_of(key: &str, word: &str) -> bool {
    key == word || key.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a word chooses anything.
fn known(word: &str, cases: &[Case]) -> Result<(), String> {
    let mut keys = cases.iter().map(|case| case.key).chain(TROUBLES.map(|(key, _)| key));
    if keys.any(|key| is_of(key, word)) {
        return Ok(());
    }
    let remedy = if word == "peer" { "name one with PEER=HOST:PORT" } else { "docs/benchmarks.md lists all of them" };
    Err(format!("BENCH: there is no group, row or bad case `{word}`: {remedy}"))
}

fn address(at: &str) -> Result<SocketAddr, String> {
    let found = at.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| format!("PEER={at} is not HOST:PORT"))
}

fn setting(name: &str, default: f64) -> Result<f64, String> {
    let Ok(text) = std::env::var(name) else { return Ok(default) };
    let value = text.parse().ok().filter(|value| (0.1..=1_000.0).contains(value));
    value.ok_or_else(|| format!("{name}={text}: write a number from 0.1 to 1000"))
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn number(name: &str, default: f64) -> Result<usize, String> {
    Ok(setting(name, default)?.max(1.0) as usize)
}

fn setup(bench: &Bench, told: &mut Told) {
    let cores = bench.all.count();
    let place = if cores == 1 {
        "one core for server and load: rates and latencies are of both together".to_owned()
    } else {
        format!("server on one of {cores} cores, load on another")
    };
    let Shape { connections, in_flight } = bench.shape;
    let (seconds, repetitions) = (bench.long.as_secs_f64(), bench.repetitions);
    told.lines.push(format!(
        "{place}; {connections} connections × {in_flight} in flight; {seconds} s each, {repetitions} repetitions"
    ));
    let value = json!({"cores": cores, "connections": connections, "in_flight": in_flight, "seconds": seconds, "repetitions": repetitions});
    told.note("setup", value);
}

/// Every token is seen once before it counts as seen; what the server's memory grows by is what it keeps of them.
fn prime(bench: &Bench, (case, server, supply): (&Case, &Server, &Supply), seen: &mut Option<(usize, u64, u64)>) {
    if !case.key.starts_with("bound.") || supply.len() < 2 {
        return;
    }
    let before = server.resident();
    bench.exhaust(server, supply).unwrap_or_else(|wrong| panic!("{}: {wrong}", case.title));
    if supply.len() >= cases::CROWD {
        *seen = Some((supply.len(), before, server.resident()));
    }
}

fn publish(cases: &[Case], rows: &[figures::Row], floor: &Floor, told: &Told) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&place).map_err(|error| failed(&error))?;
    let json = serde_json::to_string_pretty(&told.json()).map_err(|error| failed(&error))?;
    std::fs::write(place.join("summary.json"), json).map_err(|error| failed(&error))?;
    chart::draw(&place.join("summary.svg"), cases, rows, floor.e).map_err(|error| failed(&error))?;
    let signatures: Vec<_> =
        floor.signatures.iter().map(|(algorithm, cost)| format!("{} {cost:.1}", algorithm.name())).collect();
    let text = format!(
        "\n{}\n\nE = {:.1} µs, the bare server; V in µs: {}\n\n{}\n{}\n\n{}\n\n{}\nwritten: target/bench/summary.json, summary.svg\n",
        told.lines.first().map_or("", String::as_str),
        floor.e,
        signatures.join(", "),
        report::table(cases, rows, floor),
        report::remarks(cases, rows).join("\n"),
        told.lines.iter().skip(1).cloned().collect::<Vec<_>>().join("\n"),
        report::targets(&told.targets),
    );
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| failed(&error))
}
