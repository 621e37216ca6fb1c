//! The operator's file as it is written: one struct per section, one doc comment per key.
//!
//! Here and in `sections` each key has its name, type, range and default, and nowhere else. The JSON Schema is derived
//! from them; `shape` checks the file against that schema and `reference` prints it, so no two of them can disagree.
//! What a type cannot say (two keys that go together, a URL, an address) is checked where `Config` is made.

mod certificate;
mod transmitter;

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::introspection;
use super::redis::Written as Redis;
use super::sections::{Bundle, Jwks, Limits, Log, Metadata, Permission, Profile, Spent, Tls, Upstream};
use super::shared::Written as Shared;
use super::status_list;
use crate::decision::jose::algorithm::Algorithm;
pub(super) use certificate::{Certificate, ChainVerifiedBy, CrlDepth, Crls, Source, Unanswered, Xfcc};
pub(super) use transmitter::{Poll, Transmitter};

/// The operator's file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "keybound.yaml")]
pub(super) struct File {
    /// Where keybound listens.
    pub listeners: Listeners,
    /// What policy authors write: policies, API inventory, client registry. The start needs a good one.
    pub bundle: Bundle,
    /// Which algorithms may be used at all, and whether APIs ask for nonces unless they say otherwise.
    #[serde(default)]
    pub profile: Profile,
    /// Whose access tokens are accepted, at least one issuer; each issuer once.
    #[schemars(length(min = 1))]
    pub issuers: Vec<TrustedIssuer>,
    /// How keys are fetched, for issuers with `keys.url` or `keys.discovery`.
    #[serde(default)]
    pub jwks: Jwks,
    /// Where the client certificate comes from, and who vouches for it (RFC 8705, RFC 9440).
    #[serde(default)]
    pub certificate: Certificate,
    /// What every `DPoP` proof must look like (RFC 9449).
    #[serde(default)]
    pub proofs: Proofs,
    /// The Redis that replicas share; none if absent. What it must be like is told in `docs/fleet.md`.
    #[serde(default)]
    pub redis: Option<Redis>,
    /// What the API behind Envoy is told.
    #[serde(default)]
    pub upstream: Upstream,
    /// Bounds on the work in flight.
    #[serde(default)]
    pub limits: Limits,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
    /// The protected resource metadata that clients read (RFC 9728).
    #[serde(default)]
    pub metadata: Metadata,
    /// Who may call the admin listener, which revokes tokens, keys and certificates before their time. Nobody, unless named.
    #[serde(default)]
    pub admin: Admin,
    /// How what was revoked is kept.
    #[serde(default)]
    pub revocations: Revocations,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Listeners {
    /// Listeners that answer Envoy's `ext_authz` gRPC, at least one.
    #[schemars(length(min = 1))]
    pub check: Vec<CheckListener>,
    /// `ip:port` of the plain HTTP listener for `/livez`, `/readyz` (which says why not, and for how many seconds if it is a
    /// matter of time) and `/metrics`; none if absent. Let only probes and scrapers reach it: it serves 128 connections at
    /// once, each for 15 seconds at most. The check listeners answer gRPC health, which is the same as `/readyz`.
    #[serde(default)]
    pub probes: Option<String>,
    /// `ip:port` of the plain HTTP listener for RFC 9728 documents, one per `Host`; none if absent. Clients do not need it: the
    /// check itself always answers `GET /.well-known/oauth-protected-resource` at every host of the inventory, wherever a
    /// route of Envoy matches that path. This listener is for readers that do not come through Envoy. Both are off with
    /// `metadata.enabled: false`.
    #[serde(default)]
    pub public: Option<String>,
    /// The listener for revocations (`keybound revoke`), HTTP/1.1 and HTTP/2; none if absent. Every caller shows who it is, on
    /// loopback too: see `admin.callers`.
    #[serde(default)]
    pub admin: Option<AdminListener>,
    /// The listener to which transmitters push security events (Shared Signals, CAEP, RISC), HTTP/1.1 and HTTP/2:
    /// `POST /v1/security-events` (RFC 8935); none if absent. See `revocations.transmitters`.
    #[serde(default)]
    pub events: Option<EventsListener>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsListener {
    /// `ip:port`. Without `tls` it must be a loopback address: an Envoy in front has the TLS then.
    pub address: String,
    /// Its TLS; its files are read again when they change.
    #[serde(default)]
    pub tls: Option<EventsTls>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsTls {
    /// PEM file with our certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key of that certificate.
    pub key: PathBuf,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminListener {
    /// `ip:port`. Without `tls` it must be a loopback address. With port 0 the system chooses; the log line `started` says which.
    pub address: String,
    /// Its TLS; its files are read again when they change.
    #[serde(default)]
    pub tls: Option<AdminTls>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminTls {
    /// PEM file with our certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key of that certificate.
    pub key: PathBuf,
    /// PEM file with the CA, or several, that callers' certificates must chain to. Callers must show one, unless a caller with a
    /// `bearer_file` is named.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    /// The callers, at least one, each with a credential of its own.
    #[schemars(length(min = 1))]
    pub callers: Vec<AdminCaller>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminCaller {
    /// As entries and logs name it: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.` and `@`, unique.
    pub name: String,
    /// A file with its bearer: 32 to 512 visible ASCII characters, random ones; space and line breaks around them do not count. Read
    /// again when it changes. Exactly one of this and `certificate`.
    #[serde(default)]
    pub bearer_file: Option<PathBuf>,
    /// The URI or DNS name (SAN) of its certificate.
    #[serde(default)]
    pub certificate: Option<String>,
    /// What it may do, at least one thing: `read` entries, `revoke`, `cancel` (take back what was revoked here).
    #[schemars(length(min = 1))]
    pub may: Vec<Permission>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckListener {
    /// The enforcement point: 1 to 32 of `a-z`, `0-9`, `-`, unique. It is part of the replay key, so hops in series
    /// need different names, while replicas and regions of one hop share one.
    pub name: String,
    /// `ip:port`, or `unix:` and the path of a socket. With port 0 the system chooses; the log line `started` says which.
    pub address: String,
    /// TLS towards Envoy; plain text if absent. When the files change, new connections get the new ones and those that stand
    /// stay; files that are broken or do not fit together change nothing (`what="listener_tls"` in the metric).
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Whether gRPC reflection is served here.
    #[serde(default)]
    pub reflection: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustedIssuer {
    /// The `iss` value, compared exactly: an https URL without query or fragment (RFC 8414 §2).
    pub issuer: String,
    /// Where its keys come from: exactly one of `file`, `url` and `discovery: true`. Of a JWK Set the public signature keys are
    /// used, the others are told of. A key verifies tokens that name its `kid`, and tokens that name none. May be absent where there
    /// is `introspection`: then no JWT of this issuer is accepted.
    #[serde(default)]
    pub keys: Option<Keys>,
    /// How it is asked about its tokens (RFC 7662), for APIs that say so; not at all if absent. The same rules hold as for fetching
    /// keys: no redirects, no proxy, `jwks.ca_file` is trusted too.
    #[serde(default)]
    pub introspection: Option<introspection::Written>,
    /// Where the status of its JWTs is told, for those that name a Token Status List. If absent, a token that says where its status is
    /// told is denied (`token_status_unchecked`). The same rules hold as for fetching keys, but that three redirects are followed among
    /// `hosts`.
    #[serde(default)]
    pub status_list: Option<status_list::Written>,
    /// Audiences that are ours: a token must name one (RFC 9068 §4). An API may only narrow them.
    #[schemars(length(min = 1))]
    pub audiences: Vec<String>,
    /// Signature algorithms of its tokens. If absent: ES256, ES384, PS256, RS256, `EdDSA` and Ed25519, or those of the
    /// profile.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<AlgorithmName>>,
    /// How many seconds after its `exp` a token still passes.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60))]
    pub expiry_skew_seconds: i64,
    /// How many seconds `nbf` and `iat` may be ahead of our clock.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 60))]
    pub future_skew_seconds: i64,
    /// The longest lifetime (`exp` − `iat`) a token may have, in seconds; unbounded if absent. An API may only narrow it.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_lifetime_seconds: Option<i64>,
    /// The claim that names the client (RFC 9068 §2.2).
    #[serde(default = "client_id")]
    pub client_claim: String,
    /// The claim that lists the scopes: a space-delimited string (RFC 8693 §4.2) or an array of strings.
    #[serde(default = "scope")]
    pub scope_claim: String,
    /// Whether `typ: JWT` is accepted besides `at+jwt`, for an issuer that cannot do better. Its audiences must be its
    /// own, and none that its ID tokens carry. Warns.
    #[serde(default)]
    pub legacy_jwt_type: bool,
    /// Whether keybound is ready only with its keys. If not, it is ready once it has tried to fetch them; until they are here,
    /// tokens of this issuer alone are denied with 503 (`fault_keys_unavailable`).
    #[serde(default)]
    pub required: bool,
    /// Whether plain http to a loopback host is allowed, for this issuer and its keys. For laboratories.
    #[serde(default)]
    pub allow_loopback_http: bool,
}

/// How what was revoked is kept, and who else tells of it.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Revocations {
    /// The file that keeps what was revoked, this process's own, in a directory that exists; it is made at the first start. If absent,
    /// what the admin listener and transmitters brought is forgotten when the process ends.
    pub journal: Option<PathBuf>,
    /// Whose security events are taken at `listeners.events`, and what they may revoke: 32 at most.
    pub transmitters: Vec<Transmitter>,
    /// Whether replicas tell each other, through the Redis of the section `redis`, what was revoked at one of them; each process on its
    /// own if absent. What it takes is told in `docs/fleet.md`.
    pub shared: Option<Shared>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    /// A file with the JWK Set (RFC 7517 §5), with at least one usable key.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// The https URL of the JWK Set.
    #[serde(default)]
    pub url: Option<String>,
    /// `true`: the URL is in the issuer's metadata; for issuers of tokens at `/.well-known/openid-configuration` or
    /// `/.well-known/oauth-authorization-server` (RFC 8414 §3).
    #[serde(default)]
    pub discovery: bool,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proofs {
    /// Signature algorithms of proofs; also what challenges list as `algs`. If absent: ES256, PS256, `EdDSA` and Ed25519.
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<AlgorithmName>>,
    /// How old `iat` of a proof may be, in seconds, where no nonce is used; with a nonce, the nonce's age counts.
    #[schemars(range(min = 1, max = 300))]
    pub max_age_seconds: i64,
    /// How far `iat` of a proof may be ahead of our clock, in seconds, where no nonce is used. For as long after each start
    /// `/readyz` says 503 and such proofs are denied (`proof_predates_memory`): nobody can say whether they were used before. With
    /// `spent.store: redis` a replica that joins others need not wait, and all deny such proofs when Redis may have lost some.
    #[schemars(range(min = 0, max = 60))]
    pub future_skew_seconds: i64,
    /// How long a nonce lives, in seconds.
    #[schemars(range(min = 30, max = 3_600))]
    pub nonce_lifetime_seconds: i64,
    /// Files with nonce keys, 32 to 4096 random bytes each: the first mints, all verify. Replicas need the same ones, or each
    /// refuses the others' nonces. Empty: a key is generated at start; not with `spent.store: redis`.
    pub nonce_key_files: Vec<PathBuf>,
    /// How used proofs are remembered.
    pub spent: Spent,
}

impl Default for Proofs {
    fn default() -> Self {
        Self {
            algorithms: None,
            max_age_seconds: 60,
            future_skew_seconds: 10,
            nonce_lifetime_seconds: 300,
            nonce_key_files: Vec::new(),
            spent: Spent::default(),
        }
    }
}

/// A signature algorithm by its registered name.
#[derive(Clone, Copy, Debug)]
pub(super) struct AlgorithmName(pub Algorithm);

impl<'de> Deserialize<'de> for AlgorithmName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Algorithm::from_name(&name).map(Self).ok_or_else(|| D::Error::custom("unknown algorithm"))
    }
}

impl Serialize for AlgorithmName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl JsonSchema for AlgorithmName {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Algorithm")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Algorithm::ALL.map(Algorithm::name) })
    }
}

fn ten() -> i64 {
    10
}

fn client_id() -> String {
    "client_id".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}
