//! The Redis that replicas share, and what goes with remembering spent proofs in it.

mod sentinel;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::sentinel::Sentinel;
use super::raw;
use super::sections::{Limits, Store};
use crate::problem::Findings;
use crate::yaml::Node;

/// The section `redis` as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// What is there.
    #[serde(default)]
    mode: Layout,
    /// Its addresses, `host:port`: the one of a single Redis; of a cluster those that are asked first, the others are found through them;
    /// with Sentinel those of all Sentinels, and none of Redis.
    #[schemars(length(min = 1))]
    addresses: Vec<String>,
    /// Which Redis the Sentinels watch. With `mode: sentinel`, and only then.
    #[serde(default)]
    sentinel: Option<sentinel::Written>,
    /// TLS towards Redis and Sentinels; plain text if absent. `tls: {}` trusts the CAs of the operating system.
    #[serde(default)]
    tls: Option<RedisTls>,
    /// The ACL user; `default` if absent. Needs `password_file`.
    #[serde(default)]
    username: Option<String>,
    /// A file with the password, alone on its line; read again at every connect. No password if absent.
    #[serde(default)]
    password_file: Option<PathBuf>,
    /// The number of the database. Not with `mode: cluster`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_023))]
    database: u16,
    /// How long an answer of Redis may take, in milliseconds; below `limits.deadline_milliseconds`. Three late ones in a row and Redis
    /// is not asked until it has shown that it answers.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 5_000))]
    timeout_milliseconds: u64,
    /// What the name of every key begins with: 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_`, `-` and `:`. Fleets that share a Redis and not their
    /// proofs need different ones.
    #[serde(default = "keybound")]
    key_prefix: String,
}

/// How Redis is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// one Redis that is written to, at one address, with or without replicas behind it
    #[default]
    Single,
    /// a Redis Cluster
    Cluster,
    /// a Redis with replicas, of which most of the Sentinels must name the same one as the primary
    Sentinel,
}

/// TLS towards Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisTls {
    /// PEM file with the CAs that Redis' certificate must chain to; those of the operating system if absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate chain, leaf first, if Redis asks for one. Needs `key`.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key of that certificate.
    pub key: Option<PathBuf>,
}

/// The Redis that replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// How it is laid out.
    pub layout: Layout,
    /// Whom to ask: exactly one if it is single.
    pub addresses: Vec<RedisAddress>,
    /// There if and only if it is laid out so.
    pub sentinel: Option<Sentinel>,
    /// TLS, if it is to be spoken.
    pub tls: Option<RedisTls>,
    /// The ACL user.
    pub username: Option<String>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
    /// The number of the database; 0 in a cluster.
    pub database: u16,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What the name of every key begins with.
    pub key_prefix: String,
}

/// Where a Redis listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedisAddress {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl core::fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl RedisAddress {
    /// `host:port`, `[v6]:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let host = match bracketed {
            Some(address) => address.parse::<core::net::Ipv6Addr>().ok().map(|_| address)?,
            None => (!host.is_empty() && host.bytes().all(of_name)).then_some(host)?,
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self { host: host.to_owned(), port })
    }

    fn is_loopback(&self) -> bool {
        let loopback = |address: core::net::IpAddr| address.to_canonical().is_loopback();
        self.host == "localhost" || self.host.parse().is_ok_and(loopback)
    }
}

/// `root` is the whole file: the section `redis`, and what goes with it in `proofs`, `revocations` and `limits`.
pub(super) fn settle(
    written: Option<Written>,
    proofs: &raw::Proofs,
    limits: &Limits,
    root: &Node,
    findings: &mut Findings,
) -> Option<Redis> {
    check_proofs(written.is_some(), proofs, root.key("proofs"), findings);
    let (written, node) = (written?, root.key("redis"));
    if proofs.spent.store == Store::Memory && root.key("revocations").present("shared").is_none() {
        findings.warning(
            node.at,
            "nothing is kept in this Redis",
            "write `proofs.spent.store: redis` or `revocations.shared`, or remove `redis`",
        );
    }
    check_layout(&written, node, findings);
    check_access(&written, node, findings);
    if written.timeout_milliseconds >= limits.deadline_milliseconds {
        let place =
            node.present("timeout_milliseconds").unwrap_or_else(|| root.key("limits").key("deadline_milliseconds"));
        findings.error(
            place.at,
            format!(
                "checks end after {} ms: no answer of Redis is waited for to its end",
                limits.deadline_milliseconds
            ),
            "write a `redis.timeout_milliseconds` below `limits.deadline_milliseconds`",
        );
    }
    let addresses = written.addresses.iter().enumerate();
    let addresses = addresses.filter_map(|(index, text)| address(text, node.key("addresses").item(index), findings));
    let addresses = addresses.collect();
    let sentinel = sentinel::settle(written.sentinel, node.key("sentinel"), findings);
    let mut path = |node: &Node, path: Option<PathBuf>| path.map(|path| findings.path(node, &path));
    let tls_node = node.key("tls");
    let tls = written.tls.map(|tls| RedisTls {
        ca_file: path(tls_node.key("ca_file"), tls.ca_file),
        certificate: path(tls_node.key("certificate"), tls.certificate),
        key: path(tls_node.key("key"), tls.key),
    });
    Some(Redis {
        layout: written.mode,
        addresses,
        sentinel,
        tls,
        username: written.username,
        password_file: path(node.key("password_file"), written.password_file),
        database: written.database,
        timeout: Duration::from_millis(written.timeout_milliseconds),
        key_prefix: written.key_prefix,
    })
}

fn check_proofs(has_redis: bool, proofs: &raw::Proofs, node: &Node, findings: &mut Findings) {
    let spent = node.key("spent");
    match proofs.spent.store {
        Store::Memory => {
            if let Some(written) = spent.present("on_unavailable") {
                findings.error(
                    written.at,
                    "spent proofs are remembered in this process: there is nothing that could be unavailable",
                    "write `store: redis`, or remove `on_unavailable`",
                );
            }
        }
        Store::Redis => {
            if !has_redis {
                findings.error(
                    spent.key("store").at,
                    "spent proofs are to be remembered in Redis, and no Redis is named",
                    "add the section `redis` with its `addresses`",
                );
            }
            if proofs.nonce_key_files.is_empty() {
                findings.error(
                    spent.key("store").at,
                    "replicas that share spent proofs have nonces of their own: each would refuse the others' nonces",
                    "add `proofs.nonce_key_files`, the same for all replicas",
                );
            }
        }
    }
}

fn check_layout(written: &Written, node: &Node, findings: &mut Findings) {
    if written.mode == Layout::Single && written.addresses.len() > 1 {
        findings.error(
            node.key("addresses").at,
            "a single Redis has one address",
            "write the one that is written to, or `mode: cluster`, or `mode: sentinel`",
        );
    }
    sentinel::check(written.sentinel.as_ref(), written.mode, written.addresses.len(), node, findings);
    if written.mode == Layout::Cluster && written.database != 0 {
        findings.error(node.key("database").at, "a cluster has database 0 alone", "remove `database`");
    }
    let of_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let prefix = &written.key_prefix;
    if !(1..=64).contains(&prefix.len()) || !prefix.bytes().all(of_prefix) {
        findings.error(
            node.key("key_prefix").at,
            "this is no prefix of keys",
            "write 1 to 64 of `a-z`, `A-Z`, `0-9`, `.`, `_`, `-` and `:`",
        );
    }
}

fn check_access(written: &Written, node: &Node, findings: &mut Findings) {
    if written.username.is_some() && written.password_file.is_none() {
        findings.error(node.key("username").at, "a user without a password", "add `password_file`");
    }
    if let Some(tls) = &written.tls
        && tls.certificate.is_some() != tls.key.is_some()
    {
        findings.error(node.key("tls").at, "a certificate and its key go together", "write both, or none");
    }
    let outside = |address: &String| RedisAddress::parse(address).is_some_and(|address| !address.is_loopback());
    if written.tls.is_none() && written.addresses.iter().any(outside) {
        findings.warning(
            node.key("addresses").at,
            "Redis is reached over the network without TLS: whoever can write on the way can make a spent proof fresh",
            "add `tls`, or reach it on loopback",
        );
    }
}

fn address(text: &str, node: &Node, findings: &mut Findings) -> Option<RedisAddress> {
    let address = RedisAddress::parse(text);
    if address.is_none() {
        // A URL may hold a password.
        findings.error_unseen(
            node.at,
            "this is no address of a Redis",
            "write `host:port`, such as redis.example.org:6379",
        );
    }
    address
}

fn fifty() -> u64 {
    50
}

fn keybound() -> String {
    "keybound".to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;
    use crate::config::{OnUnavailable, parse};

    const GOOD: &str = "\
listeners: { check: [{ name: edge, address: 127.0.0.1:9191 }] }
bundle: { directory: policies }
issuers: [{ issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }]
proofs: { nonce_key_files: [nonce.key], spent: { store: redis } }
redis: { addresses: [\"127.0.0.1:6379\"] }
";

    /// What is said of the good file with one text changed: whether it is an error, line and column, words.
    fn told(from: &str, to: &str) -> Vec<(bool, usize, usize, String)> {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        let problems = parse("keybound.yaml", &GOOD.replace(from, to));
        let problems = problems.map_or_else(|problems| problems, |(_, warnings)| warnings);
        let told = problems.into_iter().map(|problem| {
            (
                problem.is_error(),
                problem.place.line,
                problem.place.column,
                format!("{} {}", problem.what, problem.remedy),
            )
        });
        told.collect()
    }

    fn refused(from: &str, to: &str, line: usize, column: usize, words: &str) {
        let told: Vec<_> = told(from, to).into_iter().filter(|problem| problem.0).collect();
        assert_eq!(told.len(), 1, "{to}: {told:?}");
        assert_eq!((told[0].0, told[0].1, told[0].2), (true, line, column), "{to}: {told:?}");
        assert!(told[0].3.contains(words), "{to}: {told:?}");
    }

    #[test]
    fn a_fleet_is_configured_with_little() {
        let (config, warnings) = parse("etc/keybound.yaml", GOOD).unwrap();
        assert_eq!(warnings, []);
        let redis = config.redis.unwrap();
        assert_eq!(redis.addresses, [RedisAddress { host: "127.0.0.1".to_owned(), port: 6379 }]);
        assert_eq!(
            (redis.layout, redis.timeout, redis.key_prefix.as_str()),
            (Layout::Single, Duration::from_millis(50), "keybound")
        );
        assert_eq!(config.proofs.spent.on_unavailable, OnUnavailable::Deny);
        let whole = "{ mode: cluster, addresses: [\"a.test:1\", \"[::1]:2\"], tls: { ca_file: ca }, username: u, password_file: p }";
        let (config, warnings) =
            parse("etc/keybound.yaml", &GOOD.replace("{ addresses: [\"127.0.0.1:6379\"] }", whole)).unwrap();
        assert_eq!(warnings, []);
        let redis = config.redis.unwrap();
        assert_eq!(redis.addresses[1].to_string(), "[::1]:2");
        assert_eq!(redis.tls.unwrap().ca_file, Some("etc/ca".into()));
        assert_eq!(redis.password_file, Some("etc/p".into()));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let address = "addresses: [\"127.0.0.1:6379\"]";
        refused("redis: { addresses: [\"127.0.0.1:6379\"] }\n", "", 4, 57, "no Redis is named");
        refused("nonce_key_files: [nonce.key], ", "", 4, 27, "nonce_key_files");
        refused("store: redis", "on_unavailable: local", 4, 66, "nothing that could be unavailable");
        refused(address, &format!("{address}, database: 3, mode: cluster"), 5, 51, "database 0 alone");
        refused(address, "addresses: [\"127.0.0.1:1\", \"127.0.0.1:2\"]", 5, 21, "one address");
        refused(address, &format!("{address}, username: u"), 5, 51, "password_file");
        refused(address, &format!("{address}, mode: sentinel"), 5, 47, "add `sentinel: { primary: NAME }`");
        refused(address, &format!("{address}, sentinel: {{ primary: p }}"), 5, 51, "no Sentinel is asked");
        refused(address, &format!("{address}, tls: {{ key: k }}"), 5, 46, "go together");
        refused(
            address,
            &format!("{address}, timeout_milliseconds: 150"),
            5,
            63,
            "below `limits.deadline_milliseconds`",
        );
        for prefix in ["''", "a{b}", "a b", &"a".repeat(65)] {
            let told = told(address, &format!("{address}, key_prefix: \"{}\"", prefix.trim_matches('\'')));
            assert!(told.iter().any(|problem| problem.0), "{prefix}: {told:?}");
        }
        for bad in
            ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", ":1", "::1:1", "[::1]", "a/b:1", "redis://:hush@a.test:1"]
        {
            let told = told("127.0.0.1:6379", bad);
            assert_eq!(told.len(), 1, "{bad}: {told:?}");
            assert!(told[0].0 && told[0].3.contains("host:port") && !told[0].3.contains("hush"), "{told:?}");
        }
    }

    #[test]
    fn what_is_unwise_warns() {
        let open = told("127.0.0.1:6379", "redis.test:6379");
        assert_eq!(open.len(), 1, "{open:?}");
        assert!(!open[0].0 && open[0].3.contains("without TLS"), "{open:?}");
        assert_eq!(told("127.0.0.1:6379", "localhost:6379"), []);
        let unused = told("store: redis", "capacity: 1000");
        assert!(!unused[0].0 && unused[0].3.contains("nothing is kept in this Redis"), "{unused:?}");
    }
}
