//! The estate that every benchmark drives: a deployment in a directory, the parties that may call it, their tokens and proofs, and
//! the messages that an Envoy makes of their requests. Everything lives at the real time; keys are made when the run starts.
//!
//! One operation is measured: `GET https://pay.example.com/v1/payments/{payment_id}`. Seven policies can apply to it, however
//! many the bundle has.
#![allow(dead_code, unused_imports, reason = "each benchmark uses its part of this module")]

#[path = "../../tests/support/mod.rs"]
pub mod support;

pub mod bundle;
pub mod classic;
pub mod inside;
pub mod messages;
pub mod party;
pub mod tokens;

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

pub use messages::{bad_proof, bound, broken, dpop, expired, garbage, wrong_certificate};
pub use party::{Algorithm, Client, party};
pub use tokens::{in_parallel, token, tokens};

/// The issuer of all tokens.
pub const ISSUER: &str = "https://as.example.com";
/// The audience that is ours.
pub const AUDIENCE: &str = "https://api.example.com";
/// The host of the measured operation.
pub const HOST: &str = "pay.example.com";
/// The path of the measured operation.
pub const PATH: &str = "/v1/payments/pay_01HV7Q3M9K2T";
/// The method of the measured operation.
pub const METHOD: &str = "GET";

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// A port of loopback that nobody listens on, another one each time; below those that systems give to outgoing connections, so that
/// nobody takes it by chance before its server does.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(101);
    let free = (0..PORTS).find_map(|_| {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(FIRST_PORT + number).ok()?));
        TcpListener::bind(address).is_ok().then_some(address)
    });
    free.expect("a free port")
}

const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 10_000;

/// What may differ between estates.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where checks are answered.
    pub check: SocketAddr,
    /// Where probes are answered.
    pub probes: SocketAddr,
    /// How often the files are looked at, 1 to 60.
    pub poll_seconds: u32,
    /// Checks at once. The default of the product is 1024; a sender that was held up and sends all at once must not be denied.
    pub in_flight: usize,
    /// Later answers are denials. The default of the product is 150; a busy machine must not turn a measurement into a denial.
    pub deadline_milliseconds: u32,
    /// Spent proofs remembered, all of which one client may fill.
    pub spent_capacity: usize,
    /// The memory of verified tokens and certificates. The default of the product is 128, too.
    pub cache_mebibytes: u32,
    /// Where the client's certificate is read from.
    pub certificate: &'static str,
    /// What is added to the end of `keybound.yaml`.
    pub more: String,
}

impl Options {
    /// Overload is denied as it is by default.
    pub fn as_delivered() -> Self {
        Self { in_flight: 1024, deadline_milliseconds: 150, ..Self::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            check: free_address(),
            probes: free_address(),
            poll_seconds: 60,
            in_flight: 50_000,
            deadline_milliseconds: 10_000,
            spent_capacity: 20_000_000,
            cache_mebibytes: 128,
            certificate: "envoy_peer_certificate",
            more: String::new(),
        }
    }
}

/// A whole deployment in a directory.
#[derive(Clone, Debug)]
pub struct Estate {
    /// Where it is.
    pub directory: PathBuf,
    /// How many policies its bundle has.
    pub policies: usize,
    /// How it is configured.
    pub options: Options,
}

impl Estate {
    /// Writes one with free ports.
    pub fn write(directory: &Path, policies: usize) -> Self {
        Self::write_with(directory, policies, Options::default())
    }

    /// Writes one.
    pub fn write_with(directory: &Path, policies: usize, options: Options) -> Self {
        let estate = Self { directory: directory.to_owned(), policies, options };
        std::fs::create_dir_all(estate.bundle()).expect("a directory for the bundle");
        estate.put(&estate.config(), &estate.operators_file());
        estate.put(&estate.key_set(), &key_set(&[]));
        for (name, text) in bundle::files(policies) {
            estate.put(&estate.bundle().join(name), &text);
        }
        estate
    }

    /// The operator's file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("keybound.yaml")
    }

    /// The directory of the bundle.
    pub fn bundle(&self) -> PathBuf {
        self.directory.join("policies")
    }

    /// The issuer's JWK Set.
    pub fn key_set(&self) -> PathBuf {
        self.directory.join("as-jwks.json")
    }

    /// The issuer adds a key: what it has signed so far stays good, but what is trusted is not the same any more.
    pub fn add_key(&self) {
        let new = support::SigningKey::p256().jwk_as("new", &json!({"use": "sig", "alg": "ES256"}));
        self.put(&self.key_set(), &key_set(&[new]));
    }

    /// The bundle changes: the same rules, another revision.
    pub fn change_bundle(&self, word: &str) {
        self.put(&self.bundle().join(bundle::CHANGING), &bundle::changing(word));
    }

    /// The schema changes: the same declarations, another text.
    pub fn change_schema(&self) {
        let path = self.bundle().join("schema.cedarschema");
        let text = std::fs::read_to_string(&path).expect("the schema");
        self.put(&path, &format!("{text}\n// Another text.\n"));
    }

    /// Nobody reads half a file, and the directory of the bundle never shows one that is no part of it.
    fn put(&self, path: &Path, text: &str) {
        let aside = self.directory.join("aside");
        let put = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, path));
        put.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn operators_file(&self) -> String {
        let Options { check, probes, poll_seconds, certificate, more, .. } = &self.options;
        let Options { in_flight, deadline_milliseconds, spent_capacity, cache_mebibytes, .. } = &self.options;
        let mut text = format!(
            "listeners:\n  check:\n    - {{ name: edge, address: \"{check}\" }}\n  probes: \"{probes}\"\n\
             bundle: {{ directory: policies, poll_seconds: {poll_seconds} }}\n\
             issuers:\n  - issuer: {ISSUER}\n    keys: {{ file: as-jwks.json }}\n    audiences: [{AUDIENCE}]\n    \
             algorithms: [ES256, RS256, EdDSA]\n    max_lifetime_seconds: 3600\n\
             certificate: {{ source: {certificate}, chain_verified_by: nobody }}\n"
        );
        // No proof is refused for being made before the start longer than it must.
        write!(
            text,
            "proofs:\n  max_age_seconds: 300\n  future_skew_seconds: 0\n  \
             spent: {{ capacity: {spent_capacity}, client_share_percent: 100 }}\n\
             limits: {{ in_flight: {in_flight}, deadline_milliseconds: {deadline_milliseconds}, drain_seconds: 0, \
             cache_mebibytes: {cache_mebibytes} }}\n\
             log: {{ level: warn, allow_sample_percent: 0 }}\n{more}"
        )
        .expect("text");
        text
    }
}

/// The issuer's keys, and more.
fn key_set(more: &[serde_json::Value]) -> String {
    let mut keys = party().published();
    keys.extend_from_slice(more);
    json!({ "keys": keys }).to_string()
}
