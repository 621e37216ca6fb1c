//! End to end: the keybound binary behind a real Envoy on loopback, an API that says what reached it, and clients that send
//! whatever bytes they like. Every test says what the client saw, which code the decision had, and what the API got.
//!
//! `lab` raises the processes and ends them by their ids; `send` holds the clients; the rest are the tests. `make tools`
//! installs Envoy. Logs of the last run stay in `target/tmp/e2e-*`.
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

mod lab;
mod requests;
mod send;
#[path = "../support/mod.rs"]
mod support;

mod crl;
mod doors;
mod drill;
mod ending;
mod events;
mod fapi2;
mod feeds;
mod fleet;
mod hops;
mod hostile;
mod introspection;
mod lenient;
mod meanwhile;
mod open_failure;
mod overload;
mod readme;
mod reload;
mod replay;
mod resource;
mod restart;
mod revocation;
mod secrecy;
mod sender;
mod shared;
mod spelling;
mod status_list;
