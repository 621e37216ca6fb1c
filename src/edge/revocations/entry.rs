//! What is known of a revocation beside its mark: who asked, when and why. One form in JSON for the API, the journal and other sources.
//!
//! Records are facts that only add up: an entry revokes, a cancel takes one entry of its own source back, and nothing is changed.
//! Trusted: whoever brought the record here. Refused: lengths over the limits, names that nothing could have, ends in the past.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::when;
use crate::decision::limits::{IDENTIFIER_BYTES, KID_BYTES};
use crate::decision::revocation::{EntryId, Kind, Mark, Target};

/// A reason, in bytes: a sentence or two.
pub const REASON_BYTES: usize = 512;
/// A case reference, in bytes: a ticket's number or URL.
pub const CASE_BYTES: usize = 128;
/// Who asked, in bytes; names in config are shorter.
pub const ASKED_BY_BYTES: usize = 256;
/// A source's name, in bytes; it is a label of metrics.
pub const SOURCE_BYTES: usize = 64;
/// The name of a certificate's issuer, in bytes: RFC 5280 bounds each part of a name to 64 characters or so; this is a long one.
pub const NAME_BYTES: usize = 1024;
/// A serial number in hexadecimal. RFC 5280 §4.1.2.2 allows 20 octets; certificates that break this rule stay below it.
pub const SERIAL_BYTES: usize = 130;
/// The longest life that config lets an issuer's tokens have, and the most that both clocks may differ, in seconds.
pub const LONGEST_TOKEN_SECONDS: i64 = 86_400 + 120;

/// The source of what the admin API took.
pub const ADMIN: &str = "admin";

/// Something is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id: 128 random bits that who asks may choose, so that asking twice is asking once.
    pub id: EntryId,
    /// Where it was asked: only this source can take it back.
    pub source: String,
    /// What is revoked.
    pub target: Target,
    /// Tokens issued at or before this time (and the issuer's skew), or without a time, are refused, Unix seconds; absent: every one.
    #[serde(default, with = "when::some_seconds", skip_serializing_if = "Option::is_none")]
    pub not_issued_after: Option<i64>,
    /// When the entry ends, Unix seconds; absent: never.
    #[serde(default, with = "when::some_seconds", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// When the harm was reported, Unix milliseconds.
    #[serde(with = "when::millis")]
    pub reported_at: i64,
    /// When it was asked, Unix milliseconds.
    #[serde(with = "when::millis")]
    pub asked_at: i64,
    /// Who asked.
    pub asked_by: String,
    /// Why.
    pub reason: String,
    /// What else is known of it: a ticket, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
}

/// An entry is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Which.
    pub entry: EntryId,
    /// Where it was asked: it counts for entries of this source alone.
    pub source: String,
    /// When, Unix milliseconds.
    #[serde(with = "when::millis")]
    pub asked_at: i64,
    /// By whom.
    pub asked_by: String,
    /// Why.
    pub reason: String,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// When what it takes back ends, and it with that, Unix seconds; absent: never.
    #[serde(default, with = "when::some_seconds", skip_serializing_if = "Option::is_none")]
    pub entry_expires_at: Option<i64>,
}

/// What sources bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// Something is revoked.
    Entry(Entry),
    /// An entry is taken back.
    Cancel(Cancel),
}

/// What is wrong with a record, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// In one sentence.
    pub what: String,
    /// In one sentence.
    pub remedy: String,
}

impl Wrong {
    /// These words.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl Entry {
    /// Whether it is within the limits.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), Wrong> {
        check_target(&self.target)?;
        check_words(&self.source, &self.asked_by, &self.reason, self.case.as_deref())?;
        let Some(end) = self.expires_at else { return Ok(()) };
        let asked = self.asked_at.div_euclid(1_000);
        let least = if names_one_token(self.target.kind()) { LONGEST_TOKEN_SECONDS } else { 1 };
        let earliest = asked.saturating_add(least);
        if end < earliest {
            let earliest = when::text_of_seconds(earliest);
            let what =
                format!("`expires_at` is before {earliest}: the entry would end while what it names may be used");
            return Err(Wrong::new(what, format!("leave it out, or write {earliest} or later")));
        }
        Ok(())
    }

    /// What the list holds of it.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            entry: self.id,
            not_issued_after: self.not_issued_after.unwrap_or(i64::MAX),
            until: self.expires_at.unwrap_or(i64::MAX),
        }
    }

    /// Whether its time is over at `now`, Unix milliseconds.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        is_over(self.expires_at, now)
    }

    /// Tells its content from any other.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let hash = digest(&SHA256, &text);
        hash.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl Cancel {
    /// Whether it is within the limits.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), Wrong> {
        check_words(&self.source, &self.asked_by, &self.reason, self.case.as_deref())
    }

    /// Whether what it takes back is over at `now`, Unix milliseconds, so that it says nothing any more.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        is_over(self.entry_expires_at, now)
    }
}

impl Record {
    /// Whether it is within the limits.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), Wrong> {
        match self {
            Self::Entry(entry) => entry.check(),
            Self::Cancel(cancel) => cancel.check(),
        }
    }

    /// Whether its time is over at `now`, Unix milliseconds.
    #[must_use]
    pub fn has_ended(&self, now: i64) -> bool {
        match self {
            Self::Entry(entry) => entry.has_ended(now),
            Self::Cancel(cancel) => cancel.has_ended(now),
        }
    }

    /// Which source it is of.
    #[must_use]
    pub fn source(&self) -> &str {
        match self {
            Self::Entry(entry) => &entry.source,
            Self::Cancel(cancel) => &cancel.source,
        }
    }
}

fn is_over(end: Option<i64>, now: i64) -> bool {
    end.is_some_and(|end| end <= now.div_euclid(1_000))
}

/// Whether entries of this kind end with the token they name.
#[must_use]
pub const fn names_one_token(kind: Kind) -> bool {
    matches!(kind, Kind::Token | Kind::TokenHash)
}

/// Whether entries of this kind are about what was issued until now, unless they say otherwise: who is named goes on.
#[must_use]
pub const fn names_who_goes_on(kind: Kind) -> bool {
    matches!(kind, Kind::Subject | Kind::Session)
}

fn check_words(source: &str, asked_by: &str, reason: &str, case: Option<&str>) -> Result<(), Wrong> {
    let of_source = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte);
    if !source.bytes().all(of_source) {
        return Err(Wrong::new("the source's name is none", "write `a-z`, `0-9`, `-`, `_`, `.` and `:`"));
    }
    sized("source", source, SOURCE_BYTES)?;
    sized("asked_by", asked_by, ASKED_BY_BYTES)?;
    sized("reason", reason.trim(), REASON_BYTES)?;
    case.map_or(Ok(()), |case| sized("case", case, CASE_BYTES))
}

/// Some text of one line, not too long.
fn sized(name: &str, text: &str, most: usize) -> Result<(), Wrong> {
    if text.contains(char::is_control) {
        return Err(Wrong::new(format!("`{name}` has a control character"), "write one line of plain text"));
    }
    named(name, text, most)
}

/// What a token may hold too, so it may hold anything; nothing is named by no text, and nothing longer is found in a token.
fn named(name: &str, text: &str, most: usize) -> Result<(), Wrong> {
    let wrong = |what: String| Err(Wrong::new(what, format!("write 1 to {most} bytes")));
    match text.len() {
        0 => wrong(format!("`{name}` is empty")),
        length if length > most => wrong(format!("`{name}` has {length} bytes")),
        _ => Ok(()),
    }
}

fn check_target(target: &Target) -> Result<(), Wrong> {
    if let Some(issuer) = target.issuer() {
        named("issuer", issuer, IDENTIFIER_BYTES)?;
    }
    match target {
        Target::Token { jti, .. } => named("jti", jti, IDENTIFIER_BYTES),
        Target::Subject { sub, .. } => named("sub", sub, IDENTIFIER_BYTES),
        Target::Client { client_id, .. } => named("client_id", client_id, IDENTIFIER_BYTES),
        Target::Session { sid, .. } => named("sid", sid, IDENTIFIER_BYTES),
        Target::Key { kid, .. } => named("kid", kid, KID_BYTES),
        Target::CertificateSerial { issuer, serial } => {
            named("issuer", issuer, NAME_BYTES)?;
            named("serial", serial, SERIAL_BYTES)?;
            let digits = serial.strip_prefix('-').unwrap_or(serial);
            let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if digits.is_empty() || digits.len() % 2 != 0 || !hexadecimal {
                let remedy = "write lower-case hexadecimal, two digits for each byte and no separators";
                return Err(Wrong::new("`serial` is no serial number", remedy));
            }
            Ok(())
        }
        Target::TokenHash { .. } | Target::Issuer { .. } | Target::ProofKey { .. } | Target::Certificate { .. } => {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
