//! What is counted: the whole check with its record and its encoded answer, the judgement in it, policy alone, and signatures
//! apart.

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use futures_util::FutureExt as _;
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::decision::{Decision, Examined, Proven, Verdict, examine};
use keybound::edge::gate::{self, Gate, Partners};
use keybound::edge::jwks::Wanted;
use keybound::edge::reply::CheckResponse;
use keybound::edge::spent::memory::Memory;
use keybound::operator::check::prepare;
use keybound::telemetry::log;
use keybound::telemetry::metrics::Metrics;
use prost::Message as _;
use tonic::codegen::Bytes;

use crate::prepared::{self, CHECKS, Case, Signed};
use crate::world::Algorithm;

const POINT: &str = "edge";

/// The time of all checks.
static NOW: AtomicI64 = AtomicI64::new(0);
/// Of the process's logs; dropped with it.
static LOGS: OnceLock<Box<dyn Send + Sync>> = OnceLock::new();

/// A gate that has seen checks of that case, and the next ones.
struct Ready {
    gate: Gate,
    messages: Vec<Bytes>,
    code: &'static str,
}

/// Lives until the process ends: what it takes to drop it is not counted.
fn ready(case: Case) -> &'static Ready {
    let Ok(start) = prepare(&prepared::config()) else { panic!("the estate is refused") };
    LOGS.get_or_init(|| Box::new(log::start(start.config.log.level)));
    NOW.store(prepared::now(), Ordering::Relaxed);
    let gate = Gate {
        snapshot: Arc::new(ArcSwap::from_pointee(start.keeper.snapshot())),
        partners: Partners::alone(Arc::new(Memory::new(100_000, 100, i64::MIN))),
        clock: || NOW.load(Ordering::Relaxed),
        upstream: start.config.upstream.clone(),
        // Valgrind takes its time.
        deadline: Duration::from_secs(3_600),
        allow_sample_percent: 0,
        wanted: Wanted::default(),
        metrics: Arc::new(Metrics::new().expect("metrics")),
    };
    let messages = case.messages().into_iter().map(Bytes::from).collect();
    let ready = Ready { gate, messages, code: case.code() };
    // The first check of a process fills more than the memory of tokens.
    for before in case.before() {
        let before =
            ready.gate.check(POINT, Ok(before.into()), Instant::now()).now_or_never().expect("nobody is asked");
        must_say(before.encoded(), case.code());
    }
    Box::leak(Box::new(ready))
}

/// The answer has this code.
fn must_say(answer: &[u8], code: &str) {
    assert!(answer.windows(code.len()).any(|part| part == code.as_bytes()), "another code than {code}");
}

fn bound_seen() -> &'static Ready {
    ready(Case::BoundSeen)
}

fn dpop_es256() -> &'static Ready {
    ready(Case::DpopEs256)
}

fn dpop_eddsa() -> &'static Ready {
    ready(Case::DpopEdDsa)
}

fn never_seen_rs256() -> &'static Ready {
    ready(Case::NeverSeenRs256)
}

fn garbage() -> &'static Ready {
    ready(Case::Garbage)
}

fn answered((ready, answers): (&'static Ready, [CheckResponse; CHECKS])) {
    for answer in &answers {
        must_say(answer.encoded(), ready.code);
    }
}

// The bytes of a message in, those of the answer out.
#[library_benchmark(teardown = answered)]
#[bench::bound_seen(bound_seen())]
#[bench::dpop_es256(dpop_es256())]
#[bench::dpop_eddsa(dpop_eddsa())]
#[bench::never_seen_rs256(never_seen_rs256())]
#[bench::garbage(garbage())]
fn whole(ready: &'static Ready) -> (&'static Ready, [CheckResponse; CHECKS]) {
    let answers = std::array::from_fn(|number| {
        let message = black_box(ready.messages[number].clone());
        ready.gate.check(POINT, Ok(message), Instant::now()).now_or_never().expect("nobody is asked")
    });
    (ready, black_box(answers))
}

fn judged((ready, decisions): (&'static Ready, Vec<Decision>)) {
    assert_eq!(decisions.len(), CHECKS);
    for decision in decisions {
        let allowed = matches!(decision.verdict, Verdict::Allowed { .. });
        assert_eq!(allowed, ready.code == "allowed", "another decision than expected");
    }
}

// The judgement alone.
#[library_benchmark(teardown = judged)]
#[bench::bound_seen(bound_seen())]
#[bench::garbage(garbage())]
fn judge(ready: &'static Ready) -> (&'static Ready, Vec<Decision>) {
    let (gate, now) = (&ready.gate, NOW.load(Ordering::Relaxed));
    let judge = |message: &Bytes| {
        let snapshot = gate.snapshot.load();
        let judging = gate::judge(&snapshot, &gate.partners, POINT, Ok(black_box(message.as_ref())), now);
        judging.now_or_never().expect("nobody is asked")
    };
    (ready, ready.messages.iter().map(judge).collect())
}

/// Senders of whom everything is proven.
fn proven() -> (&'static Ready, Vec<Proven<'static>>) {
    let ready = bound_seen();
    (ready, ready.messages.iter().map(|message| sender(ready, message)).collect())
}

fn sender(ready: &'static Ready, message: &Bytes) -> Proven<'static> {
    let request = CheckRequest::decode(message.clone()).expect("a CheckRequest");
    let attributes: &'static AttributeContext = Box::leak(Box::new(request.attributes.expect("attributes")));
    let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).expect("a request");
    let source = attributes.source.as_ref().expect("a source");
    let raw = RawRequest {
        method: http.method.as_bytes(),
        host: http.host.as_bytes(),
        path: http.path.as_bytes(),
        query: &[],
        fragment: &[],
        headers: http.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
        peer_address: b"192.0.2.77",
        peer_principal: source.principal.as_bytes(),
        peer_certificate: source.certificate.as_bytes(),
        api_hint: None,
    };
    let facts = Box::leak(Box::new(RequestFacts::new(POINT, Box::leak(Box::new(raw))).expect("facts")));
    let snapshot = Box::leak(Box::new(ready.gate.snapshot.load_full()));
    match examine(snapshot, facts, NOW.load(Ordering::Relaxed)) {
        Examined::Proven(proven) => *proven,
        Examined::Ended(_) | Examined::Asks(_) | Examined::Looks(_) | Examined::Needs(_) => {
            panic!("a sender with a certificate")
        }
    }
}

// From the proven sender to the decision.
#[library_benchmark(teardown = judged)]
#[bench::bound_seen(proven())]
fn policy((ready, proven): (&'static Ready, Vec<Proven<'static>>)) -> (&'static Ready, Vec<Decision>) {
    (ready, black_box(proven).into_iter().map(Proven::conclude).collect())
}

type Verified = (&'static dyn VerificationAlgorithm, &'static [Signed]);

fn signed(case: Case) -> Verified {
    let algorithm: &'static dyn VerificationAlgorithm = match case.algorithm().expect("a case with a signature") {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::EdDsa => &ED25519,
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
    };
    let signed: &'static [Signed] = case.signed().leak();
    // The first verification of a process looks at the processor.
    assert!(verify((algorithm, signed)), "good signatures");
    (algorithm, signed)
}

fn verify((algorithm, signed): Verified) -> bool {
    signed.iter().all(|signed| {
        let key = UnparsedPublicKey::new(algorithm, &signed.key);
        key.verify(&signed.input, &signed.signature).is_ok()
    })
}

// Keys parsed and signatures verified: what no check of that case can do without.
#[library_benchmark]
#[bench::dpop_es256(signed(Case::DpopEs256))]
#[bench::dpop_eddsa(signed(Case::DpopEdDsa))]
#[bench::never_seen_rs256(signed(Case::NeverSeenRs256))]
fn signature(signed: Verified) -> bool {
    black_box(verify(black_box(signed)))
}

library_benchmark_group!(name = checks, benchmarks = [whole, judge, policy, signature]);
main!(
    // Instructions are all that is looked at.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
    library_benchmark_groups = checks
);

/// Counts, or is counted.
pub fn run() {
    main();
}
