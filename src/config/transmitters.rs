//! Whose security events are taken (SSF 1.0, RFC 8935), and what they may revoke.
//!
//! Closed by default: without transmitters there is no listener. Refused: a listener in plain text that another host could reach (RFC 8935
//! §5.3 wants TLS), a transmitter that could revoke nothing, two that nobody could tell apart.

use std::path::PathBuf;
use std::sync::Arc;

use super::issuers::{Issuer, KeySource, check_url, settle_keys};
use super::listeners::EventsListener;
use super::raw;
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
    /// The file with what its `Authorization` header must be.
    pub authorization_file: Option<PathBuf>,
    /// Whether plain http to loopback is allowed; also for a URL that its metadata names.
    pub allow_loopback_http: bool,
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
        authorization_file: file,
        allow_loopback_http: written.allow_loopback_http,
    })
}

/// What the listener and the transmitters need of each other.
pub(super) fn check(listener: Option<&EventsListener>, are_named: bool, node: &Node, findings: &mut Findings) {
    let Some(listener) = listener else {
        if are_named {
            let what = "`revocations.transmitters` are named, and there is no listener that they could push to";
            let at = node.key("revocations").key("transmitters").at;
            findings.error(at, what, "add `listeners.events`, or remove them");
        }
        return;
    };
    let at = node.key("listeners").key("events").at;
    if !are_named {
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
        ] {
            let all: Vec<_> = transmitters.iter().map(String::as_str).collect();
            let told = read(listener, &all).unwrap_err();
            assert!(told.contains(what), "{what}: {told}");
        }
    }
}
