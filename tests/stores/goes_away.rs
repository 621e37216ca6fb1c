//! A shared store that does not answer: proofs are denied at once, or each process remembers its own, and no proof passes where it
//! must not.

use std::time::{Duration, Instant};

use keybound::config::{Layout, OnUnavailable};
use keybound::decision::Remembered;
use keybound::decision::binding::Spending;
use keybound::edge::spent::Settled;
use keybound::edge::spent::redis::State;

use crate::bench::{Bench, Clock, NOW, Plan, REFUSED, proof, proof_of};
use crate::redis::{Cluster, Redis};

const LATER: i64 = NOW + REFUSED + 1;

/// Asks until it is not asked any more, and sees that it is said at once then.
async fn unavailable_at_once(bench: &Bench) {
    for key in 0..4 {
        assert_eq!(bench.spend(&proof(1_000 + key, "a"), LATER).await, Spending::Unavailable);
    }
    let begun = Instant::now();
    for key in 0..100 {
        assert_eq!(bench.spend(&proof(2_000 + key, "a"), LATER).await, Spending::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_millis(250), "{:?} for a hundred", begun.elapsed());
}

#[tokio::test]
async fn while_it_is_dead_proofs_are_denied_at_once() {
    let redis = Redis::start("dead", &[]);
    let bench = Bench::at(&redis, Plan::new("fleet")).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    redis.kill();
    unavailable_at_once(&bench).await;
    bench.stands(State::Away).await;
    redis.start_again();
    bench.stands(State::Shared).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Replayed, "its own memory still knows");
    assert_eq!(bench.spend(&proof(2, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn while_the_way_to_it_is_broken_proofs_are_denied_at_once_and_nothing_is_forgotten() {
    let redis = Redis::start("stopped", &[]);
    let bench = Bench::at(&redis, Plan::new("fleet")).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    let watermark = bench.memory.watermark();
    redis.stop();
    unavailable_at_once(&bench).await;
    bench.stands(State::Away).await;
    redis.go_on();
    bench.stands(State::Shared).await;
    assert_eq!(bench.memory.watermark(), watermark, "the same process, which has lost nothing");
    let other = Bench::at(&redis, Plan::new("fleet")).await;
    for bench in [&bench, &other] {
        assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Replayed);
    }
    assert_eq!(bench.spend(&proof(2, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn a_process_that_goes_on_alone_lets_nothing_from_before_pass_and_nothing_twice() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("alone", &[]);
    let plan = Plan { clock: || CLOCK.now(), on_unavailable: OnUnavailable::Local, workers: 2, ..Plan::new("fleet") };
    let bench = Bench::at(&redis, plan).await;
    CLOCK.set(LATER);
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    redis.stop();
    bench.stands(State::Local).await;
    assert_eq!(bench.memory.watermark(), LATER + REFUSED);
    for key in [1, 2] {
        let settled = Settled { spending: Spending::Predates, remembered: Remembered::Locally };
        assert_eq!(bench.settle(&proof(key, "a"), LATER).await, settled, "it may have been used at another replica");
    }
    let alone = LATER + REFUSED + 1;
    CLOCK.set(alone);
    let made_alone = proof_of(3, "a", alone);
    assert_eq!(
        bench.settle(&made_alone, alone).await,
        Settled { spending: Spending::Fresh, remembered: Remembered::Locally }
    );
    assert_eq!(bench.spend_by(1, &made_alone, alone).await, Spending::Replayed, "by whichever worker");
    redis.go_on();
    bench.stands(State::Shared).await;
    assert_eq!(bench.memory.watermark(), alone + REFUSED);
    let other = Bench::at(&redis, plan).await;
    for key in [1, 2, 3] {
        let again = bench.spend(&proof_of(key, "a", alone), alone).await;
        assert_eq!(again, Spending::Predates, "{key}: the shared store was not told");
    }
    let back = alone + REFUSED + 1;
    CLOCK.set(back);
    let settled = Settled { spending: Spending::Fresh, remembered: Remembered::AsConfigured };
    assert_eq!(bench.settle(&proof_of(4, "a", back), back).await, settled);
    assert_eq!(other.spend(&proof_of(4, "a", back), back).await, Spending::Replayed);
}

#[tokio::test]
async fn a_store_that_comes_after_the_start_is_found() {
    let redis = Redis::start("late", &[]);
    redis.kill();
    let bench = Bench::joining(Layout::Single, &[redis.address()], Plan::new("fleet"));
    assert!(bench.store.as_ref().unwrap().first_look().await.is_ok(), "it may come yet");
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Unavailable);
    assert_eq!(bench.state(), State::Starting);
    let alone = Plan { on_unavailable: OnUnavailable::Local, ..Plan::new("fleet") };
    let alone = Bench::joining(Layout::Single, &[redis.address()], alone);
    alone.stands(State::Local).await;
    assert_eq!(alone.memory.watermark(), NOW + REFUSED, "it remembers nothing from before its start");
    redis.start_again();
    for bench in [&bench, &alone] {
        bench.stands(State::Shared).await;
    }
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    assert_eq!(alone.spend(&proof(1, "a"), LATER).await, Spending::Replayed);
}

/// Proofs that reach every node.
async fn spend_many(bench: &Bench, keys: std::ops::Range<u64>, now: i64) -> Vec<Spending> {
    let mut spendings = Vec::new();
    for key in keys {
        spendings.push(bench.spend(&proof_of(key, "a", now), now).await);
    }
    spendings
}

#[tokio::test]
async fn a_cluster_that_loses_a_node_denies_its_part_and_goes_on_with_its_replica() {
    static CLOCK: Clock = Clock::new();
    let cluster = Cluster::start("failover", 1);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let (one, two) = (Bench::at_cluster(&cluster, plan).await, Bench::at_cluster(&cluster, plan).await);
    CLOCK.set(LATER);
    let before = spend_many(&one, 0..60, LATER).await;
    assert!(before.iter().all(|spending| *spending == Spending::Fresh), "{before:?}");

    // The second one that is written to: whoever was told of the first alone finds it.
    cluster.0[1].kill();
    let meanwhile = spend_many(&two, 100..160, LATER).await;
    assert!(meanwhile.contains(&Spending::Unavailable), "{meanwhile:?}");
    assert!(meanwhile.contains(&Spending::Fresh), "the others answer: {meanwhile:?}");
    for bench in [&one, &two] {
        bench.stands(State::Away).await;
    }
    for bench in [&one, &two] {
        bench.stands(State::Shared).await;
        assert_eq!(bench.memory.watermark(), LATER + REFUSED, "the replica may not have been told of the last proofs");
    }
    for bench in [&one, &two] {
        let again = spend_many(bench, 0..60, LATER).await;
        assert!(again.iter().all(|spending| matches!(spending, Spending::Predates | Spending::Replayed)), "{again:?}");
    }
    let after = LATER + REFUSED + 1;
    CLOCK.set(after);
    let fresh = spend_many(&one, 200..260, after).await;
    assert!(fresh.iter().all(|spending| *spending == Spending::Fresh), "{fresh:?}");
    let replayed = spend_many(&two, 200..260, after).await;
    assert!(replayed.iter().all(|spending| *spending == Spending::Replayed), "{replayed:?}");
}

#[tokio::test]
async fn slots_that_move_take_their_proofs_along() {
    let cluster = Cluster::start("reshard", 0);
    let bench = Bench::at_cluster(&cluster, Plan::new("fleet")).await;
    let before = spend_many(&bench, 0..60, LATER).await;
    assert!(before.iter().all(|spending| *spending == Spending::Fresh), "{before:?}");
    // Others, so that their own memory does not answer for Redis.
    let mut moving = cluster.move_slots(0, 1, 1_000);
    let mut refused = 0;
    while moving.ended().is_none() {
        let other = Bench::at_cluster(&cluster, Plan::new("fleet")).await;
        let meanwhile = spend_many(&other, 0..60, LATER).await;
        assert!(!meanwhile.contains(&Spending::Fresh), "{meanwhile:?}");
        refused += meanwhile.iter().filter(|spending| **spending == Spending::Replayed).count();
    }
    assert!(moving.wait(Duration::ZERO).success() && refused > 0);
    // The one that saw it all finds the new places, and what it says is good at another one.
    let begun = Instant::now();
    for key in 100..160 {
        let mut spending = Spending::Unavailable;
        let mut tries = key * 1_000;
        while spending == Spending::Unavailable {
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not find them");
            tries += 1;
            spending = bench.spend(&proof(tries, "a"), LATER).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(spending, Spending::Fresh);
        let other = Bench::at_cluster(&cluster, Plan::new("fleet")).await;
        assert_eq!(other.spend(&proof(tries, "a"), LATER).await, Spending::Replayed);
    }
}
