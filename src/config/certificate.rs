//! Where the client certificate comes from.

use std::path::PathBuf;

use super::raw::{self, ChainVerifiedBy, Source};
use crate::decision::certificate::{CertificateRules, CertificateSource, ChainTrust, XfccRules};
use crate::problem::Findings;
use crate::yaml::Node;

/// Where the client certificate comes from, and what its chain is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What the decision is told.
    pub rules: CertificateRules,
    /// PEM file with roots and intermediates; there if and only if the chain is verified by keybound.
    pub trust_bundle: Option<PathBuf>,
}

pub(super) fn settle(written: raw::Certificate, node: &Node, findings: &mut Findings) -> Certificate {
    check_sections(&written, node, findings);
    check_chain(&written, node, findings);
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
    Certificate { rules: CertificateRules { source, chain }, trust_bundle }
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
