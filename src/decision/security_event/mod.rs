//! Security event tokens (RFC 8417) that transmitters push: from text to what one says, in one step.
//!
//! Proves: a SET of a transmitter that config names, signed with a key of its own under an algorithm it may use, meant for us, not from
//! the future, about one event with one subject (SSF 1.0); and what that event revokes for this transmitter, if it revokes. Trusts the
//! transmitter's word for that, within the issuers it may revoke for. Refuses with the codes of RFC 8935 §2.4.
//! A SET is no access token and no proof, nor the reverse: each has its own `typ` (RFC 8417 §4.8, RFC 8725 §3.11).

mod kind;
mod refusal;
mod subject;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use kind::EventKind;
pub use refusal::{ErrorCode, Refusal};

use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::{Compact, Header, Map, NumericDate, Value, sha256_of};
use crate::decision::limits;
use crate::decision::revocation::{EntryId, Target};
use crate::decision::token::Keyring;
use kind::Weight;
use subject::Named;

/// How far a transmitter's clock may be ahead of ours, in seconds: as far as config lets an issuer's be.
const FUTURE_SKEW_SECONDS: i64 = 60;

/// A transmitter and the keys it has now.
#[derive(Clone)]
pub struct Transmitter {
    /// What its SETs must look like, and what they may revoke.
    pub rules: Arc<TransmitterRules>,
    /// Its keys, its own even where it is an issuer of tokens too; `None` while they could not be had.
    pub keys: Option<Arc<Keyring>>,
}

/// What one transmitter's SETs must look like, and what they may revoke. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransmitterRules {
    /// As logs, metrics and entries name it.
    pub name: String,
    /// The `iss` value, compared exactly.
    pub issuer: String,
    /// Who we are for it: `aud` must name this.
    pub audience: String,
    /// The signature algorithms its SETs may use, whatever those of tokens are.
    pub algorithms: AlgorithmSet,
    /// The issuers of whose tokens it may revoke some.
    pub may_revoke_for: Vec<String>,
    /// The events that revoke, where they tell of a change for the worse.
    pub events: Vec<EventKind>,
    /// The issuer that knows the subjects which it names by an opaque id alone.
    pub opaque_subjects_of: Option<String>,
}

/// A verified SET: who says what of whom, and what follows from it.
pub struct SecurityEvent<'t> {
    transmitter: &'t TransmitterRules,
    id: String,
    kind: EventKind,
    happened: i64,
    issued: i64,
    meaning: Meaning,
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// This is revoked: for subjects and sessions, what was issued until it happened.
    Revokes(Target),
    /// Nothing is revoked, and nothing should be: why.
    Recorded(&'static str),
    /// Something should be revoked, and what cannot be told from the event: why. Sending it again would not help.
    Unheeded(&'static str),
    /// The transmitter tries out the stream (SSF 1.0 §8.1.4): the state that it was asked to send back, if it was.
    Verification(Option<String>),
}

/// A SET that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'t> {
    /// Why.
    pub why: Refusal,
    /// The transmitter that it claims to be from; nothing is proven about that.
    pub transmitter: Option<&'t TransmitterRules>,
}

impl From<Refusal> for Refused<'_> {
    fn from(why: Refusal) -> Self {
        Self { why, transmitter: None }
    }
}

impl SecurityEvent<'_> {
    /// Who says so.
    #[must_use]
    pub fn transmitter(&self) -> &TransmitterRules {
        self.transmitter
    }

    /// `jti`, which names the SET among those of its transmitter.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which event.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// When it happened, Unix seconds, not after now: `event_timestamp`, or else when the SET was issued.
    #[must_use]
    pub fn happened(&self) -> i64 {
        self.happened
    }

    /// `iat`, Unix seconds, not after now.
    #[must_use]
    pub fn issued(&self) -> i64 {
        self.issued
    }

    /// What follows from it.
    #[must_use]
    pub fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// Names the entry of this SET: one SET has one, however often it is sent.
    #[must_use]
    pub fn entry_id(&self) -> EntryId {
        let issuer = self.transmitter.issuer.as_bytes();
        // The length first, so that no byte of one counts as the other's.
        let length = u64::try_from(issuer.len()).unwrap_or(u64::MAX).to_be_bytes();
        let hash = sha256_of(&[&length, issuer, self.id.as_bytes()]);
        EntryId(hash.first_chunk().copied().unwrap_or_default())
    }
}

/// Reads and verifies a SET. `now` is Unix seconds. The signature comes before whatever its transmitter says, so that a stranger is told
/// of nothing but the form.
///
/// # Errors
/// [`Refusal`], and whose SET it claims to be.
pub fn verify<'t>(text: &[u8], transmitters: &'t [Transmitter], now: i64) -> Result<SecurityEvent<'t>, Refused<'t>> {
    let jws = Compact::parse(text, limits::SET_BYTES).map_err(|_| Refusal::NotASet)?;
    let header = Header::read(&jws.header).map_err(|_| Refusal::NotASet)?;
    if header.asks_for_extension {
        return Err(Refusal::CriticalHeader.into());
    }
    // SSF 1.0 §4.1.4. Media type names compare without case (RFC 2045 §5.1).
    let is = |name: &str| header.token_type.is_some_and(|actual| actual.eq_ignore_ascii_case(name));
    if !is("secevent+jwt") && !is("application/secevent+jwt") {
        return Err(Refusal::Type.into());
    }
    let issuer = jws.payload.get("iss").and_then(Value::as_str).ok_or(Refusal::NotASet)?;
    let transmitter = transmitters.iter().find(|transmitter| transmitter.rules.issuer == issuer);
    let transmitter = transmitter.ok_or(Refusal::IssuerUnknown)?;
    let rules = &transmitter.rules;
    check_signature(&jws, &header, transmitter)
        .and_then(|()| event(&jws.payload, rules, now))
        .map_err(|why| Refused { why, transmitter: Some(rules) })
}

fn check_signature(jws: &Compact<'_>, header: &Header<'_>, transmitter: &Transmitter) -> Result<(), Refusal> {
    let algorithm = header.algorithm.filter(|algorithm| transmitter.rules.algorithms.contains(*algorithm));
    let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
    let keys = transmitter.keys.as_ref().ok_or(Refusal::KeysUnavailable)?;
    let mut candidates = keys.candidates(header.key_id, algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(Refusal::KeyUnknown);
    }
    let signed = candidates.any(|(_, key)| key.verifies(algorithm, jws.signing_input, &jws.signature));
    if signed { Ok(()) } else { Err(Refusal::Signature) }
}

/// What a SET says whose signature is good.
fn event<'t>(claims: &Map, rules: &'t TransmitterRules, now: i64) -> Result<SecurityEvent<'t>, Refusal> {
    check_audience(claims, &rules.audience)?;
    // SSF 1.0 §4.1.6, §4.1.7: an ID token or an access token has these, and a SET must not be taken for one.
    if claims.contains_key("exp") || claims.contains_key("sub") {
        return Err(Refusal::ClaimForbidden);
    }
    let date = |value: &Value| NumericDate::read(value).ok_or(Refusal::Time);
    let issued = claims.get("iat").ok_or(Refusal::ClaimMissing).and_then(date)?;
    if issued.ceil > now.saturating_add(FUTURE_SKEW_SECONDS) {
        return Err(Refusal::Time);
    }
    let id = identifier(claims, "jti")?.ok_or(Refusal::ClaimMissing)?;
    let subject = claims.get("sub_id").ok_or(Refusal::ClaimMissing)?.as_object().ok_or(Refusal::Subject)?;
    let (kind, payload) = the_event(claims)?;
    // Rounded up, toward refusal: a token of the same second may be from before.
    let happened = payload.get("event_timestamp").map_or(Ok(issued), date)?;
    // Before 1970 no token was issued; a time ahead of ours would revoke what comes later.
    let clamped = |date: NumericDate| date.ceil.clamp(0, now.max(0));
    let meaning = meaning(kind, payload, subject, rules)?;
    let (happened, issued) = (clamped(happened), clamped(issued));
    Ok(SecurityEvent { transmitter: rules, id: id.to_owned(), kind, happened, issued, meaning })
}

/// RFC 7519 §4.1.3: a string or an array of strings.
fn check_audience(claims: &Map, ours: &str) -> Result<(), Refusal> {
    let named = match claims.get("aud") {
        Some(Value::String(one)) => one == ours,
        Some(Value::Array(many)) if many.len() <= limits::AUDIENCES => {
            many.iter().any(|one| one.as_str() == Some(ours))
        }
        _ => false,
    };
    if named { Ok(()) } else { Err(Refusal::Audience) }
}

/// RFC 8417 allows several events of one occurrence; SSF's interoperability profile asks for exactly one, and one has one meaning.
fn the_event(claims: &Map) -> Result<(EventKind, &Map), Refusal> {
    let events = claims.get("events").ok_or(Refusal::ClaimMissing)?.as_object().ok_or(Refusal::Events)?;
    let mut events = events.iter();
    let (Some((uri, payload)), None) = (events.next(), events.next()) else { return Err(Refusal::Events) };
    Ok((EventKind::of_uri(uri), payload.as_object().ok_or(Refusal::Events)?))
}

fn meaning(kind: EventKind, payload: &Map, subject: &Map, rules: &TransmitterRules) -> Result<Meaning, Refusal> {
    if kind == EventKind::Verification {
        return match payload.get("state") {
            None => Ok(Meaning::Verification(None)),
            Some(Value::String(state)) if state.len() <= limits::IDENTIFIER_BYTES => {
                Ok(Meaning::Verification(Some(state.clone())))
            }
            Some(_) => Err(Refusal::Payload),
        };
    }
    let weight = kind.weigh(payload)?;
    if weight == Weight::Harmless {
        return Ok(Meaning::Recorded("nothing has changed for the worse"));
    }
    if !rules.events.contains(&kind) {
        return Ok(Meaning::Recorded("config does not list this event for the transmitter"));
    }
    if weight == Weight::Unclear {
        return Ok(Meaning::Unheeded("the event does not say whether something has changed for the worse"));
    }
    Ok(match subject::named(subject, kind, rules)? {
        Named::Target(target) => Meaning::Revokes(target),
        Named::Nothing(why) => Meaning::Unheeded(why),
    })
}

/// A text that names something; `None` if it is absent.
fn identifier<'c>(object: &'c Map, name: &str) -> Result<Option<&'c str>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= limits::IDENTIFIER_BYTES => Ok(Some(text)),
        Some(_) => Err(Refusal::Identifier),
    }
}
