//! No input takes more than its share of time and memory, however it is made. Alone in its process: memory is counted for all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    reason = "a test may stop at the first surprise, and prints its table"
)]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use keybound::decision::jose::sha256;
use keybound::decision::revocation::{EntryId, Target};
use keybound::decision::token;
use keybound::edge::known::memories;
use keybound::edge::revocations::book::{Applied, Book};
use keybound::edge::revocations::entry::{ADMIN, Entry, Record};
use keybound::edge::revocations::list::RevocationList;
use keybound::telemetry::metrics::Metrics;
use peak_alloc::PeakAlloc;
use serde_json::json;

use support::wire::{encode, http_of};
use support::{
    Encoding, Good, Memory, NOW, Outcome, Request, Setting, good, good_mtls, good_mtls_by_header, good_with,
};
use support::{judge, keys, pki};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The judgement of a message takes at most this much beside the message, which is not copied.
const BYTES: usize = 1024 * 1024;
/// Far above what any takes (a millisecond or two), far below what work that grows with the square of its input would take.
const TIME: Duration = Duration::from_secs(2);

/// What is large and good all the same; what is not read may be anything.
const GOOD: [&str; 5] = [
    "a body of 15 MiB",
    "a principal of 8 MiB",
    "a thousand groups",
    "a good DPoP request",
    "a good request with a certificate",
];

const MIB: usize = 1024 * 1024;

fn by_bytes(bytes: Vec<u8>) -> Request {
    good().bytes(move |_| bytes.clone()).build()
}

fn by_message(edit: impl Fn(&mut CheckRequest) + Send + Sync + 'static) -> Request {
    good().message(edit).build()
}

fn headers(message: &mut CheckRequest, all: Vec<(String, Vec<u8>)>) {
    let http = http_of(message);
    http.headers = HashMap::new();
    let headers = all.into_iter().map(|(key, raw_value)| HeaderValue { key, raw_value, ..HeaderValue::default() });
    http.header_map = Some(HeaderMap { headers: headers.collect() });
}

/// A length-delimited field of protobuf.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// Attributes, request, HTTP request, around this content.
fn in_http(content: &[u8]) -> Vec<u8> {
    field(1, &field(4, &field(2, content)))
}

fn messages() -> Vec<(&'static str, Request)> {
    let empty_headers = [0x1a, 0x00].repeat(8 * MIB - 8);
    let empty_raw_headers = field(13, &[0x0a, 0x00].repeat(8 * MIB - 16));
    let merged = field(1, &[]).repeat(8 * MIB);
    vec![
        ("16 MiB of zeros", by_bytes(vec![0; 16 * MIB])),
        ("16 MiB of 0xff", by_bytes(vec![0xff; 16 * MIB])),
        ("eight million empty headers", by_bytes(in_http(&empty_headers))),
        ("eight million empty raw headers", by_bytes(in_http(&empty_raw_headers))),
        ("eight million empty extensions", by_bytes(field(1, &[0x52, 0x00].repeat(8 * MIB - 8)))),
        ("a message in eight million parts", by_bytes(merged)),
        ("a body of 15 MiB", by_message(|message| http_of(message).raw_body = vec![b'x'; 15 * MIB])),
        ("a path of 8 MiB", by_message(|message| http_of(message).path = format!("/{}", "a/".repeat(4 * MIB)))),
        ("an authority of 8 MiB", by_message(|message| http_of(message).host = "a.".repeat(4 * MIB))),
        (
            "a certificate of 8 MiB",
            by_message(|message| {
                let source = message.attributes.as_mut().unwrap().source.as_mut().unwrap();
                source.certificate = format!("-----BEGIN CERTIFICATE-----%0A{}", "A".repeat(8 * MIB));
            }),
        ),
        (
            "a principal of 8 MiB",
            by_message(|message| {
                let source = message.attributes.as_mut().unwrap().source.as_mut().unwrap();
                source.principal = "spiffe://x/".repeat(MIB);
            }),
        ),
        (
            "ten thousand headers",
            by_message(|message| {
                headers(message, (0..10_000).map(|n| (format!("x-{n}"), b"1".to_vec())).collect());
            }),
        ),
        (
            "256 headers that are all credentials",
            by_message(|message| {
                headers(message, (0..256).map(|_| ("authorization".to_owned(), b"DPoP a.b.c".to_vec())).collect());
            }),
        ),
    ]
}

/// The largest text that a limit lets through, and what is made of it.
fn texts() -> Vec<(&'static str, Request)> {
    let token_text = |text: String| good().token(|token| token.edit_text(move |_| text.clone())).build();
    let proof_text = |text: String| good().proof(|proof| proof.edit_text(move |_| text.clone())).build();
    let claims = |text: String| good().token(|token| token.edit_claims(move |_| text.clone())).build();
    let proof_claims = |text: String| good().proof(|proof| proof.edit_claims(move |_| text.clone())).build();
    let nested =
        |open: &str, close: &str, deep: usize| format!("{{\"a\":{}1{}}}", open.repeat(deep), close.repeat(deep));
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    vec![
        ("a token of 16 KiB of dots", token_text(".".repeat(16 * 1024))),
        ("a proof of 8 KiB of dots", proof_text(".".repeat(8 * 1024))),
        ("arrays six thousand deep in a token", claims(nested("[", "]", 5_900))),
        ("objects two thousand deep in a token", claims(nested("{\"a\":", "}", 1_900))),
        ("arrays two thousand deep in a proof", proof_claims(nested("[", "]", 2_000))),
        ("a thousand members in a token", claims(members(1_200))),
        ("one member a thousand times", claims(format!("{{{}}}", vec!["\"a\":0"; 1_500].join(",")))),
        ("a number of 10,000 digits", claims(format!("{{\"exp\":{}}}", "9".repeat(10_000)))),
        ("an exponent of 10,000 digits", claims(format!("{{\"exp\":1e{}}}", "9".repeat(10_000)))),
        ("escapes for ten thousand bytes", claims(format!("{{\"a\":\"{}\"}}", "\\u0041".repeat(1_900)))),
    ]
}

/// What is signed well, and dear to verify or to read.
fn signed() -> Vec<(&'static str, Request)> {
    let many = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>();
    let rsa_8192 = good_with(&keys().client_rsa, "PS256").proof(|proof| {
        let mut modulus = vec![0xff; 1024];
        modulus[0] = 0x80;
        proof.header["jwk"]["n"] = json!(support::base64url(modulus));
        proof.edit_signature(|_| vec![1; 1024]);
    });
    let element = format!("Hash={};URI=a;DNS=b", pki().other.hash());
    let xfcc = |value: String| {
        let hash = format!("Hash={}", pki().client.hash());
        good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", hash)
            .header("x-forwarded-client-cert", value)
            .build()
    };
    let chain = [pki().client.byte_sequence().as_str(); 40].join(", ");
    let client_cert = good_mtls_by_header(Setting::ClientCert, "client-cert", pki().client.byte_sequence());
    let dear = |good: Good| good.build();
    vec![
        ("64 audiences", dear(good().token(|token| token.claims["aud"] = json!(many(64))))),
        ("512 scopes", dear(good().token(|token| token.claims["scope"] = json!(many(512).join(" "))))),
        ("a thousand groups", dear(good().token(|token| token.claims["groups"] = json!(many(1_000))))),
        ("a proof with an RSA key of 8192 bits", rsa_8192.build()),
        ("forty elements of XFCC", xfcc([element.as_str(); 40].join(","))),
        ("a quote that is left open for 60 KiB", xfcc(format!("Hash=\"{}", "\\\"".repeat(30_000)))),
        ("sixty thousand pairs", xfcc(";".repeat(60_000))),
        ("a chain of forty certificates", client_cert.and_header("client-cert-chain", chain).build()),
        ("a good DPoP request", good().build()),
        ("a good request with a certificate", good_mtls().build()),
    ]
}

/// One after the other: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn no_input_takes_more_than_its_share_of_time_and_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{:<42} {:>10} {:>12} {:>9}  code", "input", "bytes", "memory", "ms");
    let mut wrong = Vec::new();
    for (name, request) in [messages(), texts(), signed()].concat() {
        // The first time makes keys, certificates and policies.
        judge(&request, Encoding::Raw, &Memory::new(10, 100), NOW);
        let message = encode(&request, Encoding::Raw);
        let size = message.len();
        let (outcome, memory, time) = measured(&request, message);
        println!("{name:<42} {size:>10} {memory:>12} {:>9.2}  {}", time.as_secs_f64() * 1e3, outcome.code);
        if outcome.status == 200 && !GOOD.contains(&name) {
            wrong.push(format!("{name} is allowed"));
        }
        if memory > BYTES {
            wrong.push(format!("{name}: {memory} bytes of memory for {size} bytes"));
        }
        if time > TIME {
            wrong.push(format!("{name}: {time:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What came of it, the most memory that it took, and how long. The message itself is not counted.
fn measured(request: &Request, message: Vec<u8>) -> (Outcome, usize, Duration) {
    let memory = Memory::new(10, 100);
    let mut request = request.clone();
    // Once: the closure gives the message away, so that no copy of it is counted.
    let message = Mutex::new(Some(message));
    request.edit_bytes = Some(Arc::new(move |_| message.lock().unwrap().take().unwrap()));
    request.edit_message = None;
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let start = Instant::now();
    let outcome = judge(&request, Encoding::Raw, &memory, NOW);
    (outcome, MEMORY.peak_usage().saturating_sub(before), start.elapsed())
}

/// The groups of the token of that number.
type Groups = fn(usize) -> serde_json::Value;

/// What is remembered of tokens takes what it is weighed as, whatever they look like: never more than is configured, and not much less.
#[test]
fn remembered_tokens_take_the_memory_that_is_configured() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = Setting::Standard.build();
    let bundle = snapshot.bundle.as_ref().unwrap();
    let (specs, apis) = (bundle.policies.claims(), bundle.inventory.apis());
    println!("{:<42} {:>10} {:>12} {:>9}", "tokens", "bytes", "memory", "kept");
    // Enough of each to fill it more than once.
    let shapes: [(&str, usize, Groups); 4] = [
        ("usual ones", 2_500, |_| json!([])),
        ("with three groups", 2_500, |number| json!([format!("group-{number}"), "payments", "ledger"])),
        ("with 200 groups", 600, |number| (0..200).map(|group| format!("group-{number}-{group:04}")).collect()),
        ("with 400 short groups", 1_000, |_| (100..500).map(|group| group.to_string()).collect()),
    ];
    for (name, count, groups) in shapes {
        let before = MEMORY.current_usage();
        let (tokens, leaves) = memories(2);
        let (mut hashes, mut length) = (Vec::new(), 0);
        for number in 0..count {
            let mut jws = support::issuers::token();
            jws.claims["jti"] = json!(number.to_string());
            jws.claims["groups"] = groups(number);
            let text = jws.compact();
            let hash = sha256(text.as_bytes());
            // Seen twice, it is busy.
            for _ in 0..2 {
                let known = token::verify(text.as_bytes(), &hash, &snapshot.issuers, tokens.as_ref());
                let Ok((known, just_read)) = known else { panic!("{name}: refused") };
                assert!(known.accept(just_read, &apis[0], specs, NOW).is_ok(), "{name}");
            }
            (hashes, length) = ([hashes, vec![hash]].concat(), text.len());
        }
        let taken = MEMORY.current_usage() - before - size_of_val(hashes.as_slice());
        let kept = hashes.iter().filter(|hash| token::KnownTokens::find(tokens.as_ref(), hash).is_some()).count();
        println!("{name:<42} {length:>10} {taken:>12} {kept:>9}");
        assert!(taken <= 2 * MIB, "{name}: {taken} bytes");
        // The eighth for certificates is empty; what is beside is weighed generously.
        assert!(taken >= MIB * 3 / 4, "{name}: {taken} bytes only");
        drop(leaves);
    }
}

/// What a revocation takes of memory, with all that is kept of it here; what is only told of it is in the journal.
#[test]
fn a_revocation_takes_a_few_hundred_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (list, metrics) = (Arc::new(RevocationList::new([])), Arc::new(Metrics::new().unwrap()));
    let book = Book::new(Arc::clone(&list), metrics);
    // The first one makes what all of them share.
    let entry = |number: usize| {
        Record::Entry(Entry {
            id: EntryId((number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()),
            source: ADMIN.to_owned(),
            target: Target::Token { issuer: "https://as.example.com".to_owned(), jti: format!("token-{number:032}") },
            not_issued_after: None,
            expires_at: Some(NOW + 90_000),
            reported_at: NOW * 1_000,
            asked_at: NOW * 1_000,
            asked_by: "soc".to_owned(),
            reason: "all tokens of a partner are withdrawn".to_owned(),
            case: Some("INC-2031".to_owned()),
        })
    };
    book.apply(&entry(0), NOW * 1_000);
    let (before, begun) = (MEMORY.current_usage(), Instant::now());
    for number in 1..=REVOCATIONS {
        assert_eq!(book.apply(&entry(number), NOW * 1_000), Applied::New);
    }
    let each = (MEMORY.current_usage() - before) / REVOCATIONS;
    println!("{REVOCATIONS} revocations take {each} bytes each; applied in {:?}", begun.elapsed());
    assert_eq!(list.len(), REVOCATIONS + 1);
    assert!(each < 400, "{each} bytes");
}

/// A million take 276 bytes each, and half a minute without optimisation.
const REVOCATIONS: usize = 100_000;
