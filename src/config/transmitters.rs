//! Whose security events are taken (SSF 1.0, RFC 8935), and what they may revoke.
//!
//! Closed by default: without transmitters that push there is no listener. Refused: a listener in plain text that another host could reach (RFC 8935
//! §5.3 wants TLS), a transmitter that could revoke nothing, two that nobody could tell apart.

use std::path::PathBuf;
use std::sync::Arc;

use super::issuers::refuse_url;
use super::issuers::{Issuer, KeySource, check_url, settle_keys};
use super::listeners::EventsListener;
use super::raw;
use super::url::{Url, key_url};
use crate::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::decision::security_event::{EventKind, TransmitterRules};
use crate::problem::Findings;
use crate::yaml::Node;

/// How many there may be: each is a source of revocations, and a label of metrics.
const TRANSMITTERS: usize = 32;

/// What SETs are signed with, unless the operator names others; RS256 is what the interoperability profile of CAEP asks for.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ed25519];

/// A transmitter of security events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmitter {
    /// What its SETs must look like, and what they may revoke.
    pub rules: Arc<TransmitterRules>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Where its events are fetched; `None`: it pushes them.
    pub poll: Option<Poll>,
    /// The file with what its `Authorization` header must be.
    pub authorization_file: Option<PathBuf>,
    /// Whether plain http to loopback is allowed; also for a URL that its metadata names.
    pub allow_loopback_http: bool,
}

/// How events are fetched (RFC 8936).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Where.
    pub url: Url,
    /// The file with the `Authorization` header that is sent.
    pub authorization_file: PathBuf,
    /// Between two polls, in seconds.
    pub every_seconds: u64,
}

impl Transmitter {
    /// What its keys are kept by, apart from those of the tokens of an issuer of the same name.
    #[must_use]
    pub fn keys_name(&self) -> String {
        keys_name(&self.rules)
    }
}

/// What the keys of a transmitter are kept by.
#[must_use]
pub fn keys_name(rules: &TransmitterRules) -> String {
    format!("ssf:{}", rules.issuer)
}

pub(super) fn settle(
    written: Vec<raw::Transmitter>,
    node: &Node,
    issuers: &[Issuer],
    findings: &mut Findings,
) -> Vec<Transmitter> {
    if written.len() > TRANSMITTERS {
        findings.error(node.at, format!("{} transmitters", written.len()), format!("name {TRANSMITTERS} at most"));
    }
    for (index, transmitter) in written.iter().enumerate() {
        let node = node.item(index);
        let mut before = written.iter().take(index);
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if transmitter.name.len() > 32 || !transmitter.name.bytes().all(allowed) {
            let what = format!("`{}` is no name of a transmitter", transmitter.name);
            findings.error(node.key("name").at, what, "write 1 to 32 of `a-z`, `0-9` and `-`");
        }
        if before.clone().any(|other| other.name == transmitter.name) {
            let what = format!("two transmitters are named `{}`", transmitter.name);
            findings.error(node.key("name").at, what, "give each its own name: entries and logs say who told");
        }
        if before.any(|other| other.issuer == transmitter.issuer) {
            let what = format!("two transmitters are `{}`", transmitter.issuer);
            findings.error(node.key("issuer").at, what, "keep one: `iss` alone tells them apart");
        }
        check_issuers(transmitter, node, issuers, findings);
    }
    let items = written.into_iter().enumerate();
    items.filter_map(|(index, written)| settle_one(written, node.item(index), findings)).collect()
}

/// A typing error in an issuer would revoke nothing.
fn check_issuers(written: &raw::Transmitter, node: &Node, issuers: &[Issuer], findings: &mut Findings) {
    for (index, issuer) in written.may_revoke_for.iter().enumerate() {
        if !issuers.iter().any(|known| known.rules.issuer == *issuer) {
            let what = format!("no token of `{issuer}` is accepted here, so there is nothing to revoke");
            let known: Vec<_> = issuers.iter().map(|known| known.rules.issuer.as_str()).collect();
            let at = node.key("may_revoke_for").item(index).at;
            findings.error(at, what, format!("write one of: {}", known.join(", ")));
        }
    }
    if let Some(issuer) = &written.opaque_subjects_of
        && !written.may_revoke_for.contains(issuer)
    {
        let what = format!("`{issuer}` is none of `may_revoke_for`");
        findings.error(node.key("opaque_subjects_of").at, what, "write one of them, or add it");
    }
}

fn settle_one(written: raw::Transmitter, node: &Node, findings: &mut Findings) -> Option<Transmitter> {
    check_url("the transmitter", &written.issuer, written.allow_loopback_http, node.key("issuer"), findings);
    let keys = settle_keys(&written.keys, written.allow_loopback_http, node.key("keys"), findings)?;
    let poll = match written.poll {
        None => None,
        Some(poll) => {
            if written.authorization_file.is_some() {
                let what = "events are fetched, so the transmitter sends no `Authorization` header";
                findings.error(node.key("authorization_file").at, what, "write it in `poll`, or leave `poll` out");
            }
            Some(settle_poll(&poll, written.allow_loopback_http, node.key("poll"), findings)?)
        }
    };
    let algorithms = written.algorithms.map(|names| names.into_iter().map(|name| name.0).collect::<Vec<_>>());
    let events = written.events.map(|names| names.into_iter().map(|name| name.0).collect());
    let file = written.authorization_file.map(|path| findings.path(node.key("authorization_file"), &path));
    Some(Transmitter {
        rules: Arc::new(TransmitterRules {
            name: written.name,
            issuer: written.issuer,
            audience: written.audience,
            algorithms: AlgorithmSet::new(algorithms.as_deref().unwrap_or(&ALGORITHMS)),
            may_revoke_for: written.may_revoke_for,
            events: events.unwrap_or_else(|| EventKind::USUAL.to_vec()),
            opaque_subjects_of: written.opaque_subjects_of,
        }),
        keys,
        poll,
        authorization_file: file,
        allow_loopback_http: written.allow_loopback_http,
    })
}

fn settle_poll(written: &raw::Poll, loopback: bool, node: &Node, findings: &mut Findings) -> Option<Poll> {
    let url = key_url(&written.url, loopback)
        .map_err(|wrong| refuse_url("the URL that is polled", wrong, node.key("url"), findings))
        .ok()?;
    let authorization_file = findings.path(node.key("authorization_file"), &written.authorization_file);
    Some(Poll { url, authorization_file, every_seconds: written.every_seconds })
}

/// What the listener and the transmitters need of each other; `push`: one of them pushes.
pub(super) fn check(listener: Option<&EventsListener>, push: bool, node: &Node, findings: &mut Findings) {
    let Some(listener) = listener else {
        if push {
            let what = "`revocations.transmitters` are named, and there is no listener that they could push to";
            let at = node.key("revocations").key("transmitters").at;
            findings.error(at, what, "add `listeners.events`, or `poll` to each of them");
        }
        return;
    };
    let at = node.key("listeners").key("events").at;
    if !push {
        let what = "nobody may push to the events listener";
        findings.error(at, what, "add `revocations.transmitters`, or remove `listeners.events`");
    }
    if listener.tls.is_none() && !listener.address.ip().to_canonical().is_loopback() {
        let what = "the events listener is open to the network without TLS";
        let remedy = "add `tls`, or listen on a loopback address behind an Envoy that has it: events name people, and \
                      whoever can read on the way learns `Authorization` headers";
        findings.error(at, what, remedy);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::config::{Config, parse};

    const PLAIN: &str = "  events: { address: 127.0.0.1:0 }\n";
    const ONE: &str = "name: idp, issuer: https://ssf.test, audience: us, keys: { discovery: true }, may_revoke_for: [https://as.test]";

    const POLL: &str = "poll: { url: https://ssf.test/poll, authorization_file: p }";

    fn read(listener: &str, transmitters: &[&str]) -> Result<Config, String> {
        let items: Vec<_> = transmitters.iter().map(|one| format!("\n  - {{ {one} }}")).collect();
        let section =
            if items.is_empty() { String::new() } else { format!("revocations:\n  transmitters:{}\n", items.concat()) };
        let source = format!(
            "listeners:\n  check: [{{ name: edge, address: 127.0.0.1:0 }}]\n{listener}bundle: {{ directory: policies }}\n\
             issuers: [{{ issuer: https://as.test, keys: {{ discovery: true }}, audiences: [a], max_lifetime_seconds: 300 }}]\n\
             {section}profile: fapi2\n"
        );
        parse("keybound.yaml", &source).map(|(config, _)| config).map_err(|problems| {
            assert_eq!(problems.len(), 1, "{source}\n{problems:#?}");
            format!("{} {}", problems[0].what, problems[0].remedy)
        })
    }

    #[test]
    fn what_is_left_out_is_what_is_safe() {
        let config = read(PLAIN, &[ONE]).unwrap();
        let rules = &config.transmitters[0].rules;
        assert_eq!(rules.events, EventKind::USUAL);
        assert!(rules.algorithms.contains(Algorithm::Rs256), "whatever the profile says of tokens");
        assert_eq!((&rules.opaque_subjects_of, &config.transmitters[0].authorization_file), (&None, &None));
        let more =
            format!("{ONE}, events: [risk-level-change], opaque_subjects_of: https://as.test, authorization_file: a");
        let config = read(PLAIN, &[&more]).unwrap();
        assert_eq!(config.transmitters[0].rules.events, [EventKind::RiskLevelChange]);
        let config = read("", &[&format!("{ONE}, {POLL}")]).unwrap();
        let Poll { url, every_seconds, .. } = config.transmitters[0].poll.as_ref().unwrap();
        assert_eq!((url.as_str(), *every_seconds), ("https://ssf.test/poll", 2));
        let open = "  events: { address: 0.0.0.0:1, tls: { certificate: a, key: b } }\n";
        assert!(read(open, &[ONE]).unwrap().listeners.events.unwrap().tls.is_some());
    }

    #[test]
    fn what_could_revoke_nothing_or_be_read_by_anybody_is_refused() {
        let other = ONE.replace("name: idp", "name: other");
        let with = |from: &str, to: &str| ONE.replace(from, to);
        for (listener, transmitters, what) in [
            ("", vec![ONE.to_owned()], "no listener that they could push to"),
            (PLAIN, vec![], "nobody may push"),
            ("  events: { address: 0.0.0.0:1 }\n", vec![ONE.to_owned()], "without TLS"),
            (PLAIN, vec![ONE.to_owned(), other], "two transmitters are `https://ssf.test`"),
            (PLAIN, vec![ONE.to_owned(), with("ssf.test", "ssf2.test")], "two transmitters are named"),
            (PLAIN, vec![with("name: idp", "name: The IdP")], "no name of a transmitter"),
            (PLAIN, vec![with("[https://as.test]", "[https://as.tset]")], "write one of: https://as.test"),
            (PLAIN, vec![format!("{ONE}, opaque_subjects_of: https://x.test")], "none of `may_revoke_for`"),
            (PLAIN, vec![format!("{ONE}, events: [session-revoke]")], "session-revoked"),
            (PLAIN, vec![with("https://ssf.test", "http://ssf.test")], "the transmitter is not https"),
            (PLAIN, vec![with("discovery: true", "discovery: false")], "`keys` says nothing"),
            (PLAIN, vec![format!("{ONE}, {POLL}")], "nobody may push"),
            ("", vec![format!("{ONE}, {POLL}, authorization_file: a")], "sends no `Authorization` header"),
            ("", vec![format!("{ONE}, {}", POLL.replace("https", "http"))], "the URL that is polled is not https"),
        ] {
            let all: Vec<_> = transmitters.iter().map(String::as_str).collect();
            let told = read(listener, &all).unwrap_err();
            assert!(told.contains(what), "{what}: {told}");
        }
    }
}
