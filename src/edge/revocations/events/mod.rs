//! Security events that transmitters push (RFC 8935), or that are fetched ([`poll`], RFC 8936): what one revokes bites, is stored, and
//! only then is it acknowledged.
//!
//! Trusted: a transmitter, for what config lets it revoke. Whatever cannot be acted upon is told of aloud, and answered 202 only where
//! sending it again would not help; what we failed at is answered 503, so that it is sent again. A SET that comes again has no second
//! effect: its entry is named by its issuer and `jti`. A listener of its own and not the public one, which speaks no TLS: RFC 8935 §5.3
//! wants it, and whoever floods one keeps nobody from the other. Never in the log: a SET, an `Authorization` header.

mod answer;
pub mod poll;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes, Incoming};
use tokio::sync::Semaphore;

use crate::config::{Config, KeySource, keys_name};
use crate::decision::limits::SET_BYTES;
use crate::decision::revocation::Target;
use crate::decision::security_event::{
    self, ErrorCode, Meaning, Refusal, Refused, SecurityEvent, Transmitter, TransmitterRules,
};
use crate::edge::clock;
use crate::edge::jwks::Wanted;
use crate::edge::patience::Seldom;
use crate::edge::revocations::Revocations;
use crate::edge::revocations::admin::Peer;
use crate::edge::revocations::admin::listener::Calls;
use crate::edge::revocations::book::Applied;
use crate::edge::revocations::entry::{CASE_BYTES, Entry, LONGEST_TOKEN_SECONDS, names_who_goes_on};
use crate::telemetry::metrics::Metrics;
use answer::Answer;

/// Where events are pushed to.
pub const PATH: &str = "/v1/security-events";
/// The media type of a SET (RFC 8417 §7.2).
const MEDIA_TYPE: &str = "application/secevent+jwt";
/// Events at once; one more is answered 503.
const EVENTS: usize = 64;
/// An event's body must be here by then: it is small, and takes one of few places.
const BODY_TIME: Duration = Duration::from_secs(3);
/// The disk must have answered by then.
const DISK_TIME: Duration = Duration::from_secs(10);
/// Before a refusal is answered.
const HELD_UP: Duration = Duration::from_millis(200);
/// Refusals that wait for that; more are answered at once, with 429. What is good never waits.
pub const HELD: usize = 32;
/// How long the entry of an event stays, in seconds: the longest token life, and as much in reserve for a transmitter whose clock is
/// behind. What was issued until the event has expired by then, and younger tokens it never hit.
const KEPT_SECONDS: i64 = 2 * LONGEST_TOKEN_SECONDS;

/// The transmitters and what is known of them now.
#[derive(Clone, Default)]
pub struct Transmitters {
    /// Their rules and keys.
    pub all: Vec<Transmitter>,
    /// The hashes of what their `Authorization` headers must be, by their names.
    pub authorizations: BTreeMap<String, Digest>,
}

/// The hash of the header value in a file.
///
/// # Errors
/// It is none: what would be right.
pub fn authorization(content: &[u8]) -> Result<Digest, &'static str> {
    let value = content.trim_ascii();
    let shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if !(16..=1024).contains(&value.len()) || !value.iter().all(shown) {
        return Err("write the whole value of the header, 16 to 1024 visible ASCII characters and spaces");
    }
    Ok(digest(&SHA256, value))
}

/// What config says of a transmitter, beside its rules.
struct Configured {
    pushes: bool,
    /// It must send an `Authorization` header.
    authorization: bool,
    keys_are_fetched: bool,
}

/// Takes events.
pub struct Receiver {
    transmitters: Arc<ArcSwap<Transmitters>>,
    /// What config says of each.
    configured: BTreeMap<String, Configured>,
    revocations: Arc<Revocations>,
    /// Whose tokens are judged, and how long they may live.
    issuers: BTreeMap<String, Option<i64>>,
    wanted: Wanted,
    metrics: Arc<Metrics>,
    events: Semaphore,
    held: Semaphore,
    told: Mutex<Seldom>,
}

impl Calls for Receiver {
    const LISTENER: &'static str = "events";

    fn call(&self, peer: &Peer, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send {
        self.answer(peer, request)
    }
}

impl Receiver {
    /// For the transmitters that config names.
    #[must_use]
    pub fn new(
        config: &Config,
        transmitters: Arc<ArcSwap<Transmitters>>,
        revocations: Arc<Revocations>,
        wanted: Wanted,
        metrics: Arc<Metrics>,
    ) -> Self {
        let rules = config.issuers.iter().map(|issuer| &issuer.rules);
        let configured = config.transmitters.iter().map(|each| {
            let configured = Configured {
                pushes: each.poll.is_none(),
                authorization: each.authorization_file.is_some(),
                keys_are_fetched: !matches!(each.keys, KeySource::File(_)),
            };
            (each.rules.name.clone(), configured)
        });
        Self {
            transmitters,
            configured: configured.collect(),
            revocations,
            issuers: rules.map(|rules| (rules.issuer.clone(), rules.max_lifetime_seconds)).collect(),
            wanted,
            metrics,
            events: Semaphore::new(EVENTS),
            held: Semaphore::new(HELD),
            told: Mutex::default(),
        }
    }

    /// Answers one call.
    pub async fn answer<B>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = match self.events.try_acquire() {
            Ok(_permit) => self.taken(peer, request).await,
            Err(_) => Answer::later("too many events at once: send it again"),
        };
        if !answer.is_refusal() {
            return answer.response();
        }
        let Ok(_held) = self.held.try_acquire() else { return Answer::too_many().response() };
        tokio::time::sleep(HELD_UP).await;
        answer.response()
    }

    async fn taken<B>(&self, peer: &Peer, request: Request<B>) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let from = peer.address.as_str();
        let (head, body) = request.into_parts();
        if head.uri.path() != PATH {
            return self.refused(from, None, Answer::no_such_path());
        }
        if head.method != Method::POST {
            return self.refused(from, None, Answer::no_such_method());
        }
        if !is_set(&head.headers) {
            return self.refused(from, None, Answer::media_type());
        }
        let body = match tokio::time::timeout(BODY_TIME, Limited::new(body, SET_BYTES).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return self.refused(from, None, Answer::too_large()),
            Err(_) => return self.refused(from, None, Answer::too_late()),
        };
        let now = clock::millis();
        let transmitters = self.transmitters.load_full();
        let event = match security_event::verify(&body, &transmitters.all, now.div_euclid(1_000)) {
            Ok(event) => event,
            Err(refused) => return self.refusal(from, &refused),
        };
        if !self.is_authorized(event.transmitter(), &transmitters, &head.headers) {
            let answer =
                Answer::of(ErrorCode::AuthenticationFailed, "the Authorization header is not the one agreed upon");
            return self.refused(from, Some(event.transmitter()), answer);
        }
        peer.known.store(true, Ordering::Release);
        self.heed(&event, now).await
    }

    /// Takes an event that was fetched from a transmitter, which can be nobody else's.
    async fn fetched(&self, name: &str, text: &[u8]) -> Answer {
        let now = clock::millis();
        let transmitters = self.transmitters.load_full();
        let its = transmitters.all.iter().position(|each| each.rules.name == name);
        let its = its.and_then(|place| transmitters.all.get(place..place.saturating_add(1))).unwrap_or_default();
        match security_event::verify(text, its, now.div_euclid(1_000)) {
            Ok(event) => self.heed(&event, now).await,
            Err(refused) => self.refusal(name, &refused),
        }
    }

    /// Whether it sent what config says that it must, beside the signature. All of it is compared, in constant time, by its hash.
    fn is_authorized(&self, rules: &TransmitterRules, transmitters: &Transmitters, headers: &HeaderMap) -> bool {
        match self.configured.get(&rules.name) {
            Some(Configured { pushes: true, authorization: true, .. }) => {}
            Some(Configured { pushes, .. }) => return *pushes,
            None => return false,
        }
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
        let expected = transmitters.authorizations.get(&rules.name);
        let shown = digest(&SHA256, shown.as_bytes());
        expected.is_some_and(|expected| verify_slices_are_equal(expected.as_ref(), shown.as_ref()).is_ok())
    }

    /// Does what follows from an event.
    async fn heed(&self, event: &SecurityEvent<'_>, now: i64) -> Answer {
        let (transmitter, kind, jti) = (&event.transmitter().name, event.kind().name(), event.id());
        let (answer, outcome) = match event.meaning() {
            Meaning::Revokes(target) => self.revoke(event, target, now).await,
            Meaning::Recorded(why) => {
                tracing::info!(transmitter, event = kind, jti, why, "a security event that revokes nothing");
                (Answer::accepted(), "recorded")
            }
            Meaning::Unheeded(why) => {
                tracing::error!(transmitter, event = kind, jti, why, "a security event that nobody can act upon here");
                (Answer::accepted(), "unheeded")
            }
            Meaning::Verification(state) => {
                tracing::info!(transmitter, jti, state, "a transmitter tried out its stream");
                (Answer::accepted(), "recorded")
            }
        };
        self.metrics.security_event(transmitter, kind, outcome);
        answer
    }

    async fn revoke(&self, event: &SecurityEvent<'_>, target: &Target, now: i64) -> (Answer, &'static str) {
        let (transmitter, kind, jti) = (&event.transmitter().name, event.kind().name(), event.id());
        let entry = Arc::new(self.entry(event, target));
        let taken = match tokio::time::timeout(DISK_TIME, self.take(&entry, now)).await {
            Ok(taken) => taken,
            // It has bitten before the disk was asked.
            Err(_) => Err("the disk does not answer".to_owned()),
        };
        let revocation = entry.id;
        match taken {
            Ok(outcome @ (Applied::New | Applied::Known | Applied::Ended | Applied::Cancelled | Applied::Waiting)) => {
                let (outcome, of) = (outcome.name(), target.kind().name());
                tracing::info!(transmitter, event = kind, jti, %revocation, kind = of, outcome, "a security event revokes");
                (Answer::accepted(), if outcome == "new" { "revoked" } else { outcome })
            }
            Ok(Applied::Full) => {
                tracing::error!(transmitter, event = kind, jti, "NOT REVOKED: the book of revocations is full");
                (Answer::later("there is no room for it now: send it again"), "full")
            }
            Ok(Applied::Conflict) => {
                tracing::error!(transmitter, event = kind, jti, "NOT REVOKED: its jti was another event's");
                (Answer::of(ErrorCode::InvalidRequest, "this jti was another event's"), "conflict")
            }
            Ok(Applied::Malformed) => {
                tracing::error!(transmitter, event = kind, jti, "NOT REVOKED: it is over a limit of entries");
                (Answer::of(ErrorCode::InvalidRequest, "a name is over the limit"), "malformed")
            }
            Err(why) => {
                tracing::error!(transmitter, event = kind, jti, %revocation, why, "a revocation is in force and not stored");
                (Answer::later("in force and not stored yet: send it again"), "not_stored")
            }
        }
    }

    /// Puts an entry in force and stores it, and says what became of it.
    async fn take(&self, entry: &Arc<Entry>, now: i64) -> Result<Applied, String> {
        let (applied, stored) = self.revocations.take(core::slice::from_ref(entry), now).await;
        stored.map_err(|not_stored| not_stored.0)?;
        let applied = applied.first().copied().unwrap_or(Applied::Malformed);
        if applied != Applied::Conflict {
            return Ok(applied);
        }
        // The same SET may have been taken with other words: when its times were ahead of our clock, or config was another.
        let known = self.revocations.find(entry.id).await.map_err(|not_stored| not_stored.0)?;
        let Some(known) = known.map(|told| told.stored.entry) else { return Ok(Applied::Conflict) };
        if known.source != entry.source || known.target != entry.target {
            return Ok(Applied::Conflict);
        }
        let (applied, stored) = self.revocations.take(&[known], now).await;
        stored.map_err(|not_stored| not_stored.0)?;
        Ok(applied.first().copied().unwrap_or(Applied::Malformed))
    }

    /// The entry of an event, which is the same whenever it comes.
    fn entry(&self, event: &SecurityEvent<'_>, target: &Target) -> Entry {
        let (happened, issued) = (event.happened(), event.issued());
        let of_one_life = target.issuer().and_then(|issuer| self.issuers.get(issuer)).is_some_and(Option::is_some);
        let transmitter = event.transmitter();
        let is_case = |jti: &&str| jti.len() <= CASE_BYTES && !jti.contains(char::is_control);
        Entry {
            id: event.entry_id(),
            source: format!("ssf:{}", transmitter.name),
            target: target.clone(),
            not_issued_after: names_who_goes_on(target.kind()).then_some(happened),
            expires_at: of_one_life.then(|| happened.max(issued).saturating_add(KEPT_SECONDS)),
            reported_at: happened.saturating_mul(1_000),
            asked_at: issued.saturating_mul(1_000),
            asked_by: transmitter.name.clone(),
            reason: event.kind().name().to_owned(),
            case: Some(event.id()).filter(is_case).map(str::to_owned),
        }
    }

    /// What becomes of a SET that is refused.
    fn refusal(&self, from: &str, refused: &Refused<'_>) -> Answer {
        let Refused { why, transmitter } = *refused;
        let configured = transmitter.and_then(|rules| self.configured.get(&rules.name));
        let is_fetched = configured.is_some_and(|configured| configured.keys_are_fetched);
        // Its keys may have been renewed: they are fetched, and then it is judged again.
        if let (Some(rules), true, Refusal::KeyUnknown | Refusal::KeysUnavailable) = (transmitter, is_fetched, why) {
            self.wanted.ask(&keys_name(rules));
            let description = "the key that signed it is not known here, and is being asked for: send it again";
            let answer = match why.code() {
                Some(code) => Answer::later_or(code, description),
                None => Answer::later(description),
            };
            return self.refused(from, transmitter, answer);
        }
        let answer = match why.code() {
            Some(code) => Answer::of(code, why.description()),
            None => Answer::later(why.description()),
        };
        if why == Refusal::NotAllowed {
            // Its signature is good: this is no stranger's.
            let transmitter = transmitter.map(|rules| rules.name.as_str());
            tracing::error!(
                transmitter,
                "NOT REVOKED: a transmitter may not revoke for the issuer that its event names"
            );
        }
        self.refused(from, transmitter, answer)
    }

    /// Tells of a refusal, seldom: strangers cause them at will.
    fn refused(&self, from: &str, transmitter: Option<&TransmitterRules>, answer: Answer) -> Answer {
        let claimed = transmitter.map(|rules| rules.name.as_str()).unwrap_or_default();
        self.metrics.security_event(claimed, "", answer.code());
        let times = self.told.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now());
        if let Some(times) = times {
            let (code, why) = (answer.code(), answer.description());
            tracing::warn!(peer = from, claimed, code, why, times, "a security event was refused");
        }
        answer
    }
}

/// One `Content-Type`, which says that it is a SET; parameters mean nothing.
fn is_set(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return false };
    let essence = one.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)
}
