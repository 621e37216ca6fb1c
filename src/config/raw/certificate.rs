//! The section `certificate` as it is written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// The one place that the client certificate is read from; every other one is ignored.
    pub source: Source,
    /// Who has verified the chain. Without it the names in a certificate are not evidence, only its thumbprint is.
    pub chain_verified_by: ChainVerifiedBy,
    /// PEM file with roots and intermediates; if and only if `chain_verified_by: keybound`.
    pub trust_bundle: Option<PathBuf>,
    /// How the right element of `x-forwarded-client-cert` is found. Only with `source: xfcc`.
    pub xfcc: Option<Xfcc>,
    /// Who may set `Client-Cert`. Only with `source: client_cert`.
    pub client_cert: Option<ClientCert>,
    /// Certificate revocation lists (RFC 5280 §5). Only with `chain_verified_by: keybound`; Envoy has a `crl` of its own.
    pub crls: Option<Crls>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Crls {
    /// Files with lists, PEM or DER, read again when they change; together with `urls` at least one.
    pub files: Vec<PathBuf>,
    /// `http` or `https` URLs of one list each. They are signed, so plain http does; a CA of `trust_bundle` must have signed them.
    pub urls: Vec<String>,
    /// How often the URLs are fetched, in seconds.
    #[schemars(range(min = 10, max = 86_400))]
    pub refresh_seconds: u64,
    /// What is said of a certificate whose list has run out (`nextUpdate`).
    pub expired: Unanswered,
    /// What is said of a certificate that no list covers: none of its issuer is there (yet), or it is for others.
    pub uncovered: Unanswered,
    /// Which certificates are looked for.
    pub depth: CrlDepth,
}

impl Default for Crls {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            urls: Vec::new(),
            refresh_seconds: 300,
            expired: Unanswered::Deny,
            uncovered: Unanswered::Deny,
            depth: CrlDepth::Chain,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Unanswered {
    /// it is refused (`certificate_status_unknown`)
    #[default]
    Deny,
    /// it passes; warns
    Accept,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CrlDepth {
    /// the client's certificate and the intermediates above it: each issuer has a list
    #[default]
    Chain,
    /// the client's certificate alone
    Leaf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Source {
    /// no certificate: a certificate-bound token cannot be used
    #[default]
    None,
    /// `source.certificate` of the check request, with Envoy's `include_peer_certificate`
    EnvoyPeerCertificate,
    /// the `x-forwarded-client-cert` header; the Envoy that asks must write it itself (`SANITIZE_SET` or `APPEND_FORWARD`): one that
    /// forwards only lets whoever reaches it write it, unless `xfcc.trusted_hops` lists who may
    Xfcc,
    /// the `Client-Cert` header of a terminating proxy in front (RFC 9440)
    ClientCert,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ChainVerifiedBy {
    /// only the thumbprint is evidence
    #[default]
    Nobody,
    /// Envoy has a `trusted_ca` and no `ACCEPT_UNTRUSTED`
    Envoy,
    /// we verify it against `trust_bundle`
    Keybound,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Xfcc {
    /// Which element, counted from the right; 1 is what the direct peer wrote. Above 1 needs `trusted_hops`, and a certificate of
    /// every client: with fewer elements the request is denied.
    #[schemars(range(min = 1, max = 8))]
    pub hop: usize,
    /// Identities (URI) that the direct peer, and every element right of the chosen one, must carry.
    pub trusted_hops: Vec<String>,
    /// Our own identity, if the element's `By` must name it.
    pub by: Option<String>,
}

impl Default for Xfcc {
    fn default() -> Self {
        Self { hop: 1, trusted_hops: Vec::new(), by: None }
    }
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct ClientCert {
    /// Identities (`source.principal`) of the proxies that may set the header; empty: every direct peer may.
    pub trusted_hops: Vec<String>,
}
