//! The operator's file, `keybound.yaml`: text becomes a [`Config`] that cannot be invalid, or the list of all that is
//! wrong with it, each with its place and what would be right.
//!
//! Pure: nothing is opened here. Paths come out as the start-up may open them, relative ones joined to the directory of
//! the file; whether the files exist and hold what they should is for those that read them.
//!
//! Two passes: `yaml` (keys, types, ranges, choices) reports everything at once, and then the sections report
//! everything that no single value shows. The second needs the first to be clean.

mod admin;
mod certificate;
mod introspection;
mod issuers;
mod listeners;
mod naming;
mod raw;
mod redis;
mod reference;
mod sections;
mod shared;
mod status_list;
#[cfg(test)]
mod tests;
mod transmitters;
mod upstream;
mod url;

use std::path::PathBuf;

use serde_json::Value;

pub use self::admin::{AdminCaller, AdminCredential, AdminListener};
pub use self::certificate::{Certificate, Crls};
pub use self::introspection::{AssertionAlgorithm, ClientAuth, Introspection, PrivateKeyJwt};
pub use self::issuers::{Issuer, KeySource};
pub use self::listeners::{CheckListener, EventsListener, ListenAddress, Listeners};
pub use self::redis::{Layout, Redis, RedisAddress, RedisTls, Sentinel};
pub use self::reference::reference;
pub use self::sections::{
    Bundle, IdentityHeaders, Jwks, Level, Limits, Log, Metadata, OnStale, OnUnavailable, Permission, Profile,
    Revocations, SharedRevocations, Spent, Store, Tls, Upstream,
};
pub use self::status_list::{SignerKeys, StatusLists};
pub use self::transmitters::{Poll, Transmitter, keys_name};
pub use self::url::{Url, WrongUrl, is_forbidden_address, key_url};

use self::naming::Naming;
use self::raw::AlgorithmName;
use crate::decision::binding::ProofRules;
use crate::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use crate::problem::{Findings, Problem};
use crate::yaml::{self, Node};

/// What the operator wants. Made by [`parse`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where keybound listens.
    pub listeners: Listeners,
    /// Where the bundle is.
    pub bundle: Bundle,
    /// Which algorithms may be used at all, and whether APIs ask for nonces unless they say otherwise.
    pub profile: Profile,
    /// Whose access tokens are accepted: at least one, each issuer once.
    pub issuers: Vec<Issuer>,
    /// How keys are fetched.
    pub jwks: Jwks,
    /// Where the client certificate comes from.
    pub certificate: Certificate,
    /// What proofs must look like, and how they are remembered.
    pub proofs: Proofs,
    /// The Redis that replicas share; there if spent proofs or revocations are.
    pub redis: Option<Redis>,
    /// What the API is told.
    pub upstream: Upstream,
    /// Bounds on the work in flight.
    pub limits: Limits,
    /// What is logged.
    pub log: Log,
    /// Protected resource metadata.
    pub metadata: Metadata,
    /// Who may call the admin listener; there if and only if it is.
    pub admin: Vec<AdminCaller>,
    /// How what was revoked is kept.
    pub revocations: Revocations,
    /// Whose security events are taken; there if and only if their listener is.
    pub transmitters: Vec<Transmitter>,
    /// Private, so that nobody else makes a `Config`.
    naming: Naming,
}

/// Proofs of possession.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proofs {
    /// What a proof must look like.
    pub rules: ProofRules,
    /// Files with nonce keys: the first mints, all verify; empty: a key is generated at start.
    pub nonce_key_files: Vec<PathBuf>,
    /// How used proofs are remembered.
    pub spent: Spent,
}

/// Reads the text of an operator's file; `file_name` is its path as the operator named it.
///
/// `Ok` carries the warnings beside the config.
///
/// # Errors
/// Everything that is wrong, warnings included, in the order of the file.
pub fn parse(file_name: &str, source: &str) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
    let mut findings = Findings::new(file_name, source);
    let Some((written, tree)) = yaml::read(file_name, source, &mut findings) else {
        return Err(findings.into_problems());
    };
    let mut config = settle(written, &tree, &mut findings);
    config.naming = Naming::new(file_name, source, findings.paths());
    if findings.has_errors() { Err(findings.into_problems()) } else { Ok((config, findings.into_problems())) }
}

/// The JSON Schema of the operator's file, for editors; `parse` checks with the same one.
#[must_use]
pub fn schema() -> Value {
    yaml::schema_of::<raw::File>()
}

fn settle(written: raw::File, node: &Node, findings: &mut Findings) -> Config {
    let mut jwks = written.jwks;
    settle_jwks(&mut jwks, node.key("jwks"), findings);
    let mut bundle = written.bundle;
    bundle.directory = findings.path(node.key("bundle").key("directory"), &bundle.directory);
    let of_revocations = node.key("revocations");
    let journal = written.revocations.journal.map(|path| findings.path(of_revocations.key("journal"), &path));
    let mut listeners = listeners::settle(written.listeners, node.key("listeners"), findings);
    let admin = admin::settle(written.admin, node.key("admin"), findings);
    let bearers = admin::check(listeners.admin.as_ref(), &admin, node, findings);
    if let Some(listener) = &mut listeners.admin {
        listener.certificate_optional = bearers;
    }
    if listeners.admin.is_some() && journal.is_none() {
        findings.warning(
            node.key("listeners").key("admin").at,
            "what is revoked at this listener is forgotten when the process ends",
            "add `revocations.journal`",
        );
    }
    let held = (written.redis.is_some(), journal.is_some());
    let nonces = &written.proofs.nonce_key_files;
    let shared = shared::settle(written.revocations.shared, held, nonces, of_revocations, findings);
    let redis = redis::settle(written.redis, &written.proofs, &written.limits, node, findings);
    upstream::check(&written.upstream.identity_headers, node.key("upstream").key("identity_headers"), findings);
    let in_flight = written.limits.in_flight;
    let issuers = issuers::settle(written.issuers, node.key("issuers"), written.profile, in_flight, findings);
    introspection::check_waiting(&issuers, in_flight, node.key("issuers"), findings);
    let transmitters = written.revocations.transmitters;
    let push = transmitters.iter().any(|transmitter| transmitter.poll.is_none());
    transmitters::check(listeners.events.as_ref(), push, node, findings);
    Config {
        listeners,
        bundle,
        profile: written.profile,
        transmitters: transmitters::settle(transmitters, of_revocations.key("transmitters"), &issuers, findings),
        issuers,
        jwks,
        certificate: certificate::settle(written.certificate, node.key("certificate"), findings),
        proofs: settle_proofs(written.proofs, node.key("proofs"), written.profile, findings),
        redis,
        upstream: written.upstream,
        limits: written.limits,
        log: written.log,
        metadata: written.metadata,
        admin,
        revocations: Revocations { journal, shared },
        naming: Naming::default(),
    }
}

fn settle_jwks(jwks: &mut Jwks, node: &Node, findings: &mut Findings) {
    if jwks.max_age_seconds < jwks.refresh_seconds {
        findings.error(
            node.present("max_age_seconds").unwrap_or_else(|| node.key("refresh_seconds")).at,
            "keys would be too old before they are fetched again",
            "write a `max_age_seconds` that is not below `refresh_seconds`",
        );
    }
    for (key, path) in [("cache_directory", &mut jwks.cache_directory), ("ca_file", &mut jwks.ca_file)] {
        if let Some(path) = path {
            *path = findings.path(node.key(key), path);
        }
    }
}

fn settle_proofs(written: raw::Proofs, node: &Node, profile: Profile, findings: &mut Findings) -> Proofs {
    let default = AlgorithmSet::PROOFS;
    let files = written.nonce_key_files.iter().enumerate();
    Proofs {
        nonce_key_files: files
            .map(|(index, path)| findings.path(node.key("nonce_key_files").item(index), path))
            .collect(),
        rules: ProofRules {
            algorithms: algorithms(written.algorithms.as_deref(), &default, profile, node.key("algorithms"), findings),
            max_age_seconds: written.max_age_seconds,
            future_skew_seconds: written.future_skew_seconds,
            nonce_lifetime_seconds: written.nonce_lifetime_seconds,
        },
        spent: written.spent,
    }
}

/// The algorithms that are written, or the default; under the FAPI 2.0 profile none outside of it.
fn algorithms(
    written: Option<&[AlgorithmName]>,
    default: &[Algorithm],
    profile: Profile,
    node: &Node,
    findings: &mut Findings,
) -> AlgorithmSet {
    let fapi2 = profile == Profile::Fapi2;
    let Some(written) = written else {
        return AlgorithmSet::new(if fapi2 { &AlgorithmSet::FAPI2 } else { default });
    };
    let list: Vec<Algorithm> = written.iter().map(|name| name.0).collect();
    for (index, algorithm) in list.iter().enumerate() {
        if fapi2 && !AlgorithmSet::FAPI2.contains(algorithm) {
            findings.error(
                node.item(index).at,
                format!("`{}` is outside profile fapi2", algorithm.name()),
                format!("write one of: {}", AlgorithmSet::FAPI2.map(Algorithm::name).join(", ")),
            );
        }
    }
    AlgorithmSet::new(&list)
}
