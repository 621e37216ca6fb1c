//! Redis dies, comes back empty, is cut off, is emptied; replicas die and start without it. Nothing that was revoked passes.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{NOTICED, Replica, at, fleet, named, plan};
use crate::lab::process::Signal;
use crate::lab::redis::Redis;
use crate::lab::{Plan, until};

const ALL: &str = "{keybound:revocations}:all";

/// Starts one that knows nothing, and sees that none of these passes there, from its first moment on.
async fn one_that_comes_new_refuses(name: &str, plan: &Plan, revoked: &[&str]) {
    let replica = Replica::started(name, &Plan { is_kept: false, ..plan.clone() });
    until("it listens", NOTICED, || std::net::TcpStream::connect(("127.0.0.1", replica.desk.lab.ports.check)).ok());
    let begun = Instant::now();
    loop {
        let was_ready = replica.desk.lab.is_ready();
        for jti in revoked {
            let judged = replica.judges(&named(jti)).await;
            let may = if was_ready { &["token_revoked"][..] } else { &["token_revoked", "fault_revocations_stale"] };
            assert!(may.contains(&judged.slug.as_str()), "{jti}: {judged:?}, ready: {was_ready}");
        }
        if was_ready {
            break;
        }
        assert!(begun.elapsed() < NOTICED, "it is not ready: {}", replica.standing());
    }
    replica.lets_pass("of-nobody").await;
}

#[tokio::test]
async fn a_redis_that_dies_and_comes_back_empty_is_told_everything_again() {
    let redis = Redis::start("empty-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one, two] = fleet("empty", &plan);
    one.revoke("before");
    two.refuses("before").await;
    let taken_back = super::id_of(&one.revoke("taken-back"));
    two.refuses("taken-back").await;
    one.desk.told(&["cancel", &taken_back, "--reason", "the exercise is over"]);
    two.lets_pass("taken-back").await;
    redis.kill();
    // In force where it was asked, and said to be there alone.
    for (replica, other, jti) in [(&one, &two, "away-1"), (&two, &one, "away-2")] {
        let told = replica.revoke(jti);
        assert_eq!((&told["shared"], &told["stored"]), (&json!(false), &json!(true)), "{told}");
        replica.judges(&named(jti)).await.denied("token_revoked", 401);
        assert_eq!(other.judges(&named(jti)).await.slug, "allowed", "nobody has told it");
        replica.stands("not heard for");
    }
    redis.start_again();
    for jti in ["before", "away-1", "away-2"] {
        one.refuses(jti).await;
        two.refuses(jti).await;
    }
    one_that_comes_new_refuses("empty-new", &plan, &["before", "away-1", "away-2"]).await;
    for replica in [&one, &two] {
        replica.stands("heard");
        assert_eq!(replica.judges(&named("taken-back")).await.slug, "allowed", "and what was taken back too");
        assert!(replica.metric("keybound_revocations_catch_ups_total", &[("reason", "epoch")]) > 0.9);
    }
    // Once more, and the new one is there before those who know: it waits until they may have told.
    let signal = |signal: fn() -> Signal| {
        for replica in [&one, &two] {
            replica.desk.lab.keybound().signal(signal());
        }
    };
    signal(|| Signal::Stop);
    redis.kill();
    redis.start_again();
    let they_wake = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        signal(|| Signal::Continue);
    };
    tokio::join!(one_that_comes_new_refuses("empty-newer", &plan, &["before", "away-1", "away-2"]), they_wake);
}

#[tokio::test]
async fn what_is_asked_while_the_way_is_broken_arrives_and_who_hears_nothing_for_too_long_denies_or_says_so() {
    let redis = Redis::start("parted-redis", &[]);
    let [denies] = fleet("parted-denies", &plan(&at(&redis), ", stale_after_seconds: 5"));
    let [serves] = fleet("parted-serves", &plan(&at(&redis), ", stale_after_seconds: 5, on_stale: serve"));
    let serves = serves.with_edge();
    serves.stands("heard");
    assert!(serves.send(&named("of-nobody")).await.decision["revocations"].is_null());
    redis.stop();
    let told = denies.revoke("parted-1");
    assert_eq!(told["shared"], false, "{told}");
    serves.revoke("parted-2");
    denies.comes_to("of-nobody", "fault_revocations_stale").await;
    denies.judges(&named("of-nobody")).await.denied("fault_revocations_stale", 503);
    denies.judges(&named("parted-1")).await.denied("token_revoked", 401);
    denies.stands("requests with a token are denied");
    assert!(denies.desk.lab.is_ready(), "as with spent proofs: who needs no token is served");
    assert!(denies.metric("keybound_revocations_stale", &[]) > 0.9);
    serves.stands("what others revoked meanwhile passes here");
    assert!(serves.metric("keybound_revocations_stale", &[]) > 0.9);
    assert!(serves.metric("keybound_revocations_unheard_seconds", &[]) > 5.0);
    assert_eq!(serves.judges(&named("parted-1")).await.slug, "allowed");
    let answer = serves.send(&named("of-nobody")).await;
    answer.allowed();
    assert_eq!(answer.decision["revocations"], "stale", "each decision says so");
    redis.go_on();
    for replica in [&denies, &serves] {
        replica.refuses("parted-1").await;
        replica.refuses("parted-2").await;
        replica.lets_pass("of-nobody").await;
        replica.stands("heard");
        assert!(replica.metric("keybound_revocations_stale", &[]) < 0.1);
    }
}

#[tokio::test]
async fn an_emptied_redis_is_noticed_and_told_everything_again() {
    let redis = Redis::start("emptied-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one, two] = fleet("emptied", &plan);
    one.revoke("one");
    two.revoke("two");
    two.refuses("one").await;
    one.refuses("two").await;
    redis.ask(&["FLUSHALL"]);
    one.revoke("three");
    for jti in ["one", "two", "three"] {
        one.refuses(jti).await;
        two.refuses(jti).await;
    }
    until("Redis has it all", NOTICED, || (redis.ask(&["HLEN", ALL]) == "3").then_some(()));
    one_that_comes_new_refuses("emptied-new", &plan, &["one", "two", "three"]).await;
    // The stream alone: who waits at its end finds out.
    redis.ask(&["DEL", "{keybound:revocations}:news"]);
    two.revoke("four");
    one.refuses("four").await;
}

#[tokio::test]
async fn who_is_killed_and_starts_without_redis_still_denies_what_others_told() {
    let redis = Redis::start("killed-redis", &[]);
    let plan = plan(&at(&redis), "");
    let [one, two] = fleet("killed", &plan);
    let id = super::id_of(&one.revoke("told"));
    two.refuses("told").await;
    until("it is stored", NOTICED, || two.desk.done(&["show", &id])["stored"].as_bool()?.then_some(()));
    redis.kill();
    two.desk.lab.keybound().kill();
    two.desk.lab.start_again();
    until("it listens", NOTICED, || std::net::TcpStream::connect(("127.0.0.1", two.desk.lab.ports.check)).ok());
    two.judges(&named("told")).await.denied("token_revoked", 401);
    two.judges(&named("of-nobody")).await.denied("fault_revocations_stale", 503);
    two.stands("NOT HEARD yet");
    assert!(!two.desk.lab.is_ready());
    redis.start_again();
    two.desk.lab.wait_until_ready();
    two.lets_pass("of-nobody").await;
    two.judges(&named("told")).await.denied("token_revoked", 401);
}

#[tokio::test]
async fn news_that_were_dropped_before_they_were_read_are_found() {
    let redis = Redis::start("behind-redis", &[]);
    let [one, two] = fleet("behind", &plan(&at(&redis), ""));
    two.desk.lab.keybound().signal(Signal::Stop);
    for number in 0..20 {
        one.revoke(&format!("behind-{number}"));
    }
    redis.ask(&["XTRIM", "{keybound:revocations}:news", "MAXLEN", "1"]);
    two.desk.lab.keybound().signal(Signal::Continue);
    for number in 0..20 {
        two.refuses(&format!("behind-{number}")).await;
    }
    assert!(two.metric("keybound_revocations_catch_ups_total", &[("reason", "gap")]) > 0.9);
    // A replica that was away: its connections stand, and it goes on where it was.
    tokio::time::sleep(Duration::from_millis(10)).await;
    one.revoke("after");
    two.refuses("after").await;
}

#[tokio::test]
async fn a_redis_that_may_forget_is_not_listened_to() {
    let redis = Redis::start("forgetful-redis", &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let replica = Replica::started("forgetful", &plan(&at(&redis), ""));
    replica.stands("NOT HEARD yet (127.0.0.1:");
    replica.stands("it evicts (allkeys-lru): set maxmemory-policy noeviction");
    assert!(!replica.desk.lab.is_ready());
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    replica.desk.lab.wait_until_ready();
}
