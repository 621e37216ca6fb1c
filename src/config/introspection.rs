//! How an issuer is asked about its tokens (RFC 7662): where, as whom, how often, and for how long an answer counts.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::issuers::refuse_url;
use super::raw::AlgorithmName;
use super::url::{Url, key_url};
use super::{Profile, algorithms};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::token::SignedAnswers;
use crate::problem::Findings;
use crate::yaml::Node;

/// How an issuer is asked. Made by `settle` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// Where; `None`: the issuer's metadata say so (RFC 8414 §2, `introspection_endpoint`).
    pub url: Option<Url>,
    /// As which client.
    pub client_id: String,
    /// How that client is authenticated.
    pub auth: ClientAuth,
    /// For how long an answer counts that a token is active.
    pub cache_seconds: u64,
    /// For how long any other answer counts.
    pub negative_cache_seconds: u64,
    /// How long one call may take.
    pub timeout_milliseconds: u64,
    /// Calls at once.
    pub max_in_flight: usize,
    /// Calls in a second.
    pub max_per_second: u32,
    /// Checks that may wait for answers.
    pub max_waiting: usize,
}

/// How keybound is authenticated to an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// The secret in this file, in the header `Authorization` (RFC 6749 §2.3.1).
    SecretBasic(PathBuf),
    /// The secret in this file, in the body.
    SecretPost(PathBuf),
    /// A JWT that is signed for each call (RFC 7523).
    PrivateKeyJwt(PrivateKeyJwt),
    /// A client certificate (RFC 8705 §2).
    Tls {
        /// PEM: the chain, leaf first.
        certificate: PathBuf,
        /// PEM: its private key.
        key: PathBuf,
    },
}

/// The section as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The https URL that is asked. Exactly one of `url` and `discovery: true`.
    #[serde(default)]
    url: Option<String>,
    /// `true`: the URL is the `introspection_endpoint` of the issuer's metadata (RFC 8414 §2), which are read at start and every
    /// `jwks.refresh_seconds`.
    #[serde(default)]
    discovery: bool,
    /// The client that keybound is at this issuer.
    client_id: String,
    /// How that client is authenticated: exactly one of the four. Files are read again when their content changes.
    auth: WrittenAuth,
    /// For how many seconds the answer that a token is active counts, and never beyond the token's `exp`: a token that is revoked is
    /// refused that much later at most. With 0 every request is asked about.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 300))]
    cache_seconds: u64,
    /// For how many seconds any other answer about a token counts. With 0 every request is asked about.
    #[serde(default = "five")]
    #[schemars(range(min = 0, max = 60))]
    negative_cache_seconds: u64,
    /// How long one call may take, in milliseconds. A check waits no longer than `limits.deadline_milliseconds`; a call that takes
    /// longer answers the next one.
    #[serde(default = "thousand")]
    #[schemars(range(min = 50, max = 10_000))]
    timeout_milliseconds: u64,
    /// Calls at once, at most; what would be one more is denied with 503 (`fault_introspection_unavailable`).
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 1_024))]
    max_in_flight: usize,
    /// Calls in a second, at most; the same.
    #[serde(default = "five_hundred")]
    #[schemars(range(min = 1, max = 100_000))]
    max_per_second: u32,
    /// Checks that may wait for this issuer, at most; the same. All issuers together below `limits.in_flight`, so that an issuer that
    /// is slow holds up no check that is not about its tokens. If absent: its equal part of half of `limits.in_flight`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    max_waiting: Option<usize>,
    /// Answers must be signed (RFC 9701), with one of the issuer's `keys`; plain ones are refused, as if there were none. If absent
    /// they are plain JSON, and signed ones are refused. Encrypted answers are not read.
    #[serde(default)]
    pub(super) signed: Option<Signed>,
}

/// What signed answers must look like.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Signed {
    /// Who keybound is in their `aud`; if absent the `client_id`.
    audience: Option<String>,
    /// The algorithms that they may use (the `introspection_signed_response_alg` that is registered for the client); if absent those
    /// of the issuer's tokens.
    #[schemars(length(min = 1))]
    algorithms: Option<Vec<AlgorithmName>>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WrittenAuth {
    /// File with the client's secret, which is sent in the header `Authorization` (RFC 6749 §2.3.1). A line break at its end is not
    /// part of it.
    client_secret_basic: Option<PathBuf>,
    /// The same, sent in the body.
    client_secret_post: Option<PathBuf>,
    /// A JWT that is signed for each call and lives for a minute (RFC 7523).
    private_key_jwt: Option<PrivateKeyJwt>,
    /// The client certificate of the connection (RFC 8705 §2). With `discovery` the `mtls_endpoint_aliases` are looked at first.
    tls_client_auth: Option<TlsClientAuth>,
}

/// A JWT that is signed for each call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateKeyJwt {
    /// File with the private key: PEM (PKCS#8) or a JWK; P-256, RSA of 2048 bits at least, or Ed25519.
    pub key: PathBuf,
    /// The `kid` that the JWT names; if absent that of the JWK, or none.
    #[serde(default)]
    pub key_id: Option<String>,
    /// The algorithm; if absent ES256, PS256 or `EdDSA`, by the key.
    #[serde(default)]
    #[schemars(with = "AssertionAlgorithm")]
    pub algorithm: Option<AssertionAlgorithm>,
    /// The `aud` of the JWT; if absent the issuer.
    #[serde(default)]
    pub audience: Option<String>,
}

/// What a client's assertion is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum AssertionAlgorithm {
    /// P-256
    #[serde(rename = "ES256")]
    Es256,
    /// RSA with PSS
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA with PKCS#1 v1.5
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519
    #[serde(rename = "EdDSA")]
    EdDsa,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TlsClientAuth {
    /// PEM file with the certificate chain, leaf first.
    certificate: PathBuf,
    /// PEM file with its private key.
    key: PathBuf,
}

/// `waiting` is how many checks may wait where the section does not say so.
pub(super) fn settle(
    written: &Written,
    node: &Node,
    allow_loopback_http: bool,
    waiting: usize,
    findings: &mut Findings,
) -> Option<Introspection> {
    let url = match (&written.url, written.discovery) {
        (Some(url), false) => key_url(url, allow_loopback_http)
            .map_err(|wrong| refuse_url("the URL that is asked", wrong, node.key("url"), findings))
            .ok()
            .map(Some),
        (None, true) => Some(None),
        (url, _) => {
            let what =
                if url.is_none() { "`introspection` does not say where" } else { "`introspection` says two places" };
            findings.error(node.at, what, "write exactly one of `url: https://…` and `discovery: true`");
            None
        }
    };
    if written.client_id.is_empty() || !written.client_id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        findings.error(node.key("client_id").at, "this is no client id", "write visible ASCII (RFC 6749 §2.2)");
    }
    let auth = auth(&written.auth, node.key("auth"), findings);
    Some(Introspection {
        url: url?,
        client_id: written.client_id.clone(),
        auth: auth?,
        cache_seconds: written.cache_seconds,
        negative_cache_seconds: written.negative_cache_seconds,
        timeout_milliseconds: written.timeout_milliseconds,
        max_in_flight: written.max_in_flight,
        max_per_second: written.max_per_second,
        max_waiting: written.max_waiting.unwrap_or(waiting).max(1),
    })
}

/// What signed answers must look like, where they must be signed. `usual` are the algorithms of the issuer's tokens.
pub(super) fn settle_signed(
    written: &Written,
    (usual, has_keys): (&AlgorithmSet, bool),
    profile: Profile,
    node: &Node,
    findings: &mut Findings,
) -> Option<SignedAnswers> {
    let signed = written.signed.as_ref()?;
    let node = node.key("signed");
    if !has_keys {
        findings.error(
            node.at,
            "answers must be signed, and the issuer has no keys to verify them with",
            "write the issuer's `keys` too",
        );
    }
    let named = signed.algorithms.as_deref();
    Some(SignedAnswers {
        audience: signed.audience.clone().unwrap_or_else(|| written.client_id.clone()),
        algorithms: match named {
            None => usual.clone(),
            named => algorithms(named, &[], profile, node.key("algorithms"), findings),
        },
    })
}

fn auth(written: &WrittenAuth, node: &Node, findings: &mut Findings) -> Option<ClientAuth> {
    let WrittenAuth { client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth } = written;
    match (client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth) {
        (Some(file), None, None, None) => {
            Some(ClientAuth::SecretBasic(findings.path(node.key("client_secret_basic"), file)))
        }
        (None, Some(file), None, None) => {
            Some(ClientAuth::SecretPost(findings.path(node.key("client_secret_post"), file)))
        }
        (None, None, Some(jwt), None) => {
            let key = findings.path(node.key("private_key_jwt").key("key"), &jwt.key);
            Some(ClientAuth::PrivateKeyJwt(PrivateKeyJwt { key, ..jwt.clone() }))
        }
        (None, None, None, Some(tls)) => {
            let node = node.key("tls_client_auth");
            let certificate = findings.path(node.key("certificate"), &tls.certificate);
            Some(ClientAuth::Tls { certificate, key: findings.path(node.key("key"), &tls.key) })
        }
        _ => {
            findings.error(
                node.at,
                "`auth` does not say one way",
                "write exactly one of `client_secret_basic`, `client_secret_post`, `private_key_jwt` and `tls_client_auth`",
            );
            None
        }
    }
}

/// Checks that wait for issuers leave room for those that need nobody.
pub(super) fn check_waiting(issuers: &[super::Issuer], in_flight: usize, node: &Node, findings: &mut Findings) {
    let waiting = |issuer: &super::Issuer| {
        let asked = issuer.introspection.as_ref().map(|introspection| introspection.max_waiting);
        [asked, issuer.status_lists.as_ref().map(|lists| lists.max_waiting)]
    };
    let all = issuers.iter().flat_map(waiting).flatten().fold(0, usize::saturating_add);
    if all >= in_flight && all > 0 {
        findings.error(
            node.at,
            format!("{all} checks may wait for issuers, and {in_flight} may be in flight: nobody else would have room"),
            "write a `max_waiting` for each issuer, all together below `limits.in_flight`",
        );
    }
}

fn five() -> u64 {
    5
}

fn thirty() -> u64 {
    30
}

fn thousand() -> u64 {
    1_000
}

fn sixty_four() -> usize {
    64
}

fn five_hundred() -> u32 {
    500
}
