//! A store under test, with its clock, as one replica has it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use keybound::config::{Layout, OnUnavailable, Redis as Config, RedisAddress, Sentinel};
use keybound::decision::binding::{Spend, Spending};
use keybound::decision::client::ClientId;
use keybound::edge::spent::memory::Memory;
use keybound::edge::spent::redis::{Link, State, Store};
use keybound::edge::spent::{Settled, Spent};
use keybound::telemetry::metrics::Metrics;

use crate::redis::{Cluster, Redis};

/// The time by the clock of the tests.
pub const NOW: i64 = 1_800_000_000;
/// How far proofs may be ahead.
pub const SKEW: i64 = 10;
/// An epoch that begins at `NOW` refuses what was made until then and so much later: the skew, and what clocks may differ by.
pub const REFUSED: i64 = SKEW + 2;

/// How Sentinels call what they watch.
pub const PRIMARY: &str = "fleet-of-tests";

/// One replica's.
pub struct Bench {
    /// What checks ask: a worker's link each.
    pub links: Vec<Spent>,
    pub memory: Arc<Memory>,
    pub store: Option<Arc<Store>>,
    pub metrics: Arc<Metrics>,
}

/// What a replica is like.
#[derive(Clone, Copy)]
pub struct Plan<'p> {
    pub capacity: usize,
    pub share_percent: u8,
    pub prefix: &'p str,
    pub on_unavailable: OnUnavailable,
    pub workers: usize,
    pub clock: fn() -> i64,
}

impl<'p> Plan<'p> {
    pub fn new(prefix: &'p str) -> Self {
        let on_unavailable = OnUnavailable::Deny;
        Self { capacity: 10_000, share_percent: 100, prefix, on_unavailable, workers: 1, clock: || NOW }
    }
}

impl Bench {
    pub fn memory(plan: Plan<'_>) -> Self {
        let memory = Arc::new(Memory::new(plan.capacity, plan.share_percent, NOW + REFUSED));
        let metrics = Arc::new(Metrics::new().unwrap());
        Self { links: vec![Spent::Memory(Arc::clone(&memory))], memory, store: None, metrics }
    }

    /// A replica at this Redis, which need not be there yet.
    pub fn joining(layout: Layout, addresses: &[String], plan: Plan<'_>) -> Self {
        let redis = Config {
            layout,
            addresses: addresses.iter().map(|address| RedisAddress::parse(address).unwrap()).collect(),
            sentinel: (layout == Layout::Sentinel).then(|| Sentinel {
                primary: PRIMARY.to_owned(),
                username: None,
                password_file: None,
            }),
            tls: None,
            username: None,
            password_file: None,
            database: 0,
            // An unoptimised build on a busy machine.
            timeout: Duration::from_millis(300),
            key_prefix: plan.prefix.to_owned(),
        };
        let memory = Arc::new(Memory::new(plan.capacity, plan.share_percent, i64::MIN));
        let metrics = Arc::new(Metrics::new().unwrap());
        let (own, told) = (Arc::clone(&memory), Arc::clone(&metrics));
        let store = Arc::new(Store::new(redis, plan.on_unavailable, own, SKEW, plan.clock, told));
        let links: Vec<Arc<Link>> = (0..plan.workers).map(|_| store.link()).collect();
        for link in &links {
            let link = Arc::clone(link);
            tokio::spawn(async move { link.keep().await });
        }
        Self { links: links.into_iter().map(Spent::Redis).collect(), memory, store: Some(store), metrics }
    }

    /// A replica at this Redis, once it has found it.
    pub async fn at(redis: &Redis, plan: Plan<'_>) -> Self {
        let bench = Self::joining(Layout::Single, &[redis.address()], plan);
        bench.stands(State::Shared).await;
        bench
    }

    /// A replica at this cluster; it is told of one node.
    pub async fn at_cluster(cluster: &Cluster, plan: Plan<'_>) -> Self {
        let bench = Self::joining(Layout::Cluster, &[cluster.0[0].address()], plan);
        bench.stands(State::Shared).await;
        bench
    }

    pub fn state(&self) -> State {
        self.store.as_ref().map_or(State::Shared, |store| store.standing().state())
    }

    /// Waits until it stands like that.
    pub async fn stands(&self, state: State) {
        let begun = Instant::now();
        while self.state() != state {
            let why = self.store.as_ref().and_then(|store| store.standing().why());
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?} instead of {state:?}: {why:?}", self.state());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn settle(&self, spend: &Spend, now: i64) -> Settled {
        self.links[0].spend(spend, now).await
    }

    pub async fn spend(&self, spend: &Spend, now: i64) -> Spending {
        self.settle(spend, now).await.spending
    }

    /// What many workers do at once.
    pub async fn spend_by(&self, link: usize, spend: &Spend, now: i64) -> Spending {
        self.links[link].spend(spend, now).await.spending
    }
}

/// A proof of a client, made when an epoch of `NOW` does not refuse it any more.
pub fn proof(key: u64, client: &str) -> Spend {
    proof_of(key, client, NOW + REFUSED + 1)
}

/// A proof that was made then.
pub fn proof_of(key: u64, client: &str, made_at: i64) -> Spend {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_le_bytes());
    // As a digest would be: spread over the slots of a cluster.
    bytes[31] = bytes[0].wrapping_mul(151);
    let client = ClientId { issuer: "https://as.test".into(), id: client.into() };
    Spend { key: bytes, client: client.into(), made_at, by_nonce: false, until: made_at + 70 }
}

/// The one Redis for tests that do it no harm.
pub fn redis() -> &'static Redis {
    static REDIS: OnceLock<Redis> = OnceLock::new();
    REDIS.get_or_init(|| Redis::start("shared", &[]))
}

/// The one cluster for tests that do it no harm.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start("cluster", 0))
}

/// A clock that a test sets.
pub struct Clock(AtomicI64);

impl Clock {
    pub const fn new() -> Self {
        Self(AtomicI64::new(NOW))
    }

    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self, now: i64) {
        self.0.store(now, Ordering::Release);
    }
}
