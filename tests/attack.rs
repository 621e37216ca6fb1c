//! Attacks that take more than one bundle or one moment: each a story that must end in a denial.
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

mod support;

use std::sync::Arc;

use keybound::decision::snapshot::Snapshot;

use support::inventory::apis;
use support::setting::bundle_of;
use support::{Encoding, Memory, NOW, Setting, good_nonce, judge_under};

/// What decisions read once the API `nonce` wants nonces, or no longer does.
fn reloaded(nonces: bool) -> Snapshot {
    let mut apis = apis();
    apis.iter_mut().find(|api| api.id == "nonce").unwrap().nonces = nonces;
    Snapshot { bundle: Some(Arc::new(bundle_of(apis))), ..Setting::Standard.build() }
}

#[test]
fn a_proof_spent_while_nonces_were_off_stays_spent_when_they_are_on_again() {
    let (off, on) = (reloaded(false), reloaded(true));
    for encoding in Encoding::BOTH {
        let (memory, nothing) = (Memory::new(1_000, 100), Memory::new(1_000, 100));
        let request = good_nonce().build();
        assert_eq!(judge_under(&off, &request, encoding, &memory, NOW).code, "allowed");
        // The window of a proof with a nonce is wider: it would pass, were it not spent.
        assert_eq!(judge_under(&on, &request, encoding, &memory, NOW + 200).code, "proof_replayed");
        assert_eq!(judge_under(&on, &request, encoding, &nothing, NOW + 200).code, "allowed");
    }
}
