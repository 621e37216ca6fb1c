//! Attacks that take more than one bundle or one moment: each a story that must end in a denial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod world;

use std::sync::Arc;

use keybound::decision::denial::Denial;
use keybound::decision::facts::RequestFacts;
use keybound::decision::leniency::Leniency;
use keybound::decision::{Decision, Examined, Verdict, examine};
use keybound::edge::spent::memory::Memory;

use world::{NONCED, NOW, Sent, World};

/// The denial, or `None` for an allow.
fn judged(world: &World, memory: &Memory, sent: &Sent, now: i64) -> Option<Denial> {
    let raw = sent.raw();
    let facts = RequestFacts::new("edge", &raw).unwrap();
    let mut examined = examine(&world.snapshot, &facts, now);
    if let Examined::Needs(unsettled) = examined {
        let spending = memory.spend(unsettled.spend(), now);
        examined = unsettled.settle(spending);
    }
    let decision: Decision = match examined {
        Examined::Ended(decision) => *decision,
        Examined::Proven(proven) => proven.conclude(),
        Examined::Needs(_) => panic!("a settled proof is not asked for again"),
    };
    match decision.verdict {
        Verdict::Denied(refusal) => Some(refusal.denial),
        Verdict::Allowed { .. } | Verdict::Observed { .. } | Verdict::Public | Verdict::Answer(_) => None,
    }
}

fn reload(world: &mut World, nonces: bool) {
    let apis = vec![world::api(NONCED, nonces, Leniency::default())];
    world.snapshot.bundle = Some(Arc::new(world::bundle_of(apis)));
}

#[test]
fn a_proof_spent_while_nonces_were_off_stays_spent_when_they_are_on_again() {
    let mut world = World::new();
    let memory = Memory::new(1_000, 100, i64::MIN);
    let sent = world.good(NONCED, Some(&world.nonce(NOW - 10)));
    reload(&mut world, false);
    assert_eq!(judged(&world, &memory, &sent, NOW), None);
    reload(&mut world, true);
    // The window of a proof with a nonce is wider: it would pass, were it not spent.
    assert_eq!(judged(&world, &memory, &sent, NOW + 200), Some(Denial::ProofReplayed));
    assert_eq!(judged(&world, &Memory::new(1_000, 100, i64::MIN), &sent, NOW + 200), None);
}
