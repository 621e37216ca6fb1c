//! Where an issuer's status lists may be, who signs them, and how often they are fetched (draft-ietf-oauth-status-list).
//!
//! Closed by default: without the section a token that says where its status is told is denied, since nobody looks there.

use core::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::issuers::{KeySource, check_url, settle_keys};
use super::raw::{AlgorithmName, Keys};
use super::url::key_url;
use crate::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::decision::status_list::{Signer, StatusPolicy, StatusRules};
use crate::problem::Findings;
use crate::yaml::Node;

/// How status lists of an issuer are fetched and kept. Made by `settle` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLists {
    /// Who signs them, if that is not the issuer.
    pub signer: Option<SignerKeys>,
    /// A list is fetched again after so many seconds at the earliest.
    pub least_seconds: u64,
    /// And after so many at the latest.
    pub most_seconds: u64,
    /// So much longer a list counts that cannot be fetched.
    pub stale_seconds: u64,
    /// For so long a URI is left alone after it failed.
    pub negative_seconds: u64,
    /// How long one fetch may take.
    pub timeout_milliseconds: u64,
    /// Lists that are kept.
    pub max_lists: usize,
    /// The memory that they take.
    pub max_bytes: usize,
    /// Fetches at once, for checks that wait.
    pub max_in_flight: usize,
    /// Fetches in a second, for checks that wait.
    pub max_per_second: u32,
    /// Checks that may wait.
    pub max_waiting: usize,
}

/// Who signs lists beside the issuer of the tokens, and where its keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerKeys {
    /// What its keys are kept by, apart from those of tokens.
    pub name: String,
    /// What its metadata must say that it is.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: KeySource,
}

impl StatusLists {
    pub(super) fn signer_keys(&self) -> Option<(&str, &KeySource)> {
        self.signer.as_ref().map(|signer| (signer.name.as_str(), &signer.keys))
    }
}

/// The section as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// `true`: tokens that say where their status is told pass, and nobody looks there. Alone; warns.
    #[serde(default)]
    ignore: bool,
    /// The hosts that lists may be fetched from, at least one: `host` or `host:port`, compared exactly with what `uri` has between
    /// `https://` and the path.
    #[serde(default)]
    #[schemars(length(min = 1))]
    hosts: Option<Vec<String>>,
    /// Whether every JWT of this issuer must name a status list; one that does not is denied (`token_claim_missing`).
    #[serde(default)]
    required: bool,
    /// Who signs the lists; if absent the issuer itself, with its keys and `algorithms`.
    #[serde(default)]
    signer: Option<WrittenSigner>,
    /// A list is fetched again after so many seconds at the earliest, whatever its `ttl` says; earlier only if its `exp` comes before.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 3_600))]
    least_seconds: u64,
    /// And after so many at the latest, whatever its `ttl` says or if it has none: a token that is revoked is refused that much later
    /// at most.
    #[serde(default = "three_hundred")]
    #[schemars(range(min = 1, max = 86_400))]
    most_seconds: u64,
    /// So many seconds longer a list counts while it cannot be fetched, and never beyond its `exp`. Then tokens are denied with 503
    /// (`fault_status_list_unavailable`).
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    stale_seconds: u64,
    /// After a list could not be had, the next fetch of it comes so many seconds later at the earliest.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 60))]
    negative_seconds: u64,
    /// How long one fetch may take, in milliseconds. A check waits no longer than `limits.deadline_milliseconds`; a fetch that takes
    /// longer serves the next one.
    #[serde(default = "two_thousand")]
    #[schemars(range(min = 50, max = 10_000))]
    timeout_milliseconds: u64,
    /// How large one list may be once it is inflated, in KiB: 128 hold a million tokens with one bit each.
    #[serde(default = "four_thousand")]
    #[schemars(range(min = 1, max = 16_384))]
    max_kibibytes: usize,
    /// Lists that are kept, at most; who was not used for longest makes room for another.
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 4_096))]
    max_lists: usize,
    /// The memory that all lists of this issuer take, at most, in MiB; the same. Not below `max_kibibytes`.
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 16_384))]
    max_mebibytes: usize,
    /// Fetches at once for checks that wait, at most; what would be one more is denied with 503 (`fault_status_list_unavailable`).
    #[serde(default = "four")]
    #[schemars(range(min = 1, max = 64))]
    max_in_flight: usize,
    /// Fetches in a second for checks that wait, at most; the same. Lists that are in use are fetched again beside that.
    #[serde(default = "ten_a_second")]
    #[schemars(range(min = 1, max = 1_000))]
    max_per_second: u32,
    /// Checks that may wait for lists of this issuer, at most; the same. Together with those of `introspection` below
    /// `limits.in_flight`. If absent: its equal part of half of `limits.in_flight`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    max_waiting: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenSigner {
    /// The `iss` value of its lists, where they have one: an https URL without query or fragment.
    issuer: String,
    /// Where its keys come from: exactly one of `file`, `url` and `discovery: true`.
    keys: Keys,
    /// Signature algorithms of its lists. If absent: ES256, ES384, PS256, RS256, `EdDSA` and Ed25519, whatever `profile` says.
    #[serde(default)]
    #[schemars(length(min = 1))]
    algorithms: Option<Vec<AlgorithmName>>,
}

/// What the section says, beside it what is judged. `waiting` is how many checks may wait where it does not say so.
pub(super) fn settle(
    written: &Written,
    node: &Node,
    (issuer, allow_loopback_http): (&str, bool),
    waiting: usize,
    findings: &mut Findings,
) -> Option<(StatusPolicy, Option<StatusLists>)> {
    if written.ignore {
        check_alone(node, findings);
        return Some((StatusPolicy::Ignored, None));
    }
    let Some(hosts) = &written.hosts else {
        let remedy =
            "name the `hosts` that lists may be fetched from, or write `ignore: true` to let tokens pass unchecked";
        findings.error(node.at, "`status_list` does not say where lists may be", remedy);
        return None;
    };
    if written.least_seconds > written.most_seconds {
        let place = node.present("least_seconds").unwrap_or_else(|| node.key("most_seconds"));
        let what = "`least_seconds` is above `most_seconds`";
        findings.error(place.at, what, "write a `least_seconds` that is not above `most_seconds`");
    }
    let (most_bytes, max_bytes) = (kibibytes(written.max_kibibytes), kibibytes(kibibytes(written.max_mebibytes)));
    if most_bytes >= max_bytes {
        let place = node.present("max_mebibytes").unwrap_or_else(|| node.key("max_kibibytes"));
        findings.error(place.at, "one list could be larger than all may be", "write more `max_mebibytes`");
    }
    let items = hosts.iter().enumerate();
    let of_hosts = node.key("hosts");
    let origins = items.flat_map(|(index, host)| origins(host, of_hosts.item(index), allow_loopback_http, findings));
    let origins = origins.collect();
    let signer = match &written.signer {
        None => None,
        Some(signer) => Some(settle_signer(signer, node.key("signer"), allow_loopback_http, findings)?),
    };
    let keys = signer.as_ref().map(|(signer, keys)| SignerKeys {
        name: format!("status:{issuer}"),
        issuer: signer.issuer.clone(),
        keys: keys.clone(),
    });
    let signer = signer.map(|(signer, _)| signer);
    let rules = StatusRules { origins, required: written.required, signer, most_bytes };
    let lists = StatusLists {
        signer: keys,
        least_seconds: written.least_seconds,
        most_seconds: written.most_seconds,
        stale_seconds: written.stale_seconds,
        negative_seconds: written.negative_seconds,
        timeout_milliseconds: written.timeout_milliseconds,
        max_lists: written.max_lists,
        max_bytes,
        max_in_flight: written.max_in_flight,
        max_per_second: written.max_per_second,
        max_waiting: written.max_waiting.unwrap_or(waiting).max(1),
    };
    Some((StatusPolicy::Checked(rules), Some(lists)))
}

fn kibibytes(count: usize) -> usize {
    count.saturating_mul(1024)
}

fn check_alone(node: &Node, findings: &mut Findings) {
    if node.present("hosts").is_some() || node.present("signer").is_some() || node.present("required").is_some() {
        let remedy = "leave out `ignore`, or everything else of `status_list`";
        findings.error(node.key("ignore").at, "`ignore` stands beside what says how lists are read", remedy);
    }
    findings.warning(
        node.key("ignore").at,
        "tokens that say where they may be revoked pass, and nobody looks there",
        "name the `hosts` that their lists may be fetched from",
    );
}

/// How a URI may begin, for this host. With plain http where a laboratory says so.
fn origins(host: &str, node: &Node, allow_loopback_http: bool, findings: &mut Findings) -> Vec<String> {
    let https = format!("https://{host}");
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().map(Some).ok()),
        _ => (host, Some(None)),
    };
    // The parser of who fetches must read the very host that is written.
    let sound = key_url(&https, false).is_ok_and(|url| {
        url.host_str() == Some(name) && url.path() == "/" && url.query().is_none() && !host.ends_with('/')
    });
    if !sound || port.is_none() || port == Some(Some(0)) {
        let what = format!("`{host}` is no host that lists may be fetched from");
        findings.error(node.at, what, "write `host` or `host:port`, in lower case, as the `uri` of tokens has it");
        return Vec::new();
    }
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = name == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback());
    let http = (loopback && allow_loopback_http).then(|| format!("http://{host}"));
    core::iter::once(https).chain(http).collect()
}

fn settle_signer(
    written: &WrittenSigner,
    node: &Node,
    allow_loopback_http: bool,
    findings: &mut Findings,
) -> Option<(Signer, KeySource)> {
    check_url("the signer", &written.issuer, allow_loopback_http, node.key("issuer"), findings);
    let keys = settle_keys(&written.keys, allow_loopback_http, node.key("keys"), findings)?;
    let algorithms = written.algorithms.as_ref();
    let algorithms: Option<Vec<Algorithm>> = algorithms.map(|names| names.iter().map(|name| name.0).collect());
    let algorithms = AlgorithmSet::new(algorithms.as_deref().unwrap_or(&AlgorithmSet::TOKENS));
    Some((Signer { issuer: written.issuer.clone(), algorithms }, keys))
}

fn four() -> usize {
    4
}

fn five() -> u64 {
    5
}

fn ten() -> u64 {
    10
}

fn ten_a_second() -> u32 {
    10
}

fn sixty_four() -> usize {
    64
}

fn three_hundred() -> u64 {
    300
}

fn two_thousand() -> u64 {
    2_000
}

fn four_thousand() -> usize {
    4_096
}
