//! A shared store that may have forgotten proofs: it is noticed, and no proof from before passes again.

use std::time::Duration;

use keybound::config::Layout;
use keybound::decision::binding::Spending;
use keybound::edge::spent::redis::State;

use crate::bench::{Bench, Clock, NOW, Plan, REFUSED, proof, proof_of};
use crate::redis::Redis;

/// When the watermark of the start has passed.
const LATER: i64 = NOW + REFUSED + 1;
/// When a second one has passed, that was raised at `LATER`.
const MUCH_LATER: i64 = LATER + REFUSED + 1;

/// Waits until proofs, which nobody uses again, are not denied for want of the store.
async fn answers(bench: &Bench, keys: u64) {
    for key in keys..keys + 500 {
        let answer = bench.spend(&proof(key, "a"), LATER).await;
        assert_ne!(answer, Spending::Fresh, "made before the loss");
        if answer != Spending::Unavailable {
            return bench.stands(State::Shared).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the store does not answer");
}

/// Two replicas, each of which has spent a proof; whatever happens to the store then, neither proof passes again.
async fn noticed(
    name: &'static str,
    clock: &'static Clock,
    plan: Plan<'_>,
    redis: &Redis,
    happens: impl AsyncFnOnce(),
) {
    let (one, two) = (Bench::at(redis, plan).await, Bench::at(redis, plan).await);
    clock.set(LATER);
    assert_eq!(one.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    assert_eq!(two.spend(&proof(2, "a"), LATER).await, Spending::Fresh);
    happens().await;
    for (replica, bench) in [&one, &two].into_iter().enumerate() {
        answers(bench, 1_000 * (1 + replica as u64)).await;
    }
    // One that starts now knows of nothing but the store.
    let three = Bench::at(redis, plan).await;
    for bench in [&one, &two, &three] {
        for key in [1, 2] {
            let again = bench.spend(&proof(key, "a"), LATER).await;
            assert!(matches!(again, Spending::Predates | Spending::Replayed), "{name}: {again:?}");
        }
        assert_eq!(bench.spend(&proof(3, "a"), LATER).await, Spending::Predates, "{name}");
        assert_eq!(bench.memory.watermark(), LATER + REFUSED, "{name}");
    }
    clock.set(MUCH_LATER);
    let after = proof_of(4, "a", MUCH_LATER);
    assert_eq!(one.spend(&after, MUCH_LATER).await, Spending::Fresh, "{name}");
    assert_eq!(two.spend(&after, MUCH_LATER).await, Spending::Replayed, "{name}");
    assert_eq!(three.spend(&after, MUCH_LATER).await, Spending::Replayed, "{name}");
    assert!(
        one.metrics.text().contains("keybound_proofs_losses_total 2"),
        "the start, and this: {}",
        one.metrics.text()
    );
}

#[tokio::test]
async fn an_emptied_store_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("emptied", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    noticed("FLUSHALL", &CLOCK, plan, &redis, async || drop(redis.ask(&["FLUSHALL"]))).await;
}

#[tokio::test]
async fn a_lost_epoch_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("epoch", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    noticed("DEL", &CLOCK, plan, &redis, async || drop(redis.ask(&["DEL", "fleet:epoch"]))).await;
}

#[tokio::test]
async fn an_epoch_that_nobody_can_read_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("junk", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    noticed("SET", &CLOCK, plan, &redis, async || drop(redis.ask(&["SET", "fleet:epoch", "of another kind"]))).await;
}

#[tokio::test]
async fn a_store_that_comes_back_empty_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("empty", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let happens = async || {
        redis.kill();
        redis.start_again();
    };
    noticed("restart", &CLOCK, plan, &redis, happens).await;
}

#[tokio::test]
async fn a_store_that_comes_back_with_what_it_had_a_while_ago_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("dump", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let early = Bench::at(&redis, plan).await;
    let epoch = redis.ask(&["GET", "fleet:epoch"]);
    assert_eq!(redis.ask(&["SAVE"]), "OK");
    drop(early);
    let happens = async || {
        redis.kill();
        redis.start_again();
    };
    noticed("dump", &CLOCK, plan, &redis, happens).await;
    assert_ne!(redis.ask(&["GET", "fleet:epoch"]), epoch, "the same epoch came back, of a process that is gone");
}

#[tokio::test]
async fn a_store_that_was_a_replica_for_a_while_is_noticed() {
    static CLOCK: Clock = Clock::new();
    let (redis, other) = (Redis::start("demoted", &[]), Redis::start("other", &[]));
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let port = other.port.to_string();
    let happens = async || {
        redis.ask(&["REPLICAOF", "127.0.0.1", &port]);
        // It is looked at every second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        redis.ask(&["REPLICAOF", "NO", "ONE"]);
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    };
    noticed("REPLICAOF", &CLOCK, plan, &redis, happens).await;
}

#[tokio::test]
async fn a_replica_that_joins_others_does_not_wait() {
    static CLOCK: Clock = Clock::new();
    let redis = Redis::start("joined", &[]);
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let one = Bench::at(&redis, plan).await;
    CLOCK.set(LATER);
    assert_eq!(one.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    let two = Bench::at(&redis, plan).await;
    assert_eq!(two.memory.watermark(), NOW + REFUSED, "the watermark of the epoch, not of its own start");
    assert_eq!(two.spend(&proof(1, "a"), LATER).await, Spending::Replayed);
    assert_eq!(two.spend(&proof(2, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn an_epoch_of_a_clock_that_is_ahead_refuses_nothing_for_long() {
    let redis = Redis::start("ahead", &[]);
    let _ahead = Bench::at(&redis, Plan { clock: || NOW + 1_000_000, ..Plan::new("fleet") }).await;
    let right = Bench::at(&redis, Plan::new("fleet")).await;
    assert_eq!(right.memory.watermark(), NOW + REFUSED);
}

#[tokio::test]
async fn a_store_that_evicts_is_refused_at_the_start() {
    let redis = Redis::start("evicts", &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let bench = Bench::joining(Layout::Single, &[redis.address()], Plan::new("fleet"));
    let refused = bench.store.as_ref().unwrap().first_look().await.unwrap_err().to_string();
    assert!(refused.contains("allkeys-lru") && refused.contains("noeviction"), "{refused}");
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Unavailable);
    // The same Redis, when it is right.
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert!(bench.store.as_ref().unwrap().first_look().await.is_ok());
    bench.stands(State::Shared).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn a_store_that_begins_to_evict_is_left() {
    let redis = Redis::start("begins", &["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"]);
    let bench = Bench::at(&redis, Plan::new("fleet")).await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    bench.stands(State::Away).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Unavailable);
    assert!(bench.store.as_ref().unwrap().standing().why().unwrap().contains("volatile-ttl"));
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    bench.stands(State::Shared).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn a_replica_is_no_store() {
    let (primary, replica) = (Redis::start("primary", &[]), Redis::start("replica", &[]));
    replica.ask(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    let bench = Bench::joining(Layout::Single, &[replica.address()], Plan::new("fleet"));
    assert!(bench.store.as_ref().unwrap().first_look().await.is_ok(), "it may be made the primary yet");
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Unavailable);
    assert_eq!(bench.state(), State::Starting);
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    bench.stands(State::Shared).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
}

#[tokio::test]
async fn a_store_without_room_refuses_and_forgets_nothing() {
    let redis = Redis::start("full", &[]);
    let bench = Bench::at(&redis, Plan::new("fleet")).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(bench.spend(&proof(2, "a"), LATER).await, Spending::Full);
    assert_eq!(bench.state(), State::Shared, "it answers");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(bench.spend(&proof(3, "a"), LATER).await, Spending::Fresh);
    let other = Bench::at(&redis, Plan::new("fleet")).await;
    assert_eq!(other.spend(&proof(1, "a"), LATER).await, Spending::Replayed);
}
