//! The conformance table: each clause that an enforcement point is held to, as rows of one good request, one change and one
//! verdict. Every row is judged in both header encodings of Envoy. `docs/conformance.md` is rendered from the rows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    missing_docs,
    reason = "a test may stop at the first surprise, and prints its table"
)]

mod document;
mod expect;
mod family;
mod invariants;
mod row;
mod run;
#[path = "../support/mod.rs"]
mod support;

mod access_token;
mod bearer;
mod certificate_binding;
mod check_request;
mod client_cert;
mod dpop;
mod failures;
mod introspection;
mod jose;
mod jwt_practice;
mod own;
mod revocation;
mod second_opinion;
mod secrecy;
mod security_events;
mod seeds;
mod status_list;
mod through_envoy;
mod thumbprint;
mod xfcc;

use family::{FAMILIES, Family};

fn check(prefix: &str) {
    run::check(family(prefix));
}

fn family(prefix: &str) -> &'static Family {
    FAMILIES.iter().find(|family| family.prefix == prefix).expect("a family of that prefix")
}

#[test]
fn dp_rfc_9449_dpop() {
    check("DP");
}

#[test]
fn mt_rfc_8705_certificate_binding() {
    check("MT");
}

#[test]
fn br_rfc_6750_bearer() {
    check("BR");
}

#[test]
fn at_rfc_9068_access_tokens() {
    check("AT");
}

#[test]
fn jb_rfc_8725_best_practice() {
    check("JB");
}

#[test]
fn jw_rfc_7515_jose() {
    check("JW");
}

#[test]
fn tp_rfc_7638_thumbprints() {
    check("TP");
}

#[test]
fn in_rfc_7662_introspection() {
    check("IN");
}

#[test]
fn cc_rfc_9440_client_cert() {
    check("CC");
}

#[test]
fn xf_x_forwarded_client_cert() {
    check("XF");
}

#[test]
fn ec_check_request() {
    check("EC");
}

#[test]
fn failures_seen_in_this_field() {
    check("Failures");
}

#[test]
fn rv_what_is_revoked_is_refused() {
    check("RV");
}

#[test]
fn sl_token_status_list() {
    check("SL");
}

#[test]
fn ss_security_events() {
    check("SS");
}

#[test]
fn kb_keybound_itself() {
    check("KB");
}
