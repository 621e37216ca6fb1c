//! `docs/faults.md`, written from the suite, and the table of what was measured.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::figures::Figures;
use crate::scenes::SCENES;

const HEAD: &str = "\
# Faults

What breaks around keybound, what becomes of requests meanwhile, and how it ends. Each row is a test: `make chaos` plays all of
them against the shipped Envoy configuration, under a load of good requests (DPoP with fresh proofs, mTLS) and of thieves' (bearer
copies, replays, other people's keys and certificates, forged and expired tokens, garbage), and prints what it measured: good
requests denied, how long denials took, how long it took to recover. This page is written from that suite:
`UPDATE_DOCS=1 cargo test --test chaos` renews it, and a test fails when it is stale.

In every row, before, during and after the fault: **no request that must be denied reaches the API, and no proof passes twice.** In
every row good requests pass again without help once the fault is over. Timeouts are a second (Envoy) and 600 ms (keybound) there,
longer than the shipped ones, because the suite runs an unoptimised keybound.

| fault | what is done | meanwhile | how it ends |
|---|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for fault in SCENES.iter().flat_map(|scene| scene.faults) {
        writeln!(page, "| `{}` | {} | {} | {} |", fault.name, fault.done, fault.meanwhile, fault.ends).expect("text");
    }
    page
}

/// Fails if the page and the suite disagree.
pub fn must_be_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("a written page");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == page(), "docs/faults.md is stale: run UPDATE_DOCS=1 cargo test --test chaos");
}

/// What was measured.
pub fn table(rows: &[(&'static str, Figures)]) -> String {
    let mut table = "\n| fault | requests | spent proofs sent again | wrong allows | good ones denied during it, by code | denials p50 / p99 / max | recovered after |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (name, figures) in rows {
        let (all, denied) = figures.good_in_fault();
        let codes: Vec<_> = figures.denied_in_fault().iter().map(|(code, count)| format!("{code} {count}")).collect();
        let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
        let denials = figures.denials().map(milliseconds).join(" / ");
        let (sent, replays, recovery) = (figures.sent(), figures.replays, milliseconds(figures.recovery));
        // Any other number has ended the scene.
        writeln!(
            table,
            "| {name} | {sent} | {replays} | 0 | {denied} of {all}{codes} | {denials} ms | {recovery} ms |"
        )
        .expect("text");
    }
    table
}

fn milliseconds(time: Duration) -> String {
    time.as_millis().to_string()
}
