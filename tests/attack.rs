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

use futures_util::FutureExt as _;
use keybound::decision::Verdict;
use keybound::decision::denial::Denial;
use keybound::decision::revocation::{EntryId, Mark, Target};
use keybound::decision::snapshot::Snapshot;
use keybound::decision::token::Issuer;
use keybound::edge::gate::{self, Partners};
use keybound::edge::revocations::list::RevocationList;
use keybound::edge::status_lists::{Consult, Consulting};

use support::inventory::apis;
use support::issuer::ServesThis;
use support::issuers::SERVER;
use support::setting::bundle_of;
use support::wire::encode;
use support::{Encoding, Memory, NOW, Setting, good_listed, good_listed_mtls, good_nonce, judge_under};

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

/// Serves a good list, and meanwhile the subject is revoked.
struct Meanwhile {
    serves: Arc<dyn Consult>,
    revocations: Arc<RevocationList>,
}

impl Consult for Meanwhile {
    fn consult<'a>(&'a self, issuer: &'a Issuer, uri: &'a Arc<str>, now: i64) -> Consulting<'a> {
        let subject = Target::Subject { issuer: SERVER.to_owned(), sub: "robot".to_owned() };
        let mark = Mark { entry: EntryId([1; 16]), not_issued_after: i64::MAX, until: i64::MAX };
        self.revocations.insert(&subject, mark);
        self.serves.consult(issuer, uri, now)
    }
}

#[test]
fn what_is_revoked_while_a_status_list_is_waited_for_is_refused() {
    for request in [good_listed().build(), good_listed_mtls().build()] {
        for encoding in Encoding::BOTH {
            let revocations = Arc::new(RevocationList::new([]));
            let snapshot = Snapshot { revocations: Arc::clone(&revocations) as _, ..request.setting.build() };
            let memory = Memory::new(1_000, 100);
            assert_eq!(judge_under(&snapshot, &request, encoding, &memory, NOW).code, "allowed");
            let memory = Memory::new(1_000, 100);
            let status_lists = Arc::new(Meanwhile { serves: ServesThis::of(&request), revocations });
            let partners = Partners { status_lists, ..Partners::alone(memory.shared()) };
            let message = encode(&request, encoding);
            let judging = gate::judge(&snapshot, &partners, request.point, Ok(&message), NOW);
            let decision = judging.now_or_never().expect("partners that answer at once");
            let Verdict::Denied(refusal) = decision.verdict else { panic!("allowed") };
            assert_eq!(refusal.denial, Denial::TokenRevoked);
        }
    }
}
