//! How many instructions a check takes, counted by valgrind: a number that does not depend on how busy a machine is.
//!
//! `make bench-instructions` counts and compares with `benches/instructions/recorded.json`: three percent more fails, three percent
//! less asks to be recorded (`UPDATE=1`). Signatures are counted apart, over the very bytes of the checks, and taken off: aws-lc
//! chooses its code by the processor. Keys, signatures and hash tables are random in each run; a count is the mean of sixteen checks.
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
    missing_docs,
    reason = "a benchmark may stop at the first surprise"
)]

mod counted;
mod prepared;
mod recorded;
#[path = "../world/mod.rs"]
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Valgrind runs this program once more for each count.
    if std::env::args().nth(1).is_some_and(|word| word == "--gungraun-run") {
        counted::run();
        return ExitCode::SUCCESS;
    }
    prepared::write();
    counted::run();
    recorded::compare()
}
