//! The section `revocations.shared`: how replicas tell each other what was revoked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sections::{OnStale, SharedRevocations};
use crate::problem::Findings;
use crate::yaml::Node;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Files with the keys of the fleet, 32 to 4096 random bytes each: the first signs what this replica tells, all verify what it is
    /// told, so that whoever can write to Redis and has none of them can neither revoke nor take back. Read again when they change;
    /// not those of nonces.
    #[schemars(length(min = 1))]
    key_files: Vec<PathBuf>,
    /// For how long nothing may be heard of the others, in seconds, before `on_stale` counts. It is measured from the last moment at
    /// which everything that Redis had was known here; a replica that has just started has heard nothing.
    #[serde(default = "thirty")]
    #[schemars(range(min = 5, max = 86_400))]
    stale_after_seconds: i64,
    /// What becomes of requests with a token while nothing is heard of the others.
    #[serde(default)]
    on_stale: OnStale,
}

/// `node` is that of `revocations`.
pub(super) fn settle(
    written: Option<Written>,
    (has_redis, has_journal): (bool, bool),
    nonce_key_files: &[PathBuf],
    node: &Node,
    findings: &mut Findings,
) -> Option<SharedRevocations> {
    let (written, node) = (written?, node.key("shared"));
    if !has_redis {
        findings.error(
            node.at,
            "revocations are to be shared through Redis, and no Redis is named",
            "add the section `redis` with its `addresses`",
        );
    }
    if !has_journal && written.on_stale == OnStale::Serve {
        findings.warning(
            node.key("on_stale").at,
            "a replica that starts while Redis is away serves what was revoked: it keeps nothing of its own",
            "add `revocations.journal`, or write `on_stale: deny`",
        );
    }
    for (index, path) in written.key_files.iter().enumerate() {
        let place = node.key("key_files").item(index).at;
        if written.key_files.iter().take(index).any(|other| other == path) {
            findings.error(place, "this file is named twice", "name each key once");
        }
        if nonce_key_files.contains(path) {
            findings.error(
                place,
                "this is a key of nonces too: one that is stolen would be both",
                "make a key of its own: `head -c 32 /dev/urandom`",
            );
        }
    }
    let files = written.key_files.iter().enumerate();
    Some(SharedRevocations {
        key_files: files.map(|(index, path)| findings.path(node.key("key_files").item(index), path)).collect(),
        stale_after_seconds: written.stale_after_seconds,
        on_stale: written.on_stale,
    })
}

fn thirty() -> i64 {
    30
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::config::parse;

    const GOOD: &str = "\
listeners: { check: [{ name: edge, address: 127.0.0.1:9191 }] }
bundle: { directory: policies }
issuers: [{ issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }]
proofs: { nonce_key_files: [nonce.key] }
redis: { addresses: [\"127.0.0.1:6379\"] }
revocations: { journal: j, shared: { key_files: [fleet.key, old.key] } }
";

    /// What is said of the good file with one text changed: whether it is an error, its line, words.
    fn told(from: &str, to: &str) -> Vec<(bool, usize, String)> {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        let problems = parse("keybound.yaml", &GOOD.replace(from, to));
        let problems = problems.map_or_else(|problems| problems, |(_, warnings)| warnings);
        problems
            .into_iter()
            .map(|problem| (problem.is_error(), problem.place.line, format!("{} {}", problem.what, problem.remedy)))
            .collect()
    }

    #[test]
    fn a_fleet_shares_revocations_with_a_key_and_a_redis() {
        let (config, warnings) = parse("etc/keybound.yaml", GOOD).unwrap();
        assert_eq!(warnings, []);
        assert!(config.redis.is_some());
        let shared = config.revocations.shared.unwrap();
        assert_eq!(shared.key_files, [PathBuf::from("etc/fleet.key"), PathBuf::from("etc/old.key")]);
        assert_eq!((shared.stale_after_seconds, shared.on_stale), (30, OnStale::Deny));
        let more = ", stale_after_seconds: 60, on_stale: serve } }";
        let (config, warnings) = parse("etc/keybound.yaml", &GOOD.replace(" } }\n", more)).unwrap();
        assert_eq!(warnings, []);
        let shared = config.revocations.shared.unwrap();
        assert_eq!((shared.stale_after_seconds, shared.on_stale), (60, OnStale::Serve));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let one = |from: &str, to: &str, words: &str| {
            let told = told(from, to);
            assert_eq!(told.len(), 1, "{to}: {told:?}");
            assert!(told[0].0 && told[0].2.contains(words), "{to}: {told:?}");
        };
        one("redis: { addresses: [\"127.0.0.1:6379\"] }\n", "", "no Redis is named");
        one("old.key", "fleet.key", "named twice");
        one("old.key", "nonce.key", "key of nonces");
        one("[fleet.key, old.key]", "[]", "");
        one("old.key]", "old.key], stale_after_seconds: 4", "");
        let unkept = told("journal: j, shared: { ", "shared: { on_stale: serve, ");
        assert!(unkept.len() == 1 && !unkept[0].0 && unkept[0].2.contains("keeps nothing of its own"), "{unkept:?}");
    }
}
