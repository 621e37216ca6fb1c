//! The driver: an even stream of requests of many kinds through Envoy, each of which is known to pass or to fail. What became of
//! each is kept, by the phase in which it was sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Identity, Method};
use tokio::task::JoinSet;

use crate::figures::{Figures, recovered};
use crate::lab::files::server_certificate;
use crate::lab::upstream::MARK;
use crate::lab::{Edge, until};
use crate::mix::{Kind, Make, Must, Shows};
use crate::requests::ITEMS;
use crate::send::keep_secrets_of;
use crate::support::{Leaf, Request, fresh_id, pki};

/// How many sent proofs are kept to be sent again.
const POOL: usize = 4000;
/// Connections of clients without a certificate: Envoy takes 100 requests at once on each.
const PLAIN: usize = 6;
/// Longer than Envoy waits for keybound and for the API.
const AT_MOST: Duration = Duration::from_secs(20);

/// When a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is wrong yet.
    Calm,
    /// The fault is there.
    Fault,
    /// It has been taken away.
    After,
}

/// One request, and what came back.
pub struct Shot {
    pub kind: &'static str,
    pub must: Must,
    /// What the API is to be told of how the sender was proven.
    pub proven: &'static str,
    pub phase: Phase,
    pub begun: Instant,
    pub took: Duration,
    /// None: there is no answer, or none yet.
    pub status: Option<u16>,
    /// Under which the decision is found in Envoy's log.
    pub id: Option<String>,
    pub mark: String,
    /// Of all requests with the same proof at most one may pass.
    pub proof: Option<u64>,
}

impl Shot {
    /// A request of somebody who may, answered or not.
    pub fn is_good(&self) -> bool {
        self.must == Must::Pass
    }

    pub fn passed(&self) -> bool {
        self.status == Some(200)
    }
}

struct Shared {
    mix: Mutex<Arc<[Kind]>>,
    phase: Mutex<(Phase, Option<Instant>)>,
    shots: Mutex<Vec<Shot>>,
    ticks_per_second: AtomicU32,
    /// Requests of one tick: made first, then sent at once.
    burst: AtomicUsize,
    stop: AtomicBool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream of requests, until it is ended.
pub struct Load<'e> {
    edge: &'e Edge,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl<'e> Load<'e> {
    /// Begins to send this mix.
    pub fn start(edge: &'e Edge, mix: Vec<Kind>, per_second: u32) -> Self {
        let shared = Arc::new(Shared {
            mix: Mutex::new(mix.into()),
            phase: Mutex::new((Phase::Calm, None)),
            shots: Mutex::default(),
            ticks_per_second: AtomicU32::new(per_second),
            burst: AtomicUsize::new(1),
            stop: AtomicBool::new(false),
        });
        let (clients, driven) = (Arc::new(Clients::of(edge)), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(drive(&driven, &clients));
        });
        Self { edge, shared, thread: Some(thread) }
    }

    /// From now on another mix is sent.
    pub fn mix(&self, mix: Vec<Kind>) {
        *held(&self.shared.mix) = mix.into();
    }

    /// From now on at this rate: so many times a second, so many at once.
    pub fn rate(&self, ticks_per_second: u32, burst: usize) {
        self.shared.ticks_per_second.store(ticks_per_second, Ordering::Release);
        self.shared.burst.store(burst, Ordering::Release);
    }

    /// The fault is about to come.
    pub fn fault(&self) {
        *held(&self.shared.phase) = (Phase::Fault, None);
    }

    /// The fault has just been taken away.
    pub fn healed(&self) {
        *held(&self.shared.phase) = (Phase::After, Some(Instant::now()));
    }

    /// Waits until good requests pass again, and then for a while.
    pub fn recover(&self, at_most: Duration) {
        let (_, healed) = *held(&self.shared.phase);
        let healed = healed.expect("a fault that was taken away");
        until("good requests pass again", at_most, || recovered(&held(&self.shared.shots), healed));
        sleep(1000);
    }

    /// Good requests so far: those that passed, and those that were denied.
    pub fn good_so_far(&self) -> (usize, usize) {
        let shots = held(&self.shared.shots);
        let good = || shots.iter().filter(|shot| shot.is_good());
        let denied = good().filter(|shot| shot.status.is_some() && !shot.passed()).count();
        (good().filter(|shot| shot.passed()).count(), denied)
    }

    /// Stops sending, waits for what is under way, and judges every answer.
    pub fn end(mut self) -> Figures {
        self.join();
        let shots = std::mem::take(&mut *held(&self.shared.shots));
        let (_, healed) = *held(&self.shared.phase);
        Figures::of(self.edge, shots, healed.expect("a fault that was taken away"))
    }

    fn join(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the driver broke");
        }
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.join();
    }
}

/// For a scene: a while in which the load goes on.
pub fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// For a scene: what was sent before is answered, however late.
pub fn settle() {
    sleep(1200);
}

/// Clients with connections of their own.
struct Clients {
    plain: Vec<Client>,
    certified: Client,
    other: Client,
    port: u16,
}

impl Clients {
    fn of(edge: &Edge) -> Self {
        Self {
            plain: (0..PLAIN).map(|_| client(edge.port, None)).collect(),
            certified: client(edge.port, Some(&pki().client)),
            other: client(edge.port, Some(&pki().other)),
            port: edge.port,
        }
    }

    fn with(&self, shows: Shows, turn: u64) -> &Client {
        match shows {
            Shows::Nothing => &self.plain[usize::try_from(turn).expect("a small number") % PLAIN],
            Shows::Client => &self.certified,
            Shows::Other => &self.other,
        }
    }
}

fn client(port: u16, leaf: Option<&Leaf>) -> Client {
    let server = Certificate::from_pem(server_certificate().pem.as_bytes()).expect("a certificate");
    let mut builder = Client::builder().no_proxy().tls_certs_only([server]).timeout(AT_MOST);
    builder = builder.resolve(ITEMS, ([127, 0, 0, 1], port).into()).retry(reqwest::retry::never());
    if let Some(leaf) = leaf {
        let pem = format!("{}{}{}", leaf.key_pem, leaf.pem(), leaf.chain_pem);
        builder = builder.identity(Identity::from_pem(pem.as_bytes()).expect("a certificate and its key"));
    }
    builder.build().expect("a client")
}

/// A linear congruential generator (Knuth): the same stream of kinds in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

struct Drawn {
    kind: Kind,
    request: Request,
    proof: Option<u64>,
}

/// What was sent and may be sent again.
#[derive(Default)]
struct Pool {
    sent: VecDeque<(u64, Request)>,
    /// Made in this tick: copies are sent from the next one on.
    made: Vec<(u64, Request)>,
    proofs: u64,
}

impl Pool {
    fn draw(&mut self, mix: &[Kind], dice: &mut Dice) -> Drawn {
        let total = mix.iter().map(|kind| kind.weight).sum();
        let mut at = dice.throw(total);
        let mut kinds = mix.iter().filter(|kind| {
            let here = at < kind.weight;
            at = at.saturating_sub(kind.weight);
            here
        });
        let kind = kinds.next().expect("a kind").clone();
        match &kind.make {
            Make::Again if self.sent.is_empty() => self.draw(mix, dice),
            Make::Again => {
                let (proof, request) = self.sent[dice.throw(self.sent.len())].clone();
                Drawn { kind, request, proof: Some(proof) }
            }
            Make::Fresh(make) => {
                let request = make();
                let proof = kind.spends.then(|| self.keep(&request));
                Drawn { kind, request, proof }
            }
        }
    }

    fn keep(&mut self, request: &Request) -> u64 {
        self.proofs += 1;
        self.made.push((self.proofs, request.clone()));
        self.proofs
    }

    /// What was made has been sent.
    fn turn(&mut self) {
        self.sent.extend(self.made.drain(..));
        let over = self.sent.len().saturating_sub(POOL);
        self.sent.drain(..over);
    }
}

async fn drive(shared: &Arc<Shared>, clients: &Arc<Clients>) {
    let (mut pool, mut dice, mut under_way) = (Pool::default(), Dice(1), JoinSet::new());
    let mut turn = 0;
    while !shared.stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let mix = Arc::clone(&held(&shared.mix));
        let burst: Vec<_> = (0..shared.burst.load(Ordering::Acquire)).map(|_| pool.draw(&mix, &mut dice)).collect();
        for drawn in burst {
            turn += 1;
            let (phase, _) = *held(&shared.phase);
            let (shared, clients) = (Arc::clone(shared), Arc::clone(clients));
            under_way.spawn(async move { shoot(&shared, &clients, drawn, phase, turn).await });
        }
        while under_way.try_join_next().is_some() {}
        pool.turn();
        let pause = Duration::from_secs(1) / shared.ticks_per_second.load(Ordering::Acquire);
        // What a busy machine held up is not made up for: there is no burst that nobody asked for.
        tokio::time::sleep(pause.saturating_sub(begun.elapsed()).max(Duration::from_micros(100))).await;
    }
    while under_way.join_next().await.is_some() {}
}

async fn shoot(shared: &Shared, clients: &Clients, drawn: Drawn, phase: Phase, turn: u64) {
    let Drawn { kind, request, proof } = drawn;
    keep_secrets_of(&request);
    let mark = fresh_id();
    let method = Method::from_bytes(request.method.as_bytes()).expect("a method");
    let url = format!("https://{}:{}{}", request.authority, clients.port, request.path);
    let mut message = clients.with(kind.shows, turn).request(method, url).header(MARK, &mark);
    for (name, value) in &request.headers {
        message = message.header(name, value.as_slice());
    }
    let begun = Instant::now();
    let (kind, must, proven) = (kind.name, kind.must, kind.proven);
    let shot = Shot { kind, must, proven, phase, begun, took: Duration::ZERO, status: None, id: None, mark, proof };
    // On the list from the start: what is still waited for has not passed.
    let place = {
        let mut shots = held(&shared.shots);
        shots.push(shot);
        shots.len() - 1
    };
    let got = message.send().await;
    let took = begun.elapsed();
    let Ok(got) = got else { return held(&shared.shots)[place].took = took };
    let status = got.status().as_u16();
    let id = got.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    // A body that is cut off changes nothing: the head said what became of it.
    drop(got.bytes().await);
    let shot = &mut held(&shared.shots)[place];
    (shot.took, shot.status, shot.id) = (took, Some(status), id);
}
