//! Security events that are fetched from their transmitter (RFC 8936): asked for at an interval, judged as those that are pushed, and
//! acknowledged when they are stored. What is not acknowledged comes again.
//!
//! A transmitter that holds nothing back answers at once (`returnImmediately`), so each poll shows that it can be reached, and an event
//! is in force an interval later at most. Whoever acknowledges an event has it: replicas that poll one stream must tell each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Answer, Receiver};
use crate::config::{Poll, Transmitter, Url};
use crate::decision::limits::SET_BYTES;
use crate::decision::security_event::ErrorCode;
use crate::edge::{fetch, files};

/// Events of one poll of which nothing is known yet, at most; the others come with the next.
const AT_ONCE: usize = 32;
/// Events of one poll, at most, with those to which nothing could be said so far: they come first each time.
const MOST: usize = 256;
/// What a poll for a single event answers, at most: a transmitter may keep one that is longer than any that we take, and it must be
/// read before it can be refused by its name.
const LONGEST: usize = 8 * 1024 * 1024;
/// An event that our keys do not fit is refused after this long. Until then it may be ours that are old.
const PATIENCE: Duration = Duration::from_secs(600);
/// Events that are waited with, at most.
const WAITING: usize = 4 * MOST;
/// After a poll that failed the next one comes after its interval, twice that, and so on, but no later than this.
const LATEST: Duration = Duration::from_secs(60);
/// Before the next poll where there is more: a transmitter that never ends must not keep us busy.
const MORE: Duration = Duration::from_millis(100);
/// A file with an `Authorization` header, at most.
const AUTHORIZATION_FILE: u64 = 2048;

/// What a transmitter answers (RFC 8936 §2.4).
#[derive(Deserialize)]
struct Polled {
    /// Each should be a text: one that is none must not keep us from the others.
    #[serde(default)]
    sets: BTreeMap<String, Value>,
    #[serde(default, rename = "moreAvailable")]
    more_available: bool,
}

/// What the next poll says of the events of the one before (RFC 8936 §2.4.2).
#[derive(Default)]
struct Acknowledgement {
    taken: Vec<String>,
    refused: serde_json::Map<String, Value>,
}

impl Acknowledgement {
    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty()
    }

    fn note(&mut self, name: String, answer: &Answer) {
        match answer.acknowledged() {
            Some(Ok(())) => self.taken.push(name),
            Some(Err(code)) => self.refuse(name, code, answer.description()),
            None => {}
        }
    }

    fn refuse(&mut self, name: String, code: ErrorCode, description: &str) {
        self.refused.insert(name, json!({ "err": code.name(), "description": description }));
    }

    fn request(&self, most: usize) -> Value {
        json!({ "maxEvents": most, "returnImmediately": true, "ack": self.taken, "setErrs": self.refused })
    }
}

/// Fetches the events of every transmitter that does not push them, for ever.
pub async fn follow(transmitters: &[Transmitter], receiver: &Arc<Receiver>, client: &Client) {
    let polled = transmitters.iter().filter_map(|each| Some((each.rules.name.as_str(), each.poll.as_ref()?)));
    let polls: Vec<_> = polled.map(|(name, poll)| fetch_for_ever(name, poll, receiver, client)).collect();
    if polls.is_empty() {
        return std::future::pending().await;
    }
    join_all(polls).await;
}

async fn fetch_for_ever(transmitter: &str, poll: &Poll, receiver: &Receiver, client: &Client) {
    let every = Duration::from_secs(poll.every_seconds);
    let (mut stream, mut wait, mut failing) = (Stream::of(transmitter), every, false);
    loop {
        match ask(poll, &stream, client).await {
            Ok(polled) => {
                if core::mem::take(&mut failing) {
                    tracing::info!(transmitter, "security events can be fetched again");
                }
                let more = polled.more_available;
                let outcome = stream.take(polled, receiver, Instant::now()).await;
                receiver.metrics.security_events_polled(transmitter, outcome);
                // Events of which nothing can be said yet must not make us hurry.
                wait = if more && !stream.acknowledgement.is_empty() { MORE } else { every };
            }
            Err(Unanswered::TooLong) if stream.ask_for_fewer() => {
                receiver.metrics.security_events_polled(transmitter, "failed");
                wait = MORE;
            }
            Err(why) => {
                receiver.metrics.security_events_polled(transmitter, "failed");
                if !core::mem::replace(&mut failing, true) {
                    let why = why.words();
                    tracing::error!(
                        transmitter,
                        why,
                        "security events cannot be fetched: what they revoke is not revoked"
                    );
                }
                wait = wait.max(every).saturating_mul(2).min(LATEST.max(every));
            }
        }
        sleep(wait).await;
    }
}

/// How it stands with the events of one transmitter.
struct Stream<'s> {
    transmitter: &'s str,
    acknowledgement: Acknowledgement,
    /// Since when events are waited with, and when they came last, by the hashes of their names.
    waiting: BTreeMap<Vec<u8>, (Instant, Instant)>,
    /// How many of the last answer these were.
    later: usize,
    /// Events of one answer that is not too long.
    fitting: usize,
    is_stuck: bool,
}

impl<'s> Stream<'s> {
    fn of(transmitter: &'s str) -> Self {
        let (acknowledgement, waiting, later, is_stuck) = Default::default();
        Self { transmitter, acknowledgement, waiting, later, fitting: MOST, is_stuck }
    }

    /// How many events the next poll asks for.
    fn most(&self) -> usize {
        AT_ONCE.saturating_add(self.later).min(self.fitting)
    }

    /// What its answer may be long.
    fn longest(&self) -> usize {
        if self.most() == 1 { LONGEST } else { self.most().saturating_add(2).saturating_mul(SET_BYTES) }
    }

    /// After an answer that is too long; whether there is less to ask for.
    fn ask_for_fewer(&mut self) -> bool {
        let most = self.most();
        self.fitting = most.div_euclid(2).max(1);
        most > 1
    }

    /// Judges events, and notes what the next poll says of them; what this one came to.
    async fn take(&mut self, polled: Polled, receiver: &Receiver, now: Instant) -> &'static str {
        let most = self.most();
        self.acknowledgement = Acknowledgement::default();
        self.fitting = self.fitting.saturating_mul(2).min(MOST);
        let (mut came, mut later) = (0_usize, 0_usize);
        for (name, set) in polled.sets.into_iter().take(most) {
            came = came.saturating_add(1);
            let answer = match set.as_str() {
                Some(text) => receiver.fetched(self.transmitter, text.as_bytes()).await,
                None => self.no_text(receiver),
            };
            if answer.acknowledged().is_none() && !self.is_given_up(&name, &answer, now) {
                later = later.saturating_add(1);
            }
            self.acknowledgement.note(name, &answer);
        }
        self.later = later;
        self.waiting.retain(|_, (_, last)| now.saturating_duration_since(*last) < PATIENCE);
        let was_stuck = core::mem::replace(&mut self.is_stuck, came > 0 && later == came);
        if self.is_stuck && !was_stuck {
            let transmitter = self.transmitter;
            tracing::error!(
                transmitter,
                events = came,
                "none of the security events that came can be taken, and they come again: until then NOT REVOKED, or not stored"
            );
        }
        if self.is_stuck { "stuck" } else { "answered" }
    }

    fn no_text(&self, receiver: &Receiver) -> Answer {
        tracing::error!(transmitter = self.transmitter, "NOT REVOKED: what came as a security event is no text");
        receiver.refused(self.transmitter, None, Answer::of(ErrorCode::InvalidRequest, "the SET is no string"))
    }

    /// Whether an event to which nothing can be said has been waited with for too long. It is refused then: its transmitter does not
    /// sign it again with a key that we know, and those behind it must come through.
    fn is_given_up(&mut self, name: &str, answer: &Answer, now: Instant) -> bool {
        let key = digest(&SHA256, name.as_bytes()).as_ref().to_vec();
        if self.waiting.len() >= WAITING && !self.waiting.contains_key(&key) {
            return false;
        }
        let (first, last) = self.waiting.entry(key.clone()).or_insert((now, now));
        *last = now;
        let Some(code) = answer.at_last().filter(|_| now.saturating_duration_since(*first) >= PATIENCE) else {
            return false;
        };
        self.waiting.remove(&key);
        tracing::error!(
            transmitter = self.transmitter,
            code = code.name(),
            minutes = PATIENCE.as_secs().div_euclid(60),
            "NOT REVOKED: a security event is refused because no key has fitted it for so long"
        );
        self.acknowledgement.refuse(name.to_owned(), code, "no key of the transmitter has fitted it for ten minutes");
        true
    }
}

/// Why a poll has no answer.
enum Unanswered {
    TooLong,
    Otherwise(String),
}

impl Unanswered {
    fn words(self) -> String {
        match self {
            Self::TooLong => {
                format!("NOT REVOKED: a single event has more than {LONGEST} bytes, and keeps all others back")
            }
            Self::Otherwise(why) => why,
        }
    }
}

/// One poll; or why there is no answer, without a word of what was sent.
async fn ask(poll: &Poll, stream: &Stream<'_>, client: &Client) -> Result<Polled, Unanswered> {
    let authorization = authorization(poll).await.map_err(Unanswered::Otherwise)?;
    let place = fetch::place(poll.url.clone());
    asked(poll.url.clone(), authorization, stream, client).await.map_err(|why| match why {
        Unanswered::TooLong => why,
        Unanswered::Otherwise(why) => Unanswered::Otherwise(format!("{place}: {why}")),
    })
}

async fn authorization(poll: &Poll) -> Result<HeaderValue, String> {
    let file = poll.authorization_file.clone();
    // Files may be on a disk that is slow.
    let authorization = tokio::task::spawn_blocking(move || {
        let content = files::read(&file, AUTHORIZATION_FILE).map_err(|problem| problem.to_string())?;
        super::authorization(&content).map_err(|remedy| format!("{}: {remedy}", file.display()))?;
        let mut header = HeaderValue::from_bytes(content.trim_ascii()).map_err(|error| error.to_string())?;
        header.set_sensitive(true);
        Ok::<_, String>(header)
    });
    authorization.await.map_err(|_| "the file with the header could not be read".to_owned())?
}

async fn asked(
    url: Url,
    authorization: HeaderValue,
    stream: &Stream<'_>,
    client: &Client,
) -> Result<Polled, Unanswered> {
    let failed = |error: reqwest::Error| Unanswered::Otherwise(fetch::causes(&error.without_url()));
    let request = client
        .post(url)
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(stream.acknowledgement.request(stream.most()).to_string());
    let mut answer = request.send().await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(Unanswered::Otherwise(format!("status {}", answer.status().as_u16())));
    }
    let (mut body, longest) = (Vec::new(), stream.longest());
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > longest {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body)
        .map_err(|_| Unanswered::Otherwise("the answer is no JSON object with `sets` (RFC 8936 §2.4)".to_owned()))
}

#[cfg(test)]
mod tests;
