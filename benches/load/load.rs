//! The load: one thread, HTTP/2 by hand, messages made before. Every answer is read to its end and judged.
//!
//! A closed loop keeps so many checks in flight and shows what a server can do. An open loop sends at times fixed in advance,
//! whatever the server does, and counts from those times: a server that stalls does not hide it by slowing the sender down.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use rustix::time::{ClockId, clock_gettime};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::answer::{Expected, told};
use crate::process::{Cores, Server};

/// Checks in flight are answered within this, or the run fails.
const AT_MOST: Duration = Duration::from_secs(45);

/// How a server is driven.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// HTTP/2 connections.
    pub connections: usize,
    /// Checks in flight on each, in a closed loop.
    pub in_flight: usize,
}

/// Messages, and what is answered to them.
pub struct Supply {
    messages: Vec<Bytes>,
    /// Each at most once; else they go round.
    once: bool,
    expected: Vec<Expected>,
}

impl Supply {
    /// These messages, framed for gRPC (a flag and a length before each).
    pub fn new(messages: Vec<Vec<u8>>, once: bool, expected: Vec<Expected>) -> Self {
        let framed = |message: Vec<u8>| {
            let mut frame = BytesMut::with_capacity(message.len() + 5);
            frame.put_u8(0);
            frame.put_u32(u32::try_from(message.len()).expect("a short message"));
            frame.put_slice(&message);
            frame.freeze()
        };
        Self { messages: messages.into_iter().map(framed).collect(), once, expected }
    }

    /// The same messages, each sent once only.
    pub fn each_once(&self) -> Self {
        Self { messages: self.messages.clone(), once: true, expected: self.expected.clone() }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    fn at(&self, number: usize) -> Option<Bytes> {
        let number = if self.once { number } else { number % self.messages.len() };
        self.messages.get(number).cloned()
    }

    /// Which of the expected answers it is.
    fn judge(&self, answer: Result<Bytes, String>) -> Result<u8, String> {
        let answer = answer?;
        let met = self.expected.iter().position(|expected| expected.is_met_by(&answer));
        met.and_then(|met| u8::try_from(met).ok()).ok_or_else(|| {
            let words: Vec<_> = self.expected.iter().map(|expected| expected.words.as_str()).collect();
            format!("expected {}, got {}", words.join(" or "), told(&answer))
        })
    }
}

/// What a closed loop showed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Checks a second.
    pub rate: f64,
    /// CPU time of the server for one check, µs.
    pub cpu: f64,
    /// How much of its core the load used.
    pub load_share: f64,
    /// How much of a core the server used.
    pub server_share: f64,
    /// How many answers were of the first kind that was expected.
    pub first: u64,
    /// Answers.
    pub answers: u64,
}

/// What is sent in an open loop.
pub struct Flow<'s> {
    pub supply: &'s Supply,
    /// Checks a second.
    pub rate: f64,
}

/// One check of an open loop.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// When it was to be sent, after the begin.
    pub due: Duration,
    /// How much later it was sent.
    pub lag: Duration,
    /// From when it was to be sent to the end of its answer.
    pub took: Duration,
    /// Which of the expected answers it got.
    pub kind: u8,
}

/// What an open loop showed.
pub struct Opened {
    /// From when times count.
    pub begun: Instant,
    /// The checks of each flow, in the order of their times.
    pub flows: Vec<Vec<Shot>>,
}

/// When an open loop ends.
pub struct Span<'s> {
    /// At the latest.
    pub at_most: Duration,
    /// When somebody says so.
    pub stop: Option<&'s AtomicBool>,
}

fn cpu_of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

struct Lines {
    senders: Vec<SendRequest<Bytes>>,
    /// Driven as long as this lives.
    _driven: JoinSet<()>,
    template: Request<()>,
}

impl Lines {
    async fn open(address: SocketAddr, count: usize) -> Result<Self, String> {
        let (mut senders, mut driven) = (Vec::new(), JoinSet::new());
        for _ in 0..count {
            let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let mut builder = h2::client::Builder::new();
            builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24).initial_max_send_streams(4096);
            let (sender, connection) = builder.handshake(stream).await.map_err(|error| error.to_string())?;
            driven.spawn_local(async move { drop(connection.await) });
            senders.push(sender);
        }
        let template = Request::post(format!("http://{address}/envoy.service.auth.v3.Authorization/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "30000m")
            .body(())
            .map_err(|error| error.to_string())?;
        Ok(Self { senders, _driven: driven, template })
    }

    async fn ask(&self, line: usize, message: Bytes) -> Result<Bytes, String> {
        let sender = self.senders[line % self.senders.len()].clone();
        timeout(AT_MOST, exchange(sender, self.template.clone(), message)).await.map_err(|_| "no answer".to_owned())?
    }
}

async fn exchange(sender: SendRequest<Bytes>, request: Request<()>, message: Bytes) -> Result<Bytes, String> {
    let broken = |error: h2::Error| format!("HTTP/2: {error}");
    let mut sender = sender.ready().await.map_err(broken)?;
    let (response, mut stream) = sender.send_request(request, false).map_err(broken)?;
    stream.send_data(message, true).map_err(broken)?;
    let response = response.await.map_err(broken)?;
    if response.status() != 200 {
        return Err(format!("HTTP status {}", response.status()));
    }
    let status = |headers: &HeaderMap| headers.get("grpc-status").map(|status| status.as_bytes().to_vec());
    let mut grpc = status(response.headers());
    let mut body = response.into_body();
    let mut answer = Bytes::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(broken)?;
        body.flow_control().release_capacity(data.len()).map_err(broken)?;
        answer = if answer.is_empty() { data } else { Bytes::from([answer, data].concat()) };
    }
    if let Some(trailers) = body.trailers().await.map_err(broken)? {
        grpc = status(&trailers);
    }
    if grpc.as_deref() != Some(b"0") {
        let said = grpc.map(|status| String::from_utf8_lossy(&status).into_owned());
        return Err(format!("grpc-status {said:?} instead of 0"));
    }
    if answer.len() < 5 || answer[0] != 0 {
        return Err("no whole message in the answer".to_owned());
    }
    Ok(answer.slice(5..))
}

/// Runs on the cores of the load.
fn on_thread<T: Send, F: Future<Output = T>>(cores: &Cores, work: impl FnOnce() -> F + Send) -> T {
    cores.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async { work().await })
    })
}

struct Tally {
    next: Cell<usize>,
    answers: Cell<u64>,
    first: Cell<u64>,
    stop: Cell<bool>,
    wrong: RefCell<Option<String>>,
}

/// A closed loop: so long, after a while to warm up. Ends before if the supply does.
pub fn closed(
    server: &Server,
    supply: &Supply,
    shape: Shape,
    (warm, long): (Duration, Duration),
    cores: &Cores,
) -> Result<Closed, String> {
    on_thread(cores, || closed_loop(server, supply, shape, warm, long))
}

async fn closed_loop(
    server: &Server,
    supply: &Supply,
    shape: Shape,
    warm: Duration,
    long: Duration,
) -> Result<Closed, String> {
    let lines = Lines::open(server.check, shape.connections).await?;
    let tally = Tally {
        next: Cell::new(0),
        answers: Cell::new(0),
        first: Cell::new(0),
        stop: Cell::new(false),
        wrong: RefCell::new(None),
    };
    let one_after_another = async |line: usize| {
        while !tally.stop.get() {
            let number = tally.next.replace(tally.next.get() + 1);
            let Some(message) = supply.at(number) else { break };
            match supply.judge(lines.ask(line, message).await) {
                Ok(kind) => {
                    tally.answers.set(tally.answers.get() + 1);
                    tally.first.set(tally.first.get() + u64::from(kind == 0));
                }
                Err(wrong) => {
                    tally.wrong.borrow_mut().get_or_insert(wrong);
                    tally.stop.set(true);
                }
            }
        }
    };
    let all = futures_util::future::join_all((0..shape.connections * shape.in_flight).map(one_after_another));
    let watch = async {
        sleep(warm).await;
        let (begun, cpu, ours) = (Instant::now(), server.cpu(), cpu_of_this_thread());
        let (answers, first) = (tally.answers.get(), tally.first.get());
        // The last checks of a supply are not many at once any more: they do not count where it is measured.
        let waiting = if warm.is_zero() { 0 } else { shape.connections * shape.in_flight };
        let enough = u64::try_from(supply.len().saturating_sub(waiting)).unwrap_or(u64::MAX);
        while begun.elapsed() < long && !tally.stop.get() && (!supply.once || tally.answers.get() < enough) {
            sleep(Duration::from_millis(2)).await;
        }
        let (lasted, cpu, ours) =
            (begun.elapsed(), server.cpu().saturating_sub(cpu), cpu_of_this_thread().saturating_sub(ours));
        tally.stop.set(true);
        let answers = tally.answers.get() - answers;
        Closed {
            rate: count(answers) / lasted.as_secs_f64(),
            cpu: cpu.as_secs_f64() * 1e6 / count(answers.max(1)),
            load_share: ours.as_secs_f64() / lasted.as_secs_f64(),
            server_share: cpu.as_secs_f64() / lasted.as_secs_f64(),
            first: tally.first.get() - first,
            answers,
        }
    };
    let (_, closed) = tokio::join!(all, watch);
    tally.wrong.take().map_or(Ok(closed), Err)
}

#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub const fn count(number: u64) -> f64 {
    number as f64
}

/// An open loop of one or more flows, which share the connections.
pub fn open(
    server: &Server,
    flows: &[Flow<'_>],
    connections: usize,
    span: &Span<'_>,
    cores: &Cores,
) -> Result<Opened, String> {
    on_thread(cores, || open_loop(server.check, flows, connections, span))
}

async fn open_loop(
    address: SocketAddr,
    flows: &[Flow<'_>],
    connections: usize,
    span: &Span<'_>,
) -> Result<Opened, String> {
    let lines = Rc::new(Lines::open(address, connections).await?);
    let mut shots: Vec<Vec<Shot>> = flows.iter().map(|_| Vec::new()).collect();
    let mut sent = vec![0_u32; flows.len()];
    let mut under_way = JoinSet::new();
    let due = |flow: usize, number: u32| Duration::from_secs_f64(f64::from(number) / flows[flow].rate);
    let begun = Instant::now();
    let mut line = 0;
    loop {
        let next = (0..flows.len()).min_by_key(|flow| due(*flow, sent[*flow])).ok_or("no flow")?;
        let at = due(next, sent[next]);
        let message = flows[next].supply.at(usize::try_from(sent[next]).unwrap_or(usize::MAX));
        let stopped = span.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
        let Some(message) = message.filter(|_| at < span.at_most && !stopped) else { break };
        while begun.elapsed() < at {
            tokio::task::yield_now().await;
            take(&mut under_way, flows, &mut shots)?;
        }
        let lag = begun.elapsed().saturating_sub(at);
        sent[next] += 1;
        line += 1;
        let lines = Rc::clone(&lines);
        under_way.spawn_local(async move {
            let answer = lines.ask(line, message).await;
            (next, at, lag, begun.elapsed().saturating_sub(at), answer)
        });
        if line % 16 == 0 {
            // Behind its times, the sender must still let answers in.
            tokio::task::yield_now().await;
            take(&mut under_way, flows, &mut shots)?;
        }
    }
    while !under_way.is_empty() {
        tokio::task::yield_now().await;
        take(&mut under_way, flows, &mut shots)?;
    }
    for shots in &mut shots {
        shots.sort_unstable_by_key(|shot| shot.due);
    }
    Ok(Opened { begun, flows: shots })
}

type Sent = (usize, Duration, Duration, Duration, Result<Bytes, String>);

fn take(under_way: &mut JoinSet<Sent>, flows: &[Flow<'_>], shots: &mut [Vec<Shot>]) -> Result<(), String> {
    while let Some(ended) = under_way.try_join_next() {
        let (flow, due, lag, took, answer) = ended.map_err(|error| error.to_string())?;
        let kind = flows[flow].supply.judge(answer)?;
        shots[flow].push(Shot { due, lag, took, kind });
    }
    Ok(())
}

/// From now until a server answers a check rightly, asked again and again.
pub fn first_answer(server: &Server, supply: &Supply, cores: &Cores) -> Result<Duration, String> {
    on_thread(cores, async || {
        while server.begun.elapsed() < Duration::from_secs(90) {
            if let Ok(lines) = Lines::open(server.check, 1).await
                && let Some(message) = supply.at(0)
                && let Ok(answer) = lines.ask(0, message).await
            {
                supply.judge(Ok(answer))?;
                return Ok(server.begun.elapsed());
            }
            sleep(Duration::from_millis(1)).await;
        }
        Err("no answer within 90 seconds".to_owned())
    })
}
