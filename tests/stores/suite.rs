//! What every store does. A behaviour that a store cannot have says so here, with the reason.

use futures_util::future::join_all;
use keybound::decision::binding::{Spend, Spending};

use crate::bench::{Bench, NOW, Plan, REFUSED, cluster, proof, proof_of, redis};

/// When the watermark of a start has passed.
const LATER: i64 = NOW + REFUSED + 1;

async fn memory(plan: Plan<'_>) -> Bench {
    Bench::memory(plan)
}

async fn single(plan: Plan<'_>) -> Bench {
    Bench::at(redis(), plan).await
}

async fn spread(plan: Plan<'_>) -> Bench {
    Bench::at_cluster(cluster(), plan).await
}

macro_rules! suite {
    ($($behaviour:ident)+) => {
        suite!(@ memory, $($behaviour)+);
        suite!(@ single, $($behaviour)+);
        suite!(@ spread, $($behaviour)+);
    };
    (@ $store:ident, $($behaviour:ident)+) => {
        mod $store {
            $(#[tokio::test]
            async fn $behaviour() {
                // Keys of their own: the Redis is one for all of them.
                super::$behaviour(async |plan| super::$store(plan).await, stringify!($behaviour)).await;
            })+
        }
    };
}

suite! {
    dp_40_a_proof_is_fresh_once
    dp_40_of_a_hundred_at_once_exactly_one_is_fresh
    dp_40_of_a_hundred_at_two_replicas_at_once_exactly_one_is_fresh
    dp_42_other_keys_are_other_proofs
    a_jti_with_another_iat_is_the_same_entry
    proofs_from_before_the_watermark_are_refused
    dp_41_a_flooding_client_is_refused_and_others_are_served
    a_full_store_refuses_and_forgets_nothing
    an_entry_lives_as_long_as_it_must
    a_clock_that_is_set_back_brings_no_proof_to_life
}

async fn dp_40_a_proof_is_fresh_once(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan::new(name)).await;
    assert_eq!(store.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    assert_eq!(store.spend(&proof(1, "a"), LATER).await, Spending::Replayed);
    assert_eq!(store.spend(&proof(2, "a"), LATER).await, Spending::Fresh);
}

async fn dp_40_of_a_hundred_at_once_exactly_one_is_fresh(
    raise: impl AsyncFn(Plan<'static>) -> Bench,
    name: &'static str,
) {
    let store = raise(Plan { workers: 2, ..Plan::new(name) }).await;
    for key in 0..20 {
        let proof = proof(key, "a");
        let copies = (0..100).map(|copy| store.spend_by(copy % store.links.len(), &proof, LATER));
        let fresh = join_all(copies).await.into_iter().filter(|spending| *spending == Spending::Fresh).count();
        assert_eq!(fresh, 1);
    }
}

/// A memory is one process's: there the second replica is a second asker. What two of them would do is why there is a shared store.
async fn dp_40_of_a_hundred_at_two_replicas_at_once_exactly_one_is_fresh(
    raise: impl AsyncFn(Plan<'static>) -> Bench,
    name: &'static str,
) {
    let one = raise(Plan::new(name)).await;
    let mut two = raise(Plan::new(name)).await;
    if one.store.is_none() {
        two.links.clone_from(&one.links);
    }
    for key in 0..20 {
        let proof = proof(key, "a");
        let copies =
            (0..100).map(|copy| if copy % 2 == 0 { one.spend(&proof, LATER) } else { two.spend(&proof, LATER) });
        let answers = join_all(copies).await;
        assert_eq!(answers.iter().filter(|spending| **spending == Spending::Fresh).count(), 1);
        assert_eq!(answers.iter().filter(|spending| **spending == Spending::Replayed).count(), 99);
    }
}

async fn dp_42_other_keys_are_other_proofs(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan::new(name)).await;
    for key in 0..100 {
        assert_eq!(store.spend(&proof(key, "a"), LATER).await, Spending::Fresh);
    }
    // The first half of the digest: what a memory keeps of it, in front of Redis too.
    for byte in 0..16 {
        let mut other = proof(0, "a");
        other.key[byte] ^= 0x80;
        assert_eq!(store.spend(&other, LATER).await, Spending::Fresh, "every byte counts: {byte}");
    }
}

async fn a_jti_with_another_iat_is_the_same_entry(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan::new(name)).await;
    assert_eq!(store.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    let later = Spend { until: LATER + 600, made_at: LATER + 5, ..proof(1, "a") };
    assert_eq!(store.spend(&later, LATER).await, Spending::Replayed);
    let earlier = Spend { until: LATER + 1, ..proof(1, "a") };
    assert_eq!(store.spend(&earlier, LATER).await, Spending::Replayed);
}

async fn proofs_from_before_the_watermark_are_refused(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan::new(name)).await;
    assert_eq!(store.memory.watermark(), NOW + REFUSED);
    assert_eq!(store.spend(&proof_of(1, "a", NOW + REFUSED), LATER).await, Spending::Predates);
    assert_eq!(store.spend(&proof_of(1, "a", NOW + REFUSED + 1), LATER).await, Spending::Fresh);
}

async fn dp_41_a_flooding_client_is_refused_and_others_are_served(
    raise: impl AsyncFn(Plan<'static>) -> Bench,
    name: &'static str,
) {
    let store = raise(Plan { capacity: 1_000, share_percent: 10, ..Plan::new(name) }).await;
    let mut outcomes = Vec::new();
    for key in 0..200 {
        outcomes.push(store.spend(&proof(key, "flood"), LATER).await);
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Spending::Fresh).count(), 100);
    assert_eq!(outcomes.last(), Some(&Spending::ShareExceeded));
    assert_eq!(store.spend(&proof(900, "other"), LATER).await, Spending::Fresh);
    assert_eq!(store.spend(&proof(0, "flood"), LATER).await, Spending::Replayed, "nothing was evicted");
}

/// In Redis the fleet's room is `maxmemory`, which `forgets.rs` fills; here it is what one process may remember.
async fn a_full_store_refuses_and_forgets_nothing(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan { capacity: 1_000, ..Plan::new(name) }).await;
    for key in 0..1_000 {
        assert_eq!(store.spend(&proof(key, "a"), LATER).await, Spending::Fresh);
    }
    assert_eq!(store.spend(&proof(1_000, "b"), LATER).await, Spending::Full);
    for key in [0, 500, 999] {
        assert_eq!(store.spend(&proof(key, "a"), LATER).await, Spending::Replayed);
    }
}

/// Redis expires entries by a clock that no test sets: it is asked how long it will keep this one.
async fn an_entry_lives_as_long_as_it_must(raise: impl AsyncFn(Plan<'static>) -> Bench, name: &'static str) {
    let store = raise(Plan::new(name)).await;
    let one = proof(1, "a");
    assert_eq!(store.spend(&one, LATER).await, Spending::Fresh);
    assert_eq!(store.spend(&one, one.until).await, Spending::Replayed, "the last instant still counts");
    if store.store.is_none() {
        return;
    }
    let nodes = std::iter::once(redis()).chain(&cluster().0);
    let lives: Vec<i64> = nodes.flat_map(|node| lifetimes(node, name)).collect();
    let must = (one.until - LATER) * 1_000;
    assert!(!lives.is_empty() && lives.iter().all(|left| (must..=must + 32_000).contains(left)), "{lives:?}, {must}");
}

fn lifetimes(node: &crate::redis::Redis, prefix: &str) -> Vec<i64> {
    let keys = node.ask(&["KEYS", &format!("{prefix}:spent:*")]);
    let left = |key: &str| node.ask(&["PTTL", key]).parse().unwrap();
    keys.split(',').filter(|key| !key.is_empty()).map(left).collect()
}

async fn a_clock_that_is_set_back_brings_no_proof_to_life(
    raise: impl AsyncFn(Plan<'static>) -> Bench,
    name: &'static str,
) {
    let store = raise(Plan::new(name)).await;
    let one = proof(1, "a");
    assert_eq!(store.spend(&one, LATER).await, Spending::Fresh);
    // The clock jumps ahead, and every shard of a memory is asked and drops it; then the clock is set back into its time.
    for key in 100..2_000 {
        let ahead = proof_of(key, "a", LATER + 3_600);
        assert_eq!(store.spend(&ahead, LATER + 3_600).await, Spending::Fresh);
    }
    assert_ne!(store.spend(&one, LATER + 5).await, Spending::Fresh);
    let after = Spend { made_at: LATER + 1, until: LATER + 71, ..proof(5_000, "a") };
    assert_eq!(store.spend(&after, LATER + 5).await, Spending::Fresh, "what was made since is not among the dropped");
}
