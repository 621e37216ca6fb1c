//! Our small proto speaks Envoy's wire form, both ways: held against the `envoy-types` crate, which is compiled from Envoy's own
//! files, and against requests that Envoy 1.40 sent. And bytes that are no good request never become an allow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::doc_markdown,
    missing_docs,
    reason = "a test may stop at the first surprise"
)]

#[path = "protocol/answers.rs"]
mod answers;
#[path = "protocol/captured.rs"]
mod captured;
#[path = "protocol/requests.rs"]
mod requests;

mod support;
