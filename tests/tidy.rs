//! Invariants of the source tree, read as text: who may import whom, what only one room may do, how long things are, and that
//! documents say what the code says. Each test is named after the rule it holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "tidy/attributes.rs"]
mod attributes;
#[path = "tidy/denials.rs"]
mod denials;
#[path = "tidy/evidence.rs"]
mod evidence;
#[path = "tidy/reader.rs"]
mod reader;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/zones.rs"]
mod zones;

mod support;

/// Fails with every offence, one a line.
fn none<T: ToString>(offences: impl IntoIterator<Item = T>, rule: &str) {
    let offences: Vec<_> = offences.into_iter().map(|offence| offence.to_string()).collect();
    assert!(offences.is_empty(), "{rule}:\n  {}\n", offences.join("\n  "));
}
