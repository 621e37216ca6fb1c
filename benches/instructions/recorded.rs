//! The counts that are recorded in the repository, and what differs from them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::prepared::{self, CHECKS};

/// Counts may differ by so much, up or down: keys, and the order in which headers come, are new in each run.
const TOLERANCE: f64 = 0.03;

type Counts = BTreeMap<String, u64>;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/recorded.json")
}

/// Looks up what was counted, and compares it with the record or renews that.
pub fn compare() -> ExitCode {
    let counts = counts();
    let net = without_signatures(&counts);
    if std::env::var("KEYBOUND_UPDATE").is_ok_and(|update| !update.is_empty()) {
        let record = json!({
            "what": "Instructions of one check with 1,000 policies, less those of its signature; `make bench-instructions UPDATE=1` renews this",
            "rustc": rustc(),
            "instructions": net,
        });
        std::fs::write(file(), format!("{record:#}\n")).expect("a written file");
    }
    let record: Value =
        std::fs::read(file()).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let before: Counts = serde_json::from_value(record["instructions"].clone()).unwrap_or_default();
    if record["rustc"] != rustc() {
        tell(&format!("note: recorded with {}, counted with {}", record["rustc"], rustc()));
    }
    tell(&format!("\n{:<28}{:>12}{:>12}{:>12}{:>10}", "instructions", "counted", "signature", "less it", "recorded"));
    let (mut slower, mut faster, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (name, count) in &net {
        let all = counts[name];
        let change = before.get(name).map(|before| *count as f64 / *before as f64 - 1.0);
        let word = change.map_or_else(|| "not yet".to_owned(), |change| format!("{:+.1} %", change * 100.0));
        tell(&format!("{name:<28}{all:>12}{:>12}{count:>12}{word:>10}", all - count));
        match change {
            None => missing.push(name.as_str()),
            Some(change) if change > TOLERANCE => slower.push(name.as_str()),
            Some(change) if change < -TOLERANCE => faster.push(name.as_str()),
            Some(_) => {}
        }
    }
    verdict(&slower, &faster, &missing)
}

fn verdict(slower: &[&str], faster: &[&str], missing: &[&str]) -> ExitCode {
    if !faster.is_empty() {
        tell(&format!("\nfaster than recorded: {}. Record it: make bench-instructions UPDATE=1", faster.join(", ")));
    }
    if !missing.is_empty() {
        tell(&format!("\nnot recorded: {}. Record it: make bench-instructions UPDATE=1", missing.join(", ")));
    }
    if !slower.is_empty() {
        tell(&format!("\nslower than recorded: {}. Make it faster, or record it and say why", slower.join(", ")));
    }
    if slower.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Of each count the instructions of one check, as the runner's summaries have them.
fn counts() -> Counts {
    let summaries = prepared::summaries();
    assert!(!summaries.is_empty(), "nothing was counted: `make bench-instructions` says what the runner has to know");
    let counted = summaries.iter().map(|path| {
        let text = std::fs::read(path).expect("a summary");
        let summary: Value = serde_json::from_slice(&text).expect("JSON");
        let name = |member: &str| summary[member].as_str().expect("a name").to_owned();
        (format!("{}/{}", name("function_name"), name("id")), instructions(&summary).expect("a count") / CHECKS as u64)
    });
    counted.collect()
}

/// The member `Ir`, wherever it is.
fn instructions(value: &Value) -> Option<u64> {
    match value {
        Value::Object(members) => match members.get("Ir") {
            Some(count) => count["values"]["new"].as_u64(),
            None => members.values().find_map(instructions),
        },
        Value::Array(values) => values.iter().find_map(instructions),
        _ => None,
    }
}

/// What is ours: the count, less the signature of the same bytes.
fn without_signatures(counts: &Counts) -> Counts {
    let ours = counts.iter().filter(|(name, _)| !name.starts_with("signature/"));
    let net = |(name, count): (&String, &u64)| {
        let case = name.split_once('/').expect("two names").1;
        let signature = counts.get(&format!("signature/{case}")).copied().unwrap_or_default();
        (name.clone(), count.checked_sub(signature).expect("a check takes longer than its signature"))
    };
    ours.map(net).collect()
}

fn rustc() -> String {
    let told = std::process::Command::new("rustc").arg("--version").output().expect("rustc");
    String::from_utf8_lossy(&told.stdout).trim().to_owned()
}

fn tell(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output");
}
