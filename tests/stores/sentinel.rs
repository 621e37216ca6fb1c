//! A primary that Sentinels replace: what was told to the one before is not fresh with the one after, and nobody is asked while the
//! Sentinels do not agree.

use std::time::Duration;

use keybound::config::Layout;
use keybound::decision::binding::Spending;
use keybound::edge::spent::redis::State;

use crate::bench::{Bench, Clock, NOW, PRIMARY, Plan, REFUSED, proof};
use crate::fleet::Replica;
use crate::redis::{Redis, Sentinels};

const LATER: i64 = NOW + REFUSED + 1;

/// A primary and its replica.
fn pair(name: &str) -> [Redis; 2] {
    let start = |which: &str| Redis::start(&format!("{name}-{which}"), &["--repl-diskless-sync-delay", "0"]);
    let pair = ["primary", "replica"].map(start);
    pair[1].ask(&["REPLICAOF", "127.0.0.1", &pair[0].port.to_string()]);
    pair
}

async fn address_of(bench: &Bench, spent: u64) {
    for key in spent..spent + 1_500 {
        if bench.spend(&proof(key, "a"), LATER).await != Spending::Unavailable {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody is the primary");
}

#[tokio::test]
async fn a_proof_that_the_primary_before_knew_is_not_fresh_with_the_one_after() {
    static CLOCK: Clock = Clock::new();
    let pair = pair("failover");
    let sentinels = Sentinels::start("failover", PRIMARY, &pair[0]);
    let addresses = sentinels.addresses();
    let plan = Plan { clock: || CLOCK.now(), ..Plan::new("fleet") };
    let one = Bench::joining(Layout::Sentinel, &addresses, Plan { workers: 2, ..plan });
    let two = Bench::joining(Layout::Sentinel, &addresses, plan);
    for bench in [&one, &two] {
        bench.stands(State::Shared).await;
    }
    CLOCK.set(LATER);
    assert_eq!(one.spend_by(0, &proof(1, "a"), LATER).await, Spending::Fresh);
    assert_eq!(one.spend_by(1, &proof(1, "a"), LATER).await, Spending::Replayed);
    assert_eq!(two.spend(&proof(1, "a"), LATER).await, Spending::Replayed);

    // It is silent, is replaced, and comes back without knowing that.
    pair[0].stop();
    one.stands(State::Away).await;
    address_of(&one, 1_000).await;
    pair[0].go_on();
    for bench in [&one, &two] {
        address_of(bench, 10_000).await;
        bench.stands(State::Shared).await;
        let again = bench.spend(&proof(1, "a"), LATER).await;
        assert!(matches!(again, Spending::Predates | Spending::Replayed), "{again:?}");
        assert_eq!(bench.spend(&proof(2, "a"), LATER).await, Spending::Predates, "what was made before is refused");
    }
}

#[tokio::test]
async fn while_most_sentinels_do_not_agree_nobody_is_asked() {
    let pair = pair("minority");
    let mut sentinels = Sentinels::start("minority", PRIMARY, &pair[0]);
    let bench = Bench::joining(Layout::Sentinel, &sentinels.addresses(), Plan::new("fleet"));
    bench.stands(State::Shared).await;
    assert_eq!(bench.spend(&proof(1, "a"), LATER).await, Spending::Fresh);
    sentinels.0[0].1.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.spend(&proof(2, "a"), LATER).await, Spending::Fresh, "two of three are most of them");
    sentinels.0[1].1.kill();
    bench.stands(State::Away).await;
    let why = bench.store.as_ref().unwrap().standing().why().unwrap();
    assert!(why.contains("most of the Sentinels"), "{why}");
    assert_eq!(bench.spend(&proof(3, "a"), LATER).await, Spending::Unavailable);
}

#[tokio::test]
async fn revocations_outlive_the_primary() {
    let pair = pair("revoked");
    let sentinels = Sentinels::start("revoked", PRIMARY, &pair[0]);
    let section = format!(
        "mode: sentinel, sentinel: {{ primary: {PRIMARY} }}, addresses: [\"{}\"]",
        sentinels.addresses().join("\", \"")
    );
    let [mut one, mut two] = [(); 2].map(|()| Replica::with(&section));
    one.follow();
    two.follow();
    one.ask(0, 50).await;
    two.has(50).await;
    pair[0].kill();
    one.ask(50, 100).await;
    two.has(100).await;
}
