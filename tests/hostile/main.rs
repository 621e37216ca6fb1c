//! Hostile input: what a client, or whoever sits between, may do to a request, must not make an allow of it.
//!
//! [`mutations`] changes one thing of a good request, everywhere.
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

mod message;
mod mutations;
#[path = "../support/mod.rs"]
mod support;
