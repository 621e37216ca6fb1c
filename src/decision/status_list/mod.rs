//! Status lists (draft-ietf-oauth-status-list): what a token says of where its status is told, and whether the list there says that it is
//! valid. Nothing here fetches.
//!
//! Proves, of a live token that names a list: the list was signed by whom the operator trusts for that, with a key that is still theirs, has
//! not run out, and says 0 for the token. Refuses whatever else it says, and a token that names something where nobody looks. The list is
//! looked into on every use: what is remembered is the list, never what it said of a token.

mod inflate;
mod list;
mod reader;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use list::StatusList;
pub use reader::{ListReader, ListRefused};

use crate::decision::denial::Denial;
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::{Map, Value};
use crate::decision::limits;
use crate::decision::revocation::LiveToken;
use crate::decision::token::{Issuer, Issuers, VerifiedToken};

/// What becomes of an issuer's tokens that say where their status is told. Made by `config/`, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatusPolicy {
    /// They are denied: their issuer may revoke them there, and nobody looks.
    #[default]
    Unchecked,
    /// They pass, and nobody looks.
    Ignored,
    /// It is looked there.
    Checked(StatusRules),
}

/// Which lists count for the tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRules {
    /// Where lists may be: `https://host` or `https://host:port`, compared exactly with how `uri` begins.
    pub origins: Vec<String>,
    /// Whether a token must name a list.
    pub required: bool,
    /// Who signs lists, if it is not the issuer itself.
    pub signer: Option<Signer>,
    /// A list has so many bytes at most once it is inflated.
    pub most_bytes: usize,
}

/// A signer of status lists that is not the issuer of the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// What `iss` of a list must be, where it is there.
    pub issuer: String,
    /// The signature algorithms its lists may use.
    pub algorithms: AlgorithmSet,
}

/// Where a token's status is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    index: u32,
    uri: Arc<str>,
}

/// The lists that are at hand.
pub trait StatusLists: Send + Sync {
    /// The list at this URI for tokens of this issuer, if it is there and may still be used.
    fn find(&self, issuer: &str, uri: &str, now: i64) -> Option<Arc<StatusList>>;
}

/// A live token that is valid by its status list, if it names one.
pub struct StandingToken(LiveToken);

/// What a look at the lists came to.
pub enum Look {
    /// The token is valid, or names no list.
    Stands(StandingToken),
    /// Its list is not at hand.
    Wanting(LiveToken),
}

impl StandingToken {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        self.0.token()
    }
}

impl Reference {
    /// Where the list is.
    #[must_use]
    pub fn uri(&self) -> &Arc<str> {
        &self.uri
    }

    /// Which entry of it is the token's.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What it takes of memory beside itself, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.uri.len()
    }
}

impl StatusRules {
    /// Whether a list may be there. The origin is followed by a path or a query, so that no parser reads another host.
    fn allows(&self, uri: &str) -> bool {
        let rest = self.origins.iter().find_map(|origin| {
            let rest = uri.strip_prefix(origin.as_str())?;
            (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
        });
        rest.is_some()
    }
}

/// What the claims of a signed token say of its status.
///
/// # Errors
/// `token_claim_malformed`, `token_claim_missing`, `token_status_unchecked`.
pub fn reference(claims: &Map, policy: &StatusPolicy) -> Result<Option<Reference>, Denial> {
    let status = match policy {
        StatusPolicy::Ignored => None,
        StatusPolicy::Unchecked | StatusPolicy::Checked(_) => claims.get("status"),
    };
    let rules = match (policy, status) {
        (StatusPolicy::Checked(StatusRules { required: true, .. }), None) => return Err(Denial::TokenClaimMissing),
        (_, None) => return Ok(None),
        (StatusPolicy::Checked(rules), Some(_)) => rules,
        (StatusPolicy::Unchecked | StatusPolicy::Ignored, Some(_)) => return Err(Denial::TokenStatusUnchecked),
    };
    let mechanisms = status.and_then(Value::as_object).ok_or(Denial::TokenClaimMalformed)?;
    // Of a mechanism that is not known here nobody can say what it tells.
    let listed = mechanisms.get("status_list").ok_or(Denial::TokenStatusUnchecked)?;
    let reference = listed.as_object().and_then(read).ok_or(Denial::TokenClaimMalformed)?;
    if rules.allows(&reference.uri) { Ok(Some(reference)) } else { Err(Denial::TokenStatusUnchecked) }
}

fn read(members: &Map) -> Option<Reference> {
    let index = match members.get("idx")? {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok()?,
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let uri = members.get("uri")?.as_str()?;
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
    let absolute = uri.starts_with("https://") || uri.starts_with("http://");
    let sound = absolute && uri.len() <= limits::STATUS_URI_BYTES && uri.bytes().all(plain);
    sound.then(|| Reference { index, uri: Arc::from(uri) })
}

/// Looks the token up in the list at hand.
///
/// # Errors
/// `token_revoked`, `token_suspended`, `token_status_unknown`.
pub fn check(token: LiveToken, issuers: &Issuers, lists: &dyn StatusLists, now: i64) -> Result<Look, Denial> {
    let Some(reference) = token.token().status() else { return Ok(Look::Stands(StandingToken(token))) };
    let issuer = issuers.find(token.token().issuer()).ok_or(Denial::FaultInternal)?;
    let list = lists.find(&issuer.rules.issuer, &reference.uri, now);
    match list.filter(|list| list.stands(&reference.uri, issuer, now)) {
        Some(list) => list.judge(reference.index).map(|()| Look::Stands(StandingToken(token))),
        None => Ok(Look::Wanting(token)),
    }
}

/// Looks the token up in the list that was asked for, if it could be had.
///
/// # Errors
/// As above, or `fault_status_list_unavailable`.
pub fn check_found(
    token: LiveToken,
    issuer: &Issuer,
    list: Option<&StatusList>,
    now: i64,
) -> Result<StandingToken, Denial> {
    let reference = token.token().status().ok_or(Denial::FaultInternal)?;
    let list = list.filter(|list| list.stands(&reference.uri, issuer, now));
    list.ok_or(Denial::FaultStatusListUnavailable)?.judge(reference.index)?;
    Ok(StandingToken(token))
}
