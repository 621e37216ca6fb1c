//! Hostile input: what a client, or whoever sits between, may do to a request, must not make an allow of it.
//!
//! [`mutations`] and [`message`] change one thing of a good request, everywhere; [`model`] signs whatever claims there are and judges
//! them a second way; [`totality`] lets a thief write what it likes; [`known`] asks twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

mod answers;
mod known;
mod limits;
mod message;
mod model;
mod mutations;
#[path = "../support/mod.rs"]
mod support;
mod totality;

/// This many cases, or more if `PROPTEST_CASES` asks for them.
fn more(cases: u32) -> proptest::prelude::ProptestConfig {
    let config = proptest::prelude::ProptestConfig::default();
    proptest::prelude::ProptestConfig { cases: config.cases.max(cases), ..config }
}
