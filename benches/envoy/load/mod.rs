//! The load: one thread that sends prepared requests, and refuses every answer but the right one.
//!
//! Closed loop (each lane sends its next request when the last one is answered) finds the saturation. Open loop sends at times
//! that were drawn before, whatever became of the requests before; a latency counts from the time when it was meant to be sent.

mod alarm;
mod lane;
mod stock;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use alarm::Alarm;
pub use lane::{Lane, Road, SERVER, lanes};
pub use stock::{Request, Stock};

/// Connections that stand during a phase.
pub const CONNECTIONS: usize = 8;
/// Requests under way on each of them, at most.
pub const IN_FLIGHT: usize = 16;
/// Answers that take longer than this never come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What went wrong first.
#[derive(Default)]
struct Wrong(Mutex<Option<String>>);

impl Wrong {
    fn tell(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    fn must_be_none(&self, phase: &str) {
        if let Some(what) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            panic!("{phase}: {what}");
        }
    }
}

/// Sends one, and looks at the answer.
async fn exchange(lane: &mut Lane, stock: &Stock, wrong: &Wrong) -> bool {
    let Some(request) = stock.take(lane.connection()) else {
        wrong.tell("the requests that were prepared are used up".to_owned());
        return false;
    };
    let answer = tokio::time::timeout(PATIENCE, lane.exchange(request)).await;
    let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
    match answer {
        Ok(200) => true,
        Ok(status) => {
            wrong.tell(format!("status 200 was expected, {status} came"));
            false
        }
        Err(error) => {
            wrong.tell(error);
            false
        }
    }
}

/// What was done in the measured part of a closed loop.
pub struct Saturation<T> {
    pub answered: u64,
    pub took: Duration,
    /// With what came before and after the measured part.
    pub all: u64,
    /// What the caller asked for at its beginning and at its end.
    pub seen: (T, T),
}

/// As many as it takes, for `warm` and then for `measured`.
pub async fn closed<T>(
    phase: &str,
    lanes: Vec<Lane>,
    stock: Arc<Stock>,
    (warm, measured): (Duration, Duration),
    see: impl Fn() -> T,
) -> Saturation<T> {
    let (wrong, answered, over) = (Arc::<Wrong>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        let (stock, wrong, answered, over) =
            (Arc::clone(&stock), Arc::clone(&wrong), Arc::clone(&answered), Arc::clone(&over));
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) && exchange(&mut lane, &stock, &wrong).await {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(warm).await;
    let (begun, first, before) = (Instant::now(), answered.load(Ordering::Relaxed), see());
    tokio::time::sleep(measured).await;
    let (took, last, after) = (begun.elapsed(), answered.load(Ordering::Relaxed), see());
    over.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.expect("a lane");
    }
    wrong.must_be_none(phase);
    assert!(last > first, "{phase}: nothing was answered");
    let all = answered.load(Ordering::Relaxed);
    Saturation { answered: last - first, took, all, seen: (before, after) }
}

/// Lanes that are free.
struct Free {
    lanes: Mutex<VecDeque<Lane>>,
    count: Semaphore,
}

impl Free {
    fn of(lanes: Vec<Lane>) -> Self {
        Self { count: Semaphore::new(lanes.len()), lanes: Mutex::new(lanes.into()) }
    }

    /// The one that has been free for the longest time.
    async fn exchange(&self, stock: &Stock, wrong: &Wrong) -> bool {
        let _one = self.count.acquire().await.expect("an open semaphore");
        let lane = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut lane = lane.expect("as many lanes as the semaphore has");
        let good = exchange(&mut lane, stock, wrong).await;
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push_back(lane);
        good
    }
}

/// Times from the beginning on, at which requests come by themselves: exponential gaps, the same in every run.
pub fn schedule(per_second: f64, of: Duration) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut at = 0.0;
    let gaps = std::iter::from_fn(|| {
        // In (0, 1].
        at -= (1.0 - random.f64()).ln() / per_second;
        Some(Duration::from_secs_f64(at))
    });
    gaps.take_while(|at| *at < of).collect()
}

/// Sends at these times; the latencies of those after `warm`, sorted.
pub async fn open(
    phase: &str,
    lanes: Vec<Lane>,
    stock: Arc<Stock>,
    schedule: &[Duration],
    warm: Duration,
) -> Vec<Duration> {
    let (free, wrong) = (Arc::new(Free::of(lanes)), Arc::<Wrong>::default());
    let latencies = Arc::new(Mutex::new(Vec::with_capacity(schedule.len())));
    let mut tasks = JoinSet::new();
    let alarm = Alarm::new();
    let begin = Instant::now() + Duration::from_millis(20);
    for at in schedule {
        let meant = begin + *at;
        alarm.until(meant).await;
        let counts = *at >= warm;
        let (free, stock, wrong, latencies) =
            (Arc::clone(&free), Arc::clone(&stock), Arc::clone(&wrong), Arc::clone(&latencies));
        tasks.spawn(async move {
            if free.exchange(&stock, &wrong).await && counts {
                latencies.lock().unwrap_or_else(PoisonError::into_inner).push(meant.elapsed());
            }
        });
        while tasks.try_join_next().is_some() {}
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a request");
    }
    wrong.must_be_none(phase);
    let mut latencies = std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
    latencies.sort_unstable();
    latencies
}

/// The status of one request.
pub async fn once(road: &Road, request: &Request) -> u16 {
    let mut lanes = lanes(road, 1, 1).await;
    let stock = Stock::of(vec![request.clone()]);
    let sent = lanes[0].exchange(stock.take(0).expect("one request"));
    let status = tokio::time::timeout(PATIENCE, sent).await.expect("an answer in time");
    status.unwrap_or_else(|error| panic!("{error}"))
}
