//! What a caller asks to have revoked: read strictly, and made an entry with what it leaves out.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::MANY;
use super::problem::Problem;
use crate::decision::revocation::{EntryId, Target};
use crate::edge::revocations::entry::{ADMIN, Entry, LONGEST_TOKEN_SECONDS, names_one_token, names_who_goes_on};
use crate::edge::revocations::when;

/// How far the caller's clock may be ahead of ours, in milliseconds.
const CLOCK_MILLIS: i64 = 120_000;

/// The body of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What to revoke.
    pub target: Target,
    /// The entry's id, so that asking again is asking once; one is made if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EntryId>,
    /// Tokens issued at or before this time, Unix seconds. If absent: until now for subjects and sessions, which go on; whenever it
    /// was for all else.
    #[serde(default, with = "when::some_seconds", skip_serializing_if = "Option::is_none")]
    pub not_issued_after: Option<i64>,
    /// When the entry ends, Unix seconds. If absent: never; one about a token when no such token can be alive any more.
    #[serde(default, with = "when::some_seconds", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When the harm was reported, Unix milliseconds; now if absent.
    #[serde(default, with = "when::some_millis", skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<i64>,
    /// Why.
    pub reason: String,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
}

/// By whom, when and where something was asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The caller's name.
    pub by: &'a str,
    /// Unix milliseconds.
    pub at: i64,
    /// Whose tokens are judged, and how long they may live.
    pub issuers: &'a BTreeMap<String, Option<i64>>,
}

/// One ask, or an array of them; whether it is an array.
pub(super) fn read(body: &[u8]) -> Result<(Vec<Ask>, bool), Problem> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok((vec![parse(body)?], false));
    }
    let asks: Vec<Ask> = parse(body)?;
    if asks.is_empty() || asks.len() > MANY {
        let what = format!("{} entries in one call", asks.len());
        return Err(Problem::unprocessable(what, format!("send 1 to {MANY}")));
    }
    Ok((asks, true))
}

/// A JSON document of this form and no other: unknown and repeated members are refused.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let what = format!("the body is not what it should be: {error}");
        let remedy = "send JSON as docs/revocation.md has it; each member once, and none that is not there";
        if error.is_data() {
            Problem::unprocessable(what, remedy)
        } else {
            Problem::new(http::StatusCode::BAD_REQUEST, what, remedy)
        }
    })
}

impl Ask {
    /// The entry that is asked for.
    pub(super) fn entry(&self, id: EntryId, asked: &Asked<'_>) -> Result<Entry, Problem> {
        let lifetime = self.lifetime(asked.issuers)?;
        let (kind, seconds) = (self.target.kind(), asked.at.div_euclid(1_000));
        if names_one_token(kind) && lifetime.is_none() && self.expires_at.is_some() {
            let what = "tokens of this issuer may live for ever, and so must an entry about one";
            return Err(Problem::unprocessable(
                what,
                "leave out `expires_at`, or give the issuer `max_lifetime_seconds`",
            ));
        }
        let ends = (names_one_token(kind) && lifetime.is_some()).then(|| seconds.saturating_add(LONGEST_TOKEN_SECONDS));
        let reported_at = self.reported_at.unwrap_or(asked.at);
        if reported_at > asked.at.saturating_add(CLOCK_MILLIS) {
            let what = "`reported_at` is in the future";
            return Err(Problem::unprocessable(what, "write when the harm was reported, or leave it out"));
        }
        let entry = Entry {
            id,
            source: ADMIN.to_owned(),
            target: self.target.clone(),
            not_issued_after: self.not_issued_after.or_else(|| names_who_goes_on(kind).then_some(seconds)),
            expires_at: self.expires_at.or(ends),
            reported_at,
            asked_at: asked.at,
            asked_by: asked.by.to_owned(),
            reason: self.reason.clone(),
            case: self.case.clone(),
        };
        entry.check()?;
        Ok(entry)
    }

    /// How long a token of the issuer that is named may live; a typing error there would revoke nothing.
    fn lifetime(&self, issuers: &BTreeMap<String, Option<i64>>) -> Result<Option<i64>, Problem> {
        let Some(issuer) = self.target.issuer() else { return Ok(None) };
        issuers.get(issuer).copied().ok_or_else(|| {
            let known: Vec<_> = issuers.keys().map(String::as_str).collect();
            let what = "no token of this issuer is accepted here, so there is nothing to revoke";
            Problem::unprocessable(what, format!("write one of: {}", known.join(", ")))
        })
    }
}
