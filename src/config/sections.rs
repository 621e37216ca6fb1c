//! The sections that `Config` keeps as they are written.
//!
//! Their values are right when the file's shape is right; the few rules across keys are checked where `Config` is made.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decision::policy;

/// TLS of a check listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM file with our certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file with the private key of that certificate.
    pub key: PathBuf,
    /// PEM file with the CA, or several, that callers' certificates must chain to; callers need no certificate if absent.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// URI or DNS names (SANs) of the callers let in; every certificate of `client_ca` if absent. Needs `client_ca`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub callers: Option<Vec<String>>,
}

/// Where the bundle is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The directory that holds the bundle: `schema.cedarschema`, `*.cedar`, `apis.yaml` and `clients.yaml`.
    pub directory: PathBuf,
    /// How often its content, and that of every other file that is read again, is looked at, in seconds. A new bundle is read at a low
    /// priority, so that checks do not wait: on a machine that is busy this takes a while, and until the log says `new files are
    /// served` the old bundle decides.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 60))]
    pub poll_seconds: u64,
    /// How policies are evaluated; the decisions are the same.
    #[serde(default)]
    pub evaluation: Evaluation,
}

/// How policies are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evaluation {
    /// those whose scope fits the request, found by an index: as fast with 10,000 policies as with ten
    #[default]
    Indexed,
    /// all of them on each request, by Cedar's own authorizer: slower by far, for those who want to compare
    Whole,
}

impl From<Evaluation> for policy::Evaluation {
    fn from(evaluation: Evaluation) -> Self {
        match evaluation {
            Evaluation::Indexed => Self::Indexed,
            Evaluation::Whole => Self::Whole,
        }
    }
}

/// A set of demands that goes beyond the sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// what the other keys say
    #[default]
    Default,
    /// FAPI 2.0: only ES256, PS256, `EdDSA` and Ed25519, for tokens and proofs; APIs require nonces unless they say otherwise
    Fapi2,
}

/// How keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jwks {
    /// How often keys are fetched, in seconds.
    #[schemars(range(min = 10, max = 86_400))]
    pub refresh_seconds: u64,
    /// The least time between two fetches because of an unknown `kid`, in seconds, per issuer. After a fetch that failed, the
    /// next one comes after this time too.
    #[schemars(range(min = 1, max = 3_600))]
    pub cooldown_seconds: u64,
    /// How long the last good keys serve when they cannot be fetched, in seconds; not below `refresh_seconds`. Then tokens of
    /// the issuer are denied with 503 (`fault_keys_unavailable`), as they are at once when the issuer publishes a sound set without a
    /// usable key.
    #[schemars(range(min = 60, max = 604_800))]
    pub max_age_seconds: u64,
    /// A directory, which must exist, for the last good keys, so that a start does not depend on the issuer; none if absent.
    pub cache_directory: Option<PathBuf>,
    /// PEM file with CAs to trust when fetching, besides those of the operating system.
    pub ca_file: Option<PathBuf>,
}

impl Default for Jwks {
    fn default() -> Self {
        Self {
            refresh_seconds: 300,
            cooldown_seconds: 30,
            max_age_seconds: 86_400,
            cache_directory: None,
            ca_file: None,
        }
    }
}

/// How used proofs are remembered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spent {
    /// Where used proofs are remembered. Replicas that each remember their own accept a proof once each.
    pub store: Store,
    /// What becomes of proofs while Redis does not answer. Only with `store: redis`.
    pub on_unavailable: OnUnavailable,
    /// How many proofs are remembered at once: at least the requests with proofs per second times the seconds that a proof is
    /// remembered (`max_age_seconds` + `future_skew_seconds`; 600 for a proof with a nonce). When it is full, proofs are denied
    /// with 503 (`fault_spent_store_full`). With `store: redis` it counts what came through this process; what the fleet has room for
    /// is Redis' `maxmemory`.
    #[schemars(range(min = 1_000, max = 100_000_000))]
    pub capacity: usize,
    /// The most of it that one client may fill, in percent; more is denied with 429 (`proof_share_exceeded`).
    #[schemars(range(min = 1, max = 100))]
    pub client_share_percent: u8,
}

impl Default for Spent {
    fn default() -> Self {
        Self {
            store: Store::default(),
            on_unavailable: OnUnavailable::default(),
            capacity: 1_000_000,
            client_share_percent: 10,
        }
    }
}

/// Where used proofs are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// in this process: for one replica, or for proofs that may be used once at each
    #[default]
    Memory,
    /// in Redis, for every replica: a proof is used once in the whole fleet; needs the section `redis` and `nonce_key_files`
    Redis,
}

/// What becomes of proofs while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// they are denied with 503 (`fault_spent_store_unavailable`)
    #[default]
    Deny,
    /// each replica remembers its own, so a proof may be used once at each; at the switch there and at the switch back, proofs that were made
    /// before are denied for `future_skew_seconds`
    Local,
}

/// What the API behind Envoy is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// Whether `authorization` and `dpop` are removed on the way to the API.
    pub strip_credentials: bool,
    /// Headers that tell the API who called; `null` leaves one out. Lower case, no underscores, each name once, and
    /// none that means something else.
    pub identity_headers: IdentityHeaders,
}

/// The headers that tell the API who called: lower-case names, unique, none that means something else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityHeaders {
    /// Header for the token's issuer.
    pub issuer: Option<String>,
    /// Header for the client.
    pub client: Option<String>,
    /// Header for the subject.
    pub subject: Option<String>,
    /// Header for how the sender was proven: `mtls`, `dpop` or `none`.
    pub proof: Option<String>,
    /// Header for the decision id.
    pub decision: Option<String>,
}

impl IdentityHeaders {
    /// The names that are used unless others are written.
    pub const USUAL: [&str; 5] =
        ["x-keybound-issuer", "x-keybound-client", "x-keybound-subject", "x-keybound-proof", "x-keybound-decision"];
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        let [issuer, client, subject, proof, decision] = Self::USUAL.map(|name| Some(name.to_owned()));
        Self { issuer, client, subject, proof, decision }
    }
}

/// Bounds on the work in flight.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How many checks run at once, on all listeners together; one more is denied with 503 (`fault_overloaded`).
    #[schemars(range(min = 1, max = 100_000))]
    pub in_flight: usize,
    /// How long one check may take, in milliseconds; later answers are denied with 503 (`fault_deadline`). Keep it below the
    /// timeout that Envoy has for the check.
    #[schemars(range(min = 1, max = 10_000))]
    pub deadline_milliseconds: u64,
    /// How long after SIGTERM keybound goes on answering while it says that it is not ready, in seconds, so that callers turn
    /// elsewhere. Then what is in flight has two seconds. A second SIGTERM, or SIGINT, ends the wait.
    #[schemars(range(min = 0, max = 300))]
    pub drain_seconds: u64,
    /// The memory that verified tokens and the certificates that were read may take together, in MiB: a token of 1 KiB takes about
    /// 1.5 KiB, and three quarters are for tokens. Whose signature is remembered need not be verified again; all else is judged on each
    /// request. Tokens do not leave when they expire, but when others need the room.
    #[schemars(range(min = 1, max = 65_536))]
    pub cache_mebibytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 1024, deadline_milliseconds: 150, drain_seconds: 10, cache_mebibytes: 128 }
    }
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is written.
    pub level: Level,
    /// How many of the allowed requests are logged, in percent; denials always are, but of `fault_overloaded` no more than 256 a second.
    #[schemars(range(min = 0, max = 100))]
    pub allow_sample_percent: u8,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, allow_sample_percent: 1 }
    }
}

/// How severe a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// what is broken
    Error,
    /// what somebody should look at
    Warn,
    /// decisions, reloads, start and stop
    Info,
    /// steps inside
    Debug,
}

/// Protected resource metadata.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// Whether documents are served, through Envoy and by `listeners.public`, and challenges point to them.
    pub enabled: bool,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What a caller of the admin listener may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// read what is revoked
    Read,
    /// revoke
    Revoke,
    /// take back what was revoked
    Cancel,
}

/// How what was revoked is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// The file that keeps what was revoked; if absent, it is forgotten when the process ends.
    pub journal: Option<PathBuf>,
    /// How replicas tell each other of it, if they do.
    pub shared: Option<SharedRevocations>,
}

/// How replicas tell each other what was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRevocations {
    /// Files with the fleet's keys: the first signs, all verify; at least one.
    pub key_files: Vec<PathBuf>,
    /// For how long nothing may be heard of the others.
    pub stale_after_seconds: i64,
    /// What becomes of requests then.
    pub on_stale: OnStale,
}

/// What becomes of requests with a token while it cannot be known whether other replicas revoked something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// they are denied with 503 (`fault_revocations_stale`)
    #[default]
    Deny,
    /// they are judged by what is known here; health, metrics and every such decision say so
    Serve,
}

fn two() -> u64 {
    2
}
