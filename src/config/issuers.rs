//! Whose access tokens are accepted, and where the keys come from.

use std::path::PathBuf;
use std::sync::Arc;

use super::introspection::{self, Introspection};
use super::sections::Profile;
use super::status_list::{self, StatusLists};
use super::url::{Url, WrongUrl, key_url};
use super::{algorithms, raw};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::status_list::StatusPolicy;
use crate::decision::token::{IssuerRules, TokenType};
use crate::problem::Findings;
use crate::yaml::Node;

/// A trusted issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens must look like.
    pub rules: Arc<IssuerRules>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How it is asked about its tokens, if it is.
    pub introspection: Option<Introspection>,
    /// How its status lists are fetched, if they are.
    pub status_lists: Option<StatusLists>,
    /// Whether keybound is ready only when its keys are here.
    pub required: bool,
    /// Whether plain http to loopback is allowed; also for a URL that its metadata names.
    pub allow_loopback_http: bool,
}

impl Issuer {
    /// Who signs its status lists, if it is somebody else: what the keys are kept by, and where they come from.
    #[must_use]
    pub fn status_signer(&self) -> Option<(&str, &KeySource)> {
        self.status_lists.as_ref().and_then(StatusLists::signer_keys)
    }
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with a JWK Set.
    File(PathBuf),
    /// The URL of a JWK Set.
    Url(Url),
    /// The issuer's metadata name it (RFC 8414 §3).
    Discovery,
    /// It has none: it is asked about its tokens.
    Nowhere,
}

pub(super) fn settle(
    written: Vec<raw::TrustedIssuer>,
    node: &Node,
    profile: Profile,
    in_flight: usize,
    findings: &mut Findings,
) -> Vec<Issuer> {
    let sections = |issuer: &raw::TrustedIssuer| [issuer.introspection.is_some(), issuer.status_list.is_some()];
    let asked = written.iter().flat_map(sections).filter(|is_there| *is_there).count().saturating_mul(2);
    let waiting = in_flight.checked_div(asked).unwrap_or_default();
    for (index, issuer) in written.iter().enumerate() {
        let node = node.item(index);
        if written.iter().take(index).any(|before| before.issuer == issuer.issuer) {
            findings.error(
                node.key("issuer").at,
                format!("issuer `{}` is here twice", issuer.issuer),
                "keep one of the two, with all of its audiences",
            );
        }
        if issuer.legacy_jwt_type {
            check_legacy(index, &written, node, findings);
        }
    }
    let items = written.into_iter().enumerate();
    items.filter_map(|(index, issuer)| settle_issuer(issuer, node.item(index), profile, waiting, findings)).collect()
}

fn settle_issuer(
    written: raw::TrustedIssuer,
    node: &Node,
    profile: Profile,
    waiting: usize,
    findings: &mut Findings,
) -> Option<Issuer> {
    check_url("the issuer", &written.issuer, written.allow_loopback_http, node.key("issuer"), findings);
    check_lifetime(&written, node, findings);
    let introspection = match &written.introspection {
        None => None,
        Some(section) => {
            let node = node.key("introspection");
            Some(introspection::settle(section, node, written.allow_loopback_http, waiting, findings)?)
        }
    };
    let keys = settle_issuer_keys(&written, node, findings)?;
    let (status, status_lists) = settle_status(&written, &keys, node, waiting, findings)?;
    let token_type = if written.legacy_jwt_type { TokenType::LegacyJwt } else { TokenType::AtJwt };
    let tokens = AlgorithmSet::TOKENS;
    let tokens = algorithms(written.algorithms.as_deref(), &tokens, profile, node.key("algorithms"), findings);
    let signed_answers = written.introspection.as_ref().and_then(|section| {
        let usual = (&tokens, written.keys.is_some());
        introspection::settle_signed(section, usual, profile, node.key("introspection"), findings)
    });
    let rules = IssuerRules {
        algorithms: tokens,
        issuer: written.issuer,
        audiences: written.audiences,
        expiry_skew_seconds: written.expiry_skew_seconds,
        future_skew_seconds: written.future_skew_seconds,
        max_lifetime_seconds: written.max_lifetime_seconds,
        client_claim: written.client_claim,
        scope_claim: written.scope_claim,
        token_type,
        signed_answers,
        status,
    };
    Some(Issuer {
        rules: Arc::new(rules),
        keys,
        introspection,
        status_lists,
        required: written.required,
        allow_loopback_http: written.allow_loopback_http,
    })
}

fn settle_status(
    written: &raw::TrustedIssuer,
    keys: &KeySource,
    node: &Node,
    waiting: usize,
    findings: &mut Findings,
) -> Option<(StatusPolicy, Option<StatusLists>)> {
    let Some(section) = &written.status_list else { return Some((StatusPolicy::default(), None)) };
    let node = node.key("status_list");
    if *keys == KeySource::Nowhere {
        let remedy = "leave out `status_list`: who is asked about a token says whether it is revoked";
        findings.error(node.at, "no token of this issuer is signed, so none names a status list", remedy);
    }
    status_list::settle(section, node, (&written.issuer, written.allow_loopback_http), waiting, findings)
}

/// RFC 8414 §2: https, no query, no fragment.
pub(super) fn check_url(subject: &str, issuer: &str, allow_loopback_http: bool, node: &Node, findings: &mut Findings) {
    match key_url(issuer, allow_loopback_http) {
        Err(wrong) => refuse_url(subject, wrong, node, findings),
        Ok(url) if url.query().is_some() => {
            findings.error(node.at, format!("{subject} has a query"), "leave out `?` and what follows (RFC 8414 §2)");
        }
        Ok(_) => {}
    }
}

pub(super) fn refuse_url(subject: &str, wrong: WrongUrl, node: &Node, findings: &mut Findings) {
    let (what, remedy) = wrong.words();
    let what = format!("{subject} {what}");
    if wrong == WrongUrl::Credentials {
        findings.error_unseen(node.at, what, remedy);
    } else {
        findings.error(node.at, what, remedy);
    }
}

fn settle_issuer_keys(issuer: &raw::TrustedIssuer, node: &Node, findings: &mut Findings) -> Option<KeySource> {
    let Some(keys) = &issuer.keys else { return without_keys(issuer, node, findings) };
    settle_keys(keys, issuer.allow_loopback_http, node.key("keys"), findings)
}

pub(super) fn settle_keys(
    keys: &raw::Keys,
    allow_loopback_http: bool,
    node: &Node,
    findings: &mut Findings,
) -> Option<KeySource> {
    match (&keys.file, &keys.url, keys.discovery) {
        (Some(file), None, false) => Some(KeySource::File(findings.path(node.key("file"), file))),
        (None, Some(url), false) => key_url(url, allow_loopback_http)
            .map_err(|wrong| refuse_url("the URL of the keys", wrong, node.key("url"), findings))
            .ok()
            .map(KeySource::Url),
        (None, None, true) => Some(KeySource::Discovery),
        (file, url, discovery) => {
            let silent = file.is_none() && url.is_none() && !discovery;
            let what = if silent { "`keys` says nothing" } else { "`keys` says more than one thing" };
            findings.error(node.at, what, "write exactly one of `file: PATH`, `url: https://…` and `discovery: true`");
            None
        }
    }
}

/// Where nothing verifies a token's signature, the issuer must be asked.
fn without_keys(issuer: &raw::TrustedIssuer, node: &Node, findings: &mut Findings) -> Option<KeySource> {
    if issuer.introspection.is_none() {
        let remedy = "write `keys`, exactly one of file, url and discovery, for JWTs; `introspection` for opaque tokens; or both";
        findings.error(node.at, "`keys` is missing, and so is `introspection`", remedy);
        return None;
    }
    if issuer.required {
        findings.error(
            node.key("required").at,
            "there are no keys to wait for",
            "leave `required` out, or write `keys`",
        );
    }
    Some(KeySource::Nowhere)
}

/// A token that is stolen together with its `DPoP` key, or with proofs made ahead of time, is of use for as long as it
/// lives (RFC 9449 §11.2); keybound does not see which of an issuer's tokens meet nonces.
fn check_lifetime(written: &raw::TrustedIssuer, node: &Node, findings: &mut Findings) {
    let what = match written.max_lifetime_seconds {
        None => "tokens of this issuer may live forever".to_owned(),
        Some(seconds) if seconds > 3_600 => format!("tokens of this issuer may live for {seconds} seconds"),
        Some(_) => return,
    };
    let place = node.present("max_lifetime_seconds").unwrap_or_else(|| node.key("issuer"));
    findings.warning(
        place.at,
        format!("{what}: without nonces, DPoP proofs made ahead of time serve as long as the token (RFC 9449 §11.2)"),
        "write `max_lifetime_seconds: 3600` or less, and let the issuer refresh tokens",
    );
}

/// With `typ: JWT` nothing but the audience tells an access token from an ID token (RFC 9068 §5).
fn check_legacy(index: usize, written: &[raw::TrustedIssuer], node: &Node, findings: &mut Findings) {
    findings.warning(
        node.key("legacy_jwt_type").at,
        "tokens with `typ: JWT` are accepted: only the audience tells them from ID tokens",
        "let the issuer write `typ: at+jwt` (RFC 9068), then remove this key",
    );
    let own = written.get(index).into_iter().flat_map(|issuer| issuer.audiences.iter().enumerate());
    for (position, audience) in own {
        let mut others = written.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, other)) = others.find(|(_, other)| other.audiences.contains(audience)) {
            findings.error(
                node.key("audiences").item(position).at,
                format!("audience `{audience}` of a legacy issuer is also one of `{}`", other.issuer),
                "give the legacy issuer audiences of its own, that none of its ID tokens carries",
            );
        }
    }
}
