//! Two replicas in one process and a real Redis: many revocations at once, more than wait to be told, and those that were asked before
//! Redis came, and who comes new while they are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keybound::config;
use keybound::decision::revocation::{EntryId, Target};
use keybound::edge::clock;
use keybound::edge::keeper::FleetSupplies;
use keybound::edge::revocations::Revocations;
use keybound::edge::revocations::entry::{ADMIN, Entry, Record};
use keybound::edge::revocations::fleet::Fleet;
use keybound::edge::revocations::fleet::mac::FleetKeys;
use keybound::edge::revocations::list::RevocationList;
use keybound::telemetry::metrics::Metrics;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::redis::Redis;

/// More than wait to be told.
const MANY: usize = 10_000;
/// What Redis has lost, and is told again for some seconds.
const LOST: usize = 5_000;
/// How long who asks waits until it is shared.
const SHARED: Duration = Duration::from_millis(500);
/// Where what is told stands, and who is telling.
const ALL: &str = "{keybound:revocations}:all";
const TELLING: &str = "{keybound:revocations}:telling";

pub struct Replica {
    revocations: Arc<Revocations>,
    metrics: Arc<Metrics>,
    fleet: Option<Fleet>,
}

impl Replica {
    fn at(redis: &Redis) -> Self {
        Self::with(&format!("addresses: [\"{}\"]", redis.address()))
    }

    /// With this section `redis`.
    pub fn with(redis: &str) -> Self {
        let text = format!(
            "listeners: {{ check: [{{ name: edge, address: \"127.0.0.1:1\" }}] }}\nbundle: {{ directory: policies }}\n\
             issuers: [{{ issuer: https://as.test, keys: {{ discovery: true }}, audiences: [a], max_lifetime_seconds: 300 }}]\n\
             redis: {{ {redis} }}\nrevocations: {{ shared: {{ key_files: [fleet.key] }} }}\n"
        );
        let (config, _) = config::parse("keybound.yaml", &text).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let list = Arc::new(RevocationList::new([]));
        let revocations = Arc::new(Revocations::open(list, None, Arc::clone(&metrics)).unwrap());
        let supplies = FleetSupplies::default();
        supplies.keys.store(Arc::new(keys()));
        let fleet = Fleet::join(&config, supplies, &revocations, &metrics);
        assert!(fleet.is_some());
        Self { revocations, metrics, fleet }
    }

    /// Follows the fleet from now on.
    pub fn follow(&mut self) -> JoinHandle<()> {
        let fleet = self.fleet.take().unwrap();
        tokio::spawn(async move { fleet.keep().await })
    }

    /// The same, as a process that gets a seventh of its time.
    fn follow_slowly(&mut self) -> JoinHandle<()> {
        let fleet = self.fleet.take().unwrap();
        tokio::spawn(async move {
            let mut keeps = std::pin::pin!(fleet.keep());
            while tokio::time::timeout(Duration::from_millis(5), &mut keeps).await.is_err() {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    }

    fn has_caught_up(&self) -> bool {
        self.revocations.publisher().unwrap().standing().has_caught_up()
    }

    /// Waits until it takes what it knows for all; for how long.
    async fn catches_up(&self) -> Duration {
        let begun = Instant::now();
        while !self.has_caught_up() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not catch up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    pub async fn ask(&self, from: usize, to: usize) {
        let entries: Vec<_> = (from..to).map(entry).collect();
        let (_, stored) = self.revocations.take(&entries, clock::millis()).await;
        assert!(stored.is_ok());
    }

    pub async fn has(&self, entries: usize) {
        let begun = Instant::now();
        while self.revocations.book().len() != entries {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} of {entries}", self.revocations.book().len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn keys() -> FleetKeys {
    FleetKeys::new(&[vec![7; 32]])
}

/// An emptied Redis whose epoch is older than what those who know something need to notice it, and one who begins to tell many: both
/// who is half through with it, and the way to stop it.
async fn half_told(name: &str) -> (Redis, Replica, JoinHandle<()>) {
    let redis = Redis::start(name, &[]);
    let mut one = Replica::at(&redis);
    for from in (0..LOST).step_by(1_000) {
        one.ask(from, from + 1_000).await;
    }
    // Somebody who holds nothing was there first.
    let mut nobody = Replica::at(&redis);
    nobody.follow();
    assert!(nobody.catches_up().await > Duration::from_secs(3), "an epoch that has just begun is not trusted");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let telling = one.follow_slowly();
    let told = async || {
        tokio::time::sleep(Duration::from_millis(5)).await;
        redis.ask(&["HLEN", ALL]).parse::<usize>().unwrap()
    };
    while told().await < LOST / 5 {}
    assert!(told().await < LOST / 2, "it told all of it before anybody could come");
    (redis, one, telling)
}

#[tokio::test]
async fn who_comes_new_while_what_was_lost_is_told_again_waits_for_the_last_of_it() {
    let (redis, _one, _telling) = half_told("telling").await;
    let mut two = Replica::at(&redis);
    two.follow();
    let waited = two.catches_up().await;
    eprintln!("who came new waited for {waited:?}");
    assert_eq!(two.revocations.book().len(), LOST, "it took part of it for all, after {waited:?}");
    assert_eq!(redis.ask(&["HLEN", TELLING]), "0", "whoever has told all says so");
    // Nobody tells now, and nobody is waited for.
    let mut three = Replica::at(&redis);
    three.follow();
    assert!(three.catches_up().await < Duration::from_secs(4));
    assert_eq!(three.revocations.book().len(), LOST);
}

#[tokio::test]
async fn who_dies_while_it_tells_is_waited_for_no_longer_than_a_minute() {
    let (redis, one, telling) = half_told("told-by-the-dead").await;
    telling.abort();
    drop(one);
    let mut two = Replica::at(&redis);
    two.follow();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!two.has_caught_up(), "it may come again");
    let line = two.revocations.publisher().unwrap().standing().line();
    assert!(line.contains("NOT HEARD yet (Redis may have lost some"), "{line}");
    // Almost a minute later, by what the mark says.
    let replica = redis.ask(&["HKEYS", TELLING]);
    let sealed = redis.ask_bytes(&[b"HGET", TELLING.as_bytes(), replica.as_bytes()]);
    let mut mark: Value = serde_json::from_slice(keys().open("keybound", &sealed).unwrap()).unwrap();
    mark["at"] = json!(clock::now() - 57);
    let older = keys().seal("keybound", mark.to_string().as_bytes()).unwrap();
    redis.ask_bytes(&[b"HSET", TELLING.as_bytes(), replica.as_bytes(), &older]);
    let waited = two.catches_up().await;
    assert!((1..10).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(two.revocations.book().len().to_string(), redis.ask(&["HLEN", ALL]), "all that there is");
}

fn entry(number: usize) -> Arc<Entry> {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let now = clock::millis();
    Arc::new(Entry {
        id: EntryId(id),
        source: ADMIN.to_owned(),
        target: Target::Token { issuer: "https://as.test".to_owned(), jti: format!("t{number}") },
        not_issued_after: None,
        expires_at: None,
        reported_at: now,
        asked_at: now,
        asked_by: "soc".to_owned(),
        reason: "an exercise".to_owned(),
        case: None,
    })
}

#[tokio::test]
async fn of_two_entries_with_one_id_the_one_that_stands_in_redis_is_shared_and_stays() {
    let redis = Redis::start("one-id", &[]);
    let (mut one, mut two) = (Replica::at(&redis), Replica::at(&redis));
    redis.kill();
    let of = |by: &str| Arc::new(Entry { asked_by: by.to_owned(), ..entry(1).as_ref().clone() });
    let asked = [(&one, of("one")), (&two, of("two"))];
    for (replica, entry) in &asked {
        assert!(replica.revocations.take(&[Arc::clone(entry)], clock::millis()).await.1.is_ok());
    }
    let asked = asked.map(|(_, entry)| Record::Entry(entry.as_ref().clone()));
    redis.start_again();
    one.follow();
    two.follow();
    one.catches_up().await;
    two.catches_up().await;
    let stands = async || {
        let [first, second] = [(&one, &asked[0]), (&two, &asked[1])].map(async |(replica, record)| {
            let shared = replica.revocations.publisher().unwrap().has(core::slice::from_ref(record), SHARED).await;
            shared[0]
        });
        (first.await, second.await, redis.ask_bytes(&[b"HGET", ALL.as_bytes(), entry(1).id.to_string().as_bytes()]))
    };
    let first = stands().await;
    assert!(first.0 != first.1, "one of them: {} and {}", first.0, first.1);
    // Nobody mends what another one has signed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(stands().await == first);
    let other = if first.0 { &two } else { &one };
    assert!(other.metrics.text().contains("outcome=\"conflict\""), "and who does not find its own says so");
}

#[tokio::test]
async fn more_than_can_wait_to_be_told_is_told_all_the_same() {
    let redis = Redis::start("overflow", &[]);
    let (mut one, mut two) = (Replica::at(&redis), Replica::at(&redis));
    redis.kill();
    two.follow();
    // Nobody takes any of it meanwhile, so that some does not fit.
    for from in (0..MANY).step_by(1_000) {
        one.ask(from, from + 1_000).await;
    }
    redis.start_again();
    let begun = Instant::now();
    one.follow();
    two.has(MANY).await;
    eprintln!("{MANY} that were asked while Redis was away were known elsewhere after {:?}", begun.elapsed());
    assert!(one.metrics.text().contains("keybound_revocations_told_total{why=\"lost\"}"));
    // All at once, under way: news that come faster than they are read.
    let begun = Instant::now();
    for from in (MANY..2 * MANY).step_by(1_000) {
        two.ask(from, from + 1_000).await;
    }
    one.has(2 * MANY).await;
    eprintln!("{MANY} more were known elsewhere after {:?}", begun.elapsed());
    // Who comes new reads all of it, page by page.
    let mut three = Replica::at(&redis);
    let begun = Instant::now();
    three.follow();
    three.has(2 * MANY).await;
    eprintln!("{} were read by who came new after {:?}", 2 * MANY, begun.elapsed());
    assert_eq!(redis.ask(&["HLEN", ALL]), (2 * MANY).to_string());
}
