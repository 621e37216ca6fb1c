//! Where the client certificate comes from.

use std::path::PathBuf;

use super::raw::{self, ChainVerifiedBy, CrlDepth, Source, Unanswered};
use super::url::{Url, crl_url};
use crate::decision::certificate::{CertificateRules, CertificateSource, ChainTrust, CrlRules, XfccRules};
use crate::problem::Findings;
use crate::yaml::Node;

/// Where the client certificate comes from, and what its chain is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What the decision is told.
    pub rules: CertificateRules,
    /// PEM file with roots and intermediates; there if and only if the chain is verified by keybound.
    pub trust_bundle: Option<PathBuf>,
    /// Revocation lists; only where the chain is verified by keybound.
    pub crls: Option<Crls>,
}

/// Where certificate revocation lists come from, and what is done where they do not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crls {
    /// PEM or DER.
    pub files: Vec<PathBuf>,
    /// One list each.
    pub urls: Vec<Url>,
    /// Between two fetches, seconds.
    pub refresh_seconds: u64,
    /// What is done where they do not answer.
    pub rules: CrlRules,
}

pub(super) fn settle(written: raw::Certificate, node: &Node, findings: &mut Findings) -> Certificate {
    check_sections(&written, node, findings);
    check_chain(&written, node, findings);
    check_forwarded(&written, node, findings);
    let source = match written.source {
        Source::None => CertificateSource::None,
        Source::EnvoyPeerCertificate => CertificateSource::EnvoyPeerCertificate,
        Source::Xfcc => {
            CertificateSource::Xfcc(settle_xfcc(written.xfcc.unwrap_or_default(), node.key("xfcc"), findings))
        }
        Source::ClientCert => {
            CertificateSource::ClientCert { trusted_hops: written.client_cert.unwrap_or_default().trusted_hops }
        }
    };
    let chain = match written.chain_verified_by {
        ChainVerifiedBy::Nobody => ChainTrust::Nobody,
        ChainVerifiedBy::Envoy => ChainTrust::Envoy,
        ChainVerifiedBy::Keybound => ChainTrust::Keybound,
    };
    let trust_bundle = written.trust_bundle.map(|path| findings.path(node.key("trust_bundle"), &path));
    let crls = written.crls.as_ref().map(|crls| settle_crls(crls, node.key("crls"), chain, findings));
    Certificate { rules: CertificateRules { source, chain }, trust_bundle, crls }
}

fn settle_crls(written: &raw::Crls, node: &Node, chain: ChainTrust, findings: &mut Findings) -> Crls {
    if chain != ChainTrust::Keybound {
        findings.error(
            node.at,
            "`crls` is not used, because keybound does not verify the chain",
            "write `chain_verified_by: keybound` with `trust_bundle`; or give Envoy the list, as `crl` of its validation context",
        );
    }
    if written.files.is_empty() && written.urls.is_empty() {
        findings.error(node.at, "there is no list to look into", "add `files` or `urls`");
    }
    for (key, unanswered, who) in [
        ("expired", written.expired, "whose list has run out"),
        ("uncovered", written.uncovered, "that no list covers"),
    ] {
        if unanswered == Unanswered::Accept {
            findings.warning(
                node.key(key).at,
                format!("a revoked certificate {who} passes"),
                format!("write `{key}: deny`"),
            );
        }
    }
    let files = written.files.iter().enumerate();
    let files = files.map(|(index, path)| findings.path(node.key("files").item(index), path)).collect();
    let mut urls = Vec::new();
    for (index, text) in written.urls.iter().enumerate() {
        match crl_url(text) {
            Ok(url) => urls.push(url),
            Err(wrong) => {
                let (what, remedy) = wrong.words();
                findings.error(node.key("urls").item(index).at, format!("this {what}"), remedy);
            }
        }
    }
    let accept = |unanswered| unanswered == Unanswered::Accept;
    let rules = CrlRules {
        accept_expired: accept(written.expired),
        accept_uncovered: accept(written.uncovered),
        leaf_alone: written.depth == CrlDepth::Leaf,
    };
    Crls { files, urls, refresh_seconds: written.refresh_seconds, rules }
}

/// A section of a source that is not read would look as if it protected something.
fn check_sections(written: &raw::Certificate, node: &Node, findings: &mut Findings) {
    for (name, present, source) in [
        ("xfcc", written.xfcc.is_some(), Source::Xfcc),
        ("client_cert", written.client_cert.is_some(), Source::ClientCert),
    ] {
        if present && written.source != source {
            findings.error(
                node.key(name).at,
                format!("`{name}` is configured, but it is not the source of the certificate"),
                format!("write `source: {name}`, or remove `{name}`"),
            );
        }
    }
}

fn check_chain(written: &raw::Certificate, node: &Node, findings: &mut Findings) {
    let by_keybound = written.chain_verified_by == ChainVerifiedBy::Keybound;
    if by_keybound && written.trust_bundle.is_none() {
        findings.error(
            node.key("chain_verified_by").at,
            "keybound is to verify the chain, but has no `trust_bundle`",
            "add `trust_bundle`, a PEM file with roots and intermediates",
        );
    }
    if !by_keybound && written.trust_bundle.is_some() {
        findings.error(
            node.key("trust_bundle").at,
            "`trust_bundle` is not used, because keybound does not verify the chain",
            "write `chain_verified_by: keybound`, or remove `trust_bundle`",
        );
    }
    if written.source == Source::None && written.chain_verified_by != ChainVerifiedBy::Nobody {
        findings.error(
            node.key("chain_verified_by").at,
            "there is no certificate whose chain could be verified",
            "name the `source` of the certificate, or remove `chain_verified_by`",
        );
    }
}

/// A certificate in a header is as good as whoever writes the header.
fn check_forwarded(written: &raw::Certificate, node: &Node, findings: &mut Findings) {
    let chain = written.chain_verified_by;
    if written.source == Source::ClientCert && chain == ChainVerifiedBy::Envoy {
        findings.error(
            node.key("chain_verified_by").at,
            "Envoy did not end the TLS connection that `client_cert` tells of, so it has verified no chain",
            "write `chain_verified_by: keybound` with `trust_bundle`, or `nobody`",
        );
    }
    let any_peer = written.client_cert.as_ref().is_none_or(|section| section.trusted_hops.is_empty());
    if written.source == Source::ClientCert && any_peer {
        findings.warning(
            node.key("source").at,
            "whoever reaches Envoy can write the `Client-Cert` header",
            "list the proxies that may in `client_cert.trusted_hops`",
        );
    }
    if written.source == Source::Xfcc && chain == ChainVerifiedBy::Nobody {
        findings.warning(
            node.key("source").at,
            "Envoy writes URI and DNS names unescaped into `x-forwarded-client-cert`: a certificate that nobody has \
             verified can forge an element with them",
            "use `source: envoy_peer_certificate`, or let Envoy verify clients and write `chain_verified_by: envoy`",
        );
    }
}

fn settle_xfcc(written: raw::Xfcc, node: &Node, findings: &mut Findings) -> XfccRules {
    if written.hop > 1 && written.trusted_hops.is_empty() {
        findings.error(
            node.key("hop").at,
            format!("element {} from the right can be forged by whoever sends the request", written.hop),
            "add `trusted_hops`, the identities that every element right of it must carry, or write `hop: 1`",
        );
    }
    XfccRules { hop: written.hop, trusted_hops: written.trusted_hops, by: written.by }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use crate::config::parse;
    use crate::problem::Problem;

    const GOOD: &str = "\
listeners:
  check: [{ name: edge, address: 127.0.0.1:9191 }]
bundle: { directory: policies }
issuers: [{ issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }]
certificate:
";

    fn problems(section: &str) -> Vec<Problem> {
        parse("keybound.yaml", &format!("{GOOD}{section}")).map_or_else(|problems| problems, |(_, warnings)| warnings)
    }

    #[test]
    fn a_header_that_anybody_can_write_warns() {
        for (section, words) in
            [("  source: client_cert\n", "whoever reaches Envoy"), ("  source: xfcc\n", "forge an element")]
        {
            let found = problems(section);
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(!found[0].is_error() && found[0].what.contains(words), "{found:#?}");
            assert_eq!((found[0].place.line, found[0].place.column), (6, 11));
        }
        for section in [
            "  source: envoy_peer_certificate\n",
            "  source: xfcc\n  chain_verified_by: envoy\n",
            "  source: client_cert\n  client_cert: { trusted_hops: [\"spiffe://a.test/gw\"] }\n",
        ] {
            assert_eq!(problems(section), [], "{section}");
        }
    }

    #[test]
    fn envoy_vouches_only_for_connections_that_it_ended() {
        let section = "  source: client_cert\n  chain_verified_by: envoy\n  client_cert: { trusted_hops: [a] }\n";
        let found = problems(section);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].is_error() && found[0].what.contains("did not end the TLS connection"), "{found:#?}");
        assert_eq!((found[0].place.line, found[0].place.column), (7, 22));
    }

    #[test]
    fn lists_are_for_chains_that_keybound_verifies_and_come_from_somewhere() {
        let ours = "  source: envoy_peer_certificate\n  chain_verified_by: keybound\n  trust_bundle: ca.pem\n";
        let with = |crls: &str| format!("{ours}  crls: {crls}\n");
        for good in ["{ files: [a.crl] }", "{ urls: [\"http://pki.test/a.crl\"], depth: leaf }"] {
            assert_eq!(problems(&with(good)), [], "{good}");
        }
        let told =
            |section: &str| problems(section).into_iter().map(|problem| problem.what).collect::<Vec<_>>().join("; ");
        for (crls, words) in [
            ("{}", "there is no list to look into"),
            ("{ urls: [\"ftp://pki.test/a.crl\"] }", "is neither https nor http"),
            ("{ urls: [\"http://169.254.169.254/a.crl\"] }", "metadata address"),
            ("{ files: [a.crl], expired: accept }", "a revoked certificate whose list has run out passes"),
            ("{ files: [a.crl], uncovered: accept }", "a revoked certificate that no list covers passes"),
        ] {
            let told = told(&with(crls));
            assert!(told.contains(words), "{crls}: {told}");
        }
        let by_envoy = "  source: envoy_peer_certificate\n  chain_verified_by: envoy\n  crls: { files: [a.crl] }\n";
        assert!(told(by_envoy).contains("keybound does not verify the chain"));
    }
}
