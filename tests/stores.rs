//! The stores of spent proofs: one suite of behaviours, stamped over each, and what a shared one does when it goes away or forgets; and
//! the revocations that replicas share.
//!
//! A real Redis on loopback (`make tools` installs it), and no Envoy: what a whole fleet does is in `e2e`.
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
    reason = "a test may stop at the first surprise"
)]

#[path = "stores/bench.rs"]
mod bench;
#[path = "stores/fleet.rs"]
mod fleet;
#[path = "stores/forgets.rs"]
mod forgets;
#[path = "stores/goes_away.rs"]
mod goes_away;
#[path = "e2e/lab/place.rs"]
#[allow(dead_code, reason = "what Envoy needs is not needed here")]
mod place;
#[path = "e2e/lab/process.rs"]
#[allow(dead_code, reason = "what Envoy needs is not needed here")]
mod process;
#[path = "e2e/lab/redis.rs"]
#[allow(dead_code, reason = "what Envoy needs is not needed here")]
mod redis;
#[path = "stores/sentinel.rs"]
mod sentinel;
#[path = "stores/suite.rs"]
mod suite;
