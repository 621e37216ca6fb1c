//! What an issuer answers when it is asked about a token (RFC 7662), read strictly; nothing here asks.
//!
//! Proves: the issuer says that the token is active, that it is an access token, and what RFC 9068 §2.2 demands of one. A token that
//! only the issuer can read is made of that. One that was verified here stays what it is, and the answer must not contradict it.
//! Trusts the issuer's word for the token, and for nothing that depends on API, time or sender: these are judged on every use.

use std::sync::Arc;

use super::signed_answer::{self, NotAnAnswer};
use super::standard::{self, Demanded, text};
use super::{Confirmation, IssuedToken, Issuer, IssuerRules, Keyring, Vouched};
use crate::decision::denial::Denial;
use crate::decision::jose::{Map, Value, parse_object};
use crate::decision::limits;

/// What is to be asked: one issuer, about one token.
pub struct Ask<'w> {
    token: &'w [u8],
    reader: AnswerReader,
}

/// Reads the answer to one ask.
#[derive(Clone)]
pub struct AnswerReader {
    rules: Arc<IssuerRules>,
    /// The issuer's keys, for answers that are signed.
    keys: Option<Arc<Keyring>>,
    hash: [u8; 32],
    /// The token, if it was verified here.
    verified: Option<Arc<IssuedToken>>,
}

/// What an issuer said of a token. Like the signature of a token it is a fact, good for as long as whoever keeps it may.
#[derive(Clone)]
pub struct Introspection {
    hash: [u8; 32],
    said: Said,
}

/// What it came to.
#[derive(Clone)]
pub(in crate::decision) enum Said {
    /// It is this one.
    Active(Arc<IssuedToken>),
    /// What was verified here is active, until its own end, Unix seconds.
    Confirmed(i64),
    /// It is not active, or not what an access token must be.
    Refused(Denial),
}

/// The same in a word, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The issuer vouches for it.
    Active,
    /// It does not.
    Inactive,
    /// It does, but for something that is no access token as it must be.
    Refused,
}

impl<'w> Ask<'w> {
    /// About this token with this SHA-256, to this issuer; `verified` is the token, if it was verified here.
    #[must_use]
    pub fn new(token: &'w [u8], hash: [u8; 32], issuer: &Issuer, verified: Option<Arc<IssuedToken>>) -> Self {
        let (rules, keys) = (Arc::clone(&issuer.rules), issuer.keys.clone());
        Self { token, reader: AnswerReader { rules, keys, hash, verified } }
    }

    /// Whom.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.reader.rules.issuer
    }

    /// About what: the token as it was sent.
    #[must_use]
    pub fn token(&self) -> &'w [u8] {
        self.token
    }

    /// Its SHA-256: its name among tokens.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.reader.hash
    }

    /// What reads the answer.
    #[must_use]
    pub fn reader(&self) -> &AnswerReader {
        &self.reader
    }
}

impl AnswerReader {
    /// Reads the answer: the text of a good response, JSON, or a JWT where the issuer must sign it. `now` is Unix seconds.
    ///
    /// # Errors
    /// [`NotAnAnswer`].
    pub fn read(&self, answer: &[u8], now: i64) -> Result<Introspection, NotAnAnswer> {
        let opened;
        let answer = match &self.rules.signed_answers {
            None => answer,
            Some(signed) => {
                opened = signed_answer::open(answer, (&self.rules, signed), self.keys.as_deref(), now)?;
                &opened
            }
        };
        if answer.len() > limits::INTROSPECTION_BYTES {
            return Err(NotAnAnswer::NotAnObject);
        }
        let members = parse_object(answer).map_err(|_| NotAnAnswer::NotAnObject)?;
        let said = self.said(&members, answer).unwrap_or_else(Said::Refused);
        Ok(Introspection { hash: self.hash, said })
    }

    fn said(&self, members: &Map, answer: &[u8]) -> Result<Said, Denial> {
        // RFC 7662 §2.2: a boolean; whatever else it is, it does not say so.
        if members.get("active") != Some(&Value::Bool(true)) {
            return Err(Denial::TokenInactive);
        }
        not_of_another_kind(members)?;
        match &self.verified {
            Some(verified) => confirmed(members, verified),
            None => self.active(members, answer),
        }
    }

    /// The token that only the issuer could read.
    fn active(&self, members: &Map, answer: &[u8]) -> Result<Said, Denial> {
        if text(members, "iss")?.is_some_and(|issuer| issuer != self.rules.issuer) {
            return Err(Denial::TokenIssuerUnknown);
        }
        let scheme = scheme(members)?.ok_or(Denial::TokenClaimMissing)?;
        let rules = Arc::clone(&self.rules);
        let issued = standard::issued(rules, Vouched::Introspected, Demanded::Least, members, answer.to_vec())?;
        fits(scheme, issued.confirmation)?;
        Ok(Said::Active(Arc::new(issued)))
    }
}

/// What the issuer says of a token that was verified here, where it says it at all.
fn confirmed(members: &Map, verified: &IssuedToken) -> Result<Said, Denial> {
    let other = |name: &str, known: Option<&str>| Ok(text(members, name)?.is_some_and(|told| Some(told) != known));
    let contradicts = other("iss", Some(&verified.issuer.issuer))?
        || other(&verified.issuer.client_claim, Some(&verified.client.id))?
        || other("sub", verified.subject.as_deref())?
        || other("jti", verified.token_id.as_deref())?
        || standard::date(members, "exp")?.is_some_and(|told| told != verified.expires)
        || (members.contains_key("cnf") && standard::confirmation(members)? != verified.confirmation);
    if contradicts {
        return Err(Denial::TokenInactive);
    }
    if let Some(scheme) = scheme(members)? {
        fits(scheme, verified.confirmation)?;
    }
    Ok(Said::Confirmed(verified.expires.floor))
}

/// How a token of this `token_type` is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Dpop,
}

/// `token_type` (RFC 6749 §7.1). An issuer answers about its refresh tokens too, and those have none.
fn scheme(members: &Map) -> Result<Option<Scheme>, Denial> {
    match text(members, "token_type")? {
        None => Ok(None),
        Some(name) if name.eq_ignore_ascii_case("DPoP") => Ok(Some(Scheme::Dpop)),
        Some(name) if name.eq_ignore_ascii_case("Bearer") => Ok(Some(Scheme::Bearer)),
        Some(_) => Err(Denial::TokenTypeUnexpected),
    }
}

/// RFC 9449 §6.2: `DPoP` if and only if the token is bound to a proof key.
fn fits(scheme: Scheme, confirmation: Confirmation) -> Result<(), Denial> {
    let to_proof_key = matches!(confirmation, Confirmation::Keys { proof_key: Some(_), .. });
    if (scheme == Scheme::Dpop) == to_proof_key { Ok(()) } else { Err(Denial::TokenTypeUnexpected) }
}

/// Members by which some servers tell of which kind a token is: RFC 7662 has none for that.
fn not_of_another_kind(members: &Map) -> Result<(), Denial> {
    for name in ["token_use", "typ"] {
        let Some(kind) = text(members, name)? else { continue };
        let kind = kind.to_ascii_lowercase();
        let id_token = matches!(kind.as_str(), "id" | "id_token" | "id-token" | "idtoken");
        if id_token || kind.contains("refresh") || kind.contains("offline") {
            return Err(Denial::TokenTypeUnexpected);
        }
    }
    Ok(())
}

impl Introspection {
    /// What was said, if it was said of the token that has this SHA-256.
    pub(in crate::decision) fn about(self, hash: &[u8; 32]) -> Option<Said> {
        (self.hash == *hash).then_some(self.said)
    }

    /// When what it vouches for ends, Unix seconds: after that it may not be kept (RFC 7662 §4). `None` where it vouches for nothing.
    #[must_use]
    pub fn expires(&self) -> Option<i64> {
        match &self.said {
            Said::Active(token) => Some(token.expires.floor),
            Said::Confirmed(end) => Some(*end),
            Said::Refused(_) => None,
        }
    }

    /// In a word.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.said {
            Said::Active(_) | Said::Confirmed(_) => Outcome::Active,
            Said::Refused(Denial::TokenInactive) => Outcome::Inactive,
            Said::Refused(_) => Outcome::Refused,
        }
    }

    /// What it takes of memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let token = match &self.said {
            Said::Active(token) => token.bytes(),
            Said::Confirmed(_) | Said::Refused(_) => 0,
        };
        size_of::<Self>().saturating_add(token)
    }
}
