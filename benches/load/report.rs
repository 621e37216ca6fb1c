//! The table, the ratios and the targets.

use std::fmt::Write as _;

use serde_json::json;

use crate::cases::Case;
use crate::figures::{Median, Row};
use crate::told::{Target, Told};
use crate::world::Algorithm;

/// What signatures cost, in the order of the columns.
pub type Signatures = Vec<(Algorithm, f64)>;

/// What everything is compared with.
pub struct Floor {
    /// CPU of one check by the bare server, µs.
    pub e: f64,
    pub signatures: Signatures,
}

impl Floor {
    fn with(&self, algorithm: Option<Algorithm>) -> f64 {
        let cost = |wanted| self.signatures.iter().find(|(known, _)| *known == wanted).map_or(0.0, |(_, cost)| *cost);
        self.e + algorithm.map_or(0.0, cost)
    }
}

/// The rows in words.
pub fn table(cases: &[Case], rows: &[Row], floor: &Floor) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 12]| {
        let [title, cpu, spread, e, ev, rate, server, load, p50, p99, half50, half99] = cells;
        writeln!(
            text,
            "{title:32} {cpu:>8} {spread:>5} {e:>6} {ev:>7} {rate:>8} {server:>6} {load:>5} {p50:>7} {p99:>7} {half50:>7} {half99:>7}",
        )
        .expect("text");
    };
    line(["", "CPU µs", "±%", "×E", "×(E+V)", "checks/s", "server", "load", "25%:p50", "p99", "50%:p50", "p99"]);
    for (case, row) in cases.iter().zip(rows) {
        let cpu = row.cpu();
        let number = |number: f64, digits: usize| if number > 0.0 { format!("{number:.digits$}") } else { "-".into() };
        let percent = |share: Median| number(share.middle * 100.0, 0);
        line([
            case.title,
            &number(cpu.middle, 1),
            &number(cpu.spread_percent() / 2.0, 0),
            &number(cpu.middle / floor.e, 2),
            &case.verifies.map_or("-".into(), |_| number(cpu.middle / floor.with(case.verifies), 2)),
            &number(row.rate().middle, 0),
            &percent(row.server_share()),
            &percent(row.load_share()),
            &number(row.latency(false, |latency| latency.p50).middle, 0),
            &number(row.latency(false, |latency| latency.p99).middle, 0),
            &number(row.latency(true, |latency| latency.p50).middle, 0),
            &number(row.latency(true, |latency| latency.p99).middle, 0),
        ]);
    }
    text
}

/// What the reader must know about the rows.
pub fn remarks(cases: &[Case], rows: &[Row]) -> Vec<String> {
    let mut remarks = vec![
        "CPU: of the server process, for one check, at saturation. ±: half of the spread of the repetitions. Latencies in µs, \
         from the time at which a check was to be sent, at 25 % and 50 % of saturation; medians of the repetitions."
            .to_owned(),
        "server, load: how much of its core each used, in percent, at saturation.".to_owned(),
    ];
    for (case, row) in cases.iter().zip(rows) {
        if row.server_share().middle < 0.9 && row.server_share().middle > 0.0 {
            let share = row.server_share().middle * 100.0;
            let title = case.title;
            remarks.push(format!(
                "{title}: the server had {share:.0} % of its core only; others use it, or the load is the bottleneck. checks/s is less \
                 than it can do."
            ));
        }
        let lag = row.latency(true, |latency| latency.lag).middle;
        if lag > 1_000.0 {
            let (title, lag) = (case.title, lag / 1e3);
            remarks.push(format!(
                "{title}: the sender was late by {lag:.1} ms at p99; latencies hold that. The machine was busy."
            ));
        }
        if case.key == "peer" {
            let allowed: u64 = row.closed.iter().map(|closed| closed.first).sum();
            let answers: u64 = row.closed.iter().map(|closed| closed.answers).sum();
            remarks.push(format!("{}: {allowed} of {answers} answers were allows.", case.title));
        }
    }
    remarks
}

/// Judges the rows.
pub fn judge(cases: &[Case], rows: &[Row], floor: &Floor, told: &mut Told) {
    let cpu = |key: &str| {
        let at = cases.iter().position(|case| case.key == key)?;
        rows.get(at).map(|row| row.cpu().middle)
    };
    let ratio = |one: Option<f64>, to: Option<f64>| Some(one? / to?);
    let with = |algorithm| Some(floor.with(Some(algorithm)));
    let judged = [
        ("certificate-bound, seen token, 1,000 policies, to E", 1.25, ratio(cpu("bound.1"), Some(floor.e))),
        ("DPoP ES256, seen token, to E+V", 1.15, ratio(cpu("dpop.es256"), with(Algorithm::Es256))),
        ("never-seen RS256, to E+V", 1.25, ratio(cpu("unseen"), with(Algorithm::Rs256))),
        ("10,000 policies, to 10", 1.2, ratio(cpu("policies.10000"), cpu("policies.10"))),
        ("garbage, to an allow", 1.0, ratio(cpu("denials.garbage"), cpu("bound.1").or_else(|| cpu("policies.1000")))),
    ];
    let judged = judged.into_iter().filter_map(|(what, most, found)| Some(Target::at_most(what, most, found?, "×")));
    told.targets.splice(0..0, judged);
    let rows: serde_json::Map<_, _> =
        cases.iter().zip(rows).map(|(case, row)| (case.key.to_owned(), row.json())).collect();
    told.note("rows", rows.into());
    let signatures: serde_json::Map<_, _> =
        floor.signatures.iter().map(|(algorithm, cost)| (algorithm.name().to_owned(), json!(cost))).collect();
    told.note("floor", json!({"e_us": floor.e, "v_us": signatures}));
}

/// The targets in words.
pub fn targets(targets: &[Target]) -> String {
    let line = |target: &Target| {
        let Target { what, limit, found, reached } = target;
        let word = if *reached { "reached" } else { "MISSED" };
        format!("{word:8} {what}: {found} (target {limit})\n")
    };
    targets.iter().map(line).collect()
}
