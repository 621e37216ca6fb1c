//! What each stage of one check costs, in-process: `cargo bench --bench stages`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark may stop at the first surprise"
)]

#[path = "world/mod.rs"]
mod world;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use keybound::decision::facts::RequestFacts;
use keybound::decision::{Decision, Verdict};
use keybound::edge::wire;
use tonic::codegen::Bytes;
use world::classic::Classic;
use world::inside::Inside;
use world::{Algorithm, Client, Options, bound, dpop, garbage, token};

fn allowed(decision: &Decision) {
    assert!(matches!(decision.verdict, Verdict::Allowed { .. }), "not an allow");
}

fn whole(criterion: &mut Criterion) {
    let inside = Inside::new(1_000);
    let message = Bytes::from(bound(&token(Client::Certificate, Algorithm::Es256)));
    let decided = |message: &Bytes| inside.judge(message);
    allowed(&decided(&message));
    let mut group = criterion.benchmark_group("judge");
    group.bench_function("certificate-bound, token seen", |bench| bench.iter(|| decided(black_box(&message))));
    let options = Options { certificate: "xfcc", ..Options::default() };
    let forwarded = Inside::with(1_000, options);
    let decided_by_header = |message: &Bytes| forwarded.judge(message);
    allowed(&decided_by_header(&message));
    group.bench_function("certificate-bound, from XFCC, token seen", |bench| {
        bench.iter(|| decided_by_header(black_box(&message)));
    });
    for (name, client) in [("DPoP ES256, token seen", Client::DpopEs256), ("DPoP EdDSA, token seen", Client::DpopEdDsa)]
    {
        let token = token(client, Algorithm::Es256);
        allowed(&decided(&Bytes::from(dpop(client, &token))));
        let fresh = || Bytes::from(dpop(client, &token));
        group.bench_function(name, |bench| {
            bench.iter_batched(fresh, |message| decided(&message), BatchSize::SmallInput);
        });
    }
    let unseen = || Bytes::from(bound(&token(Client::Certificate, Algorithm::Rs256)));
    group.bench_function("certificate-bound, RS256, never seen", |bench| {
        bench.iter_batched(unseen, |message| decided(&message), BatchSize::SmallInput);
    });
    let garbage = Bytes::from(garbage());
    group.bench_function("garbage", |bench| bench.iter(|| decided(black_box(&garbage))));
    group.finish();

    let mut group = criterion.benchmark_group("gate");
    group.bench_function("certificate-bound, token seen, with record and answer", |bench| {
        bench.iter(|| inside.check(&message).encoded().len());
    });
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let message = bound(&token(Client::Certificate, Algorithm::Es256));
    let mut group = criterion.benchmark_group("parts");
    group.bench_function("wire", |bench| bench.iter(|| wire::read(black_box(&message)).unwrap().path.len()));
    let raw = wire::read(&message).unwrap();
    group.bench_function("facts", |bench| {
        bench.iter(|| RequestFacts::new("edge", black_box(&raw)).map(|facts| facts.path().len()).ok());
    });
    group.finish();
}

fn policies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    for count in [10, 100, 1_000, 10_000] {
        let inside = Inside::new(count);
        let message = bound(&token(Client::Certificate, Algorithm::Es256));
        inside.with_subject(&message, |question, subject| {
            group.bench_function(format!("{count} policies"), |bench| {
                bench.iter(|| {
                    question.authorise(black_box(subject)).map(|permitted| permitted.policies().len()).unwrap()
                });
            });
        });
    }
    // One question, asked both ways: the first is to take a hundredth of the second at most.
    let inside = Inside::new(1_000);
    let classic = Classic::new(1_000);
    inside.with_subject(&bound(&token(Client::Certificate, Algorithm::Es256)), |question, subject| {
        let permitted = question.authorise(subject).map(|permitted| permitted.policies().to_vec()).unwrap();
        let named = permitted.iter().map(|policy| policy.id.clone()).collect();
        assert_eq!(classic.authorise(), named, "the same policies decide");
    });
    group.bench_function("1000 policies, Cedar by the book", |bench| bench.iter(|| classic.authorise().len()));
    group.finish();
}

criterion_group!(stages, whole, parts, policies);
criterion_main!(stages);
