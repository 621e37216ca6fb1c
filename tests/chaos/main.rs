//! Faults, one after the other, under a real Envoy and a load that goes on: what must be denied is never let through, and good
//! requests pass again when the fault is over.
//!
//! Without `--faults` only the page is held against the suite (`docs/faults.md`), which is what `cargo test` does; `make chaos`
//! plays the faults, in five minutes at most, and prints what was measured. Words after `--faults` pick some by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test may stop at the first surprise, and its servers live as long as the process"
)]

mod figures;
#[allow(dead_code, unused_imports, reason = "another suite uses the rest of it")]
#[path = "../e2e/lab/mod.rs"]
mod lab;
mod load;
mod mix;
mod page;
mod relay;
#[allow(dead_code, unused_imports, reason = "another suite uses the rest of it")]
#[path = "../e2e/requests.rs"]
mod requests;
mod scenes;
#[allow(dead_code, unused_imports, reason = "another suite uses the rest of it")]
#[path = "../e2e/send/mod.rs"]
mod send;
#[allow(dead_code, unused_imports, reason = "another suite uses the rest of it")]
#[path = "../e2e/feeds/source.rs"]
mod source;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use scenes::{SCENES, Scene};

/// The whole suite takes no longer.
const AT_MOST: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    page::must_be_up_to_date();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // Other words, those of the usual test harness, are for other suites.
    let Some(at) = arguments.iter().position(|word| word == "--faults") else {
        tell("chaos: docs/faults.md names the faults of the suite; `make chaos` plays them");
        return ExitCode::SUCCESS;
    };
    let chosen = &arguments[at + 1..];
    let wanted =
        |scene: &&Scene| chosen.is_empty() || scene.faults.iter().any(|fault| chosen.contains(&fault.name.into()));
    play(SCENES.iter().filter(wanted))
}

fn play<'s>(scenes: impl Iterator<Item = &'s Scene>) -> ExitCode {
    let begun = Instant::now();
    end_in_time();
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for scene in scenes {
        let names: Vec<_> = scene.faults.iter().map(|fault| fault.name).collect();
        let played = Instant::now();
        let came = catch_unwind(scene.play).inspect(|rows| {
            let played: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
            assert_eq!(played, names, "the scene plays other faults than it says");
        });
        tell(&format!("chaos: {} took {:.1} s", names.join(", "), played.elapsed().as_secs_f64()));
        match came {
            Ok(more) => rows.extend(more),
            Err(_) => failed.extend(names),
        }
    }
    tell(&page::table(&rows));
    tell(&format!("chaos: {} faults in {:.0} s; failed: {failed:?}", rows.len(), begun.elapsed().as_secs_f64()));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What runs for keybound's sake ends with this process, whichever way it ends.
fn end_in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(AT_MOST);
        tell(&format!("chaos: still not done after {AT_MOST:?}"));
        std::process::exit(1);
    });
}

fn tell(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output");
}
