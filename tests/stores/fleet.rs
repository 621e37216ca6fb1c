//! Two replicas in one process and a real Redis: many revocations at once, more than wait to be told, and those that were asked before
//! Redis came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keybound::config;
use keybound::decision::revocation::{EntryId, Target};
use keybound::edge::clock;
use keybound::edge::keeper::FleetSupplies;
use keybound::edge::revocations::Revocations;
use keybound::edge::revocations::entry::{ADMIN, Entry};
use keybound::edge::revocations::fleet::Fleet;
use keybound::edge::revocations::fleet::mac::FleetKeys;
use keybound::edge::revocations::list::RevocationList;
use keybound::telemetry::metrics::Metrics;

use crate::redis::Redis;

/// More than wait to be told.
const MANY: usize = 10_000;

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
        supplies.keys.store(Arc::new(FleetKeys::new(&[vec![7; 32]])));
        let fleet = Fleet::join(&config, supplies, &revocations, &metrics);
        assert!(fleet.is_some());
        Self { revocations, metrics, fleet }
    }

    /// Follows the fleet from now on.
    pub fn follow(&mut self) {
        let fleet = self.fleet.take().unwrap();
        tokio::spawn(async move { fleet.keep().await });
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
    assert_eq!(redis.ask(&["HLEN", "{keybound:revocations}:all"]), (2 * MANY).to_string());
}
