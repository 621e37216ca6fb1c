//! Security events that are fetched from their transmitter (RFC 8936): asked for at an interval, judged as those that are pushed, and
//! acknowledged when they are stored. What is not acknowledged comes again.
//!
//! A transmitter that holds nothing back answers at once (`returnImmediately`), so each poll shows that it can be reached, and an event
//! is in force an interval later at most. Whoever acknowledges an event has it: replicas that poll one stream must tell each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
use crate::edge::{fetch, files};

/// Events of one poll, at most; the others come with the next.
const AT_ONCE: usize = 32;
/// What one poll answers, at most: the events, and their names.
const ANSWER_BYTES: usize = (AT_ONCE + 2) * SET_BYTES;
/// After a poll that failed the next one comes after its interval, twice that, and so on, but no later than this.
const LATEST: Duration = Duration::from_secs(60);
/// Before the next poll where there is more: a transmitter that never ends must not keep us busy.
const MORE: Duration = Duration::from_millis(100);
/// A file with an `Authorization` header, at most.
const AUTHORIZATION_FILE: u64 = 2048;

/// What a transmitter answers (RFC 8936 §2.4).
#[derive(Deserialize)]
struct Polled {
    #[serde(default)]
    sets: BTreeMap<String, String>,
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
            Some(Err(code)) => {
                self.refused.insert(name, json!({ "err": code.name(), "description": answer.description() }));
            }
            None => {}
        }
    }

    fn request(&self) -> Value {
        json!({ "maxEvents": AT_ONCE, "returnImmediately": true, "ack": self.taken, "setErrs": self.refused })
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
    let (mut acknowledgement, mut wait, mut failing) = (Acknowledgement::default(), every, false);
    loop {
        match ask(poll, &acknowledgement, client).await {
            Ok(polled) => {
                receiver.metrics.security_events_polled(transmitter, true);
                if core::mem::take(&mut failing) {
                    tracing::info!(transmitter, "security events can be fetched again");
                }
                let more = polled.more_available;
                acknowledgement = take(transmitter, polled, receiver).await;
                // Events of which nothing can be said yet must not make us hurry.
                wait = if more && !acknowledgement.is_empty() { MORE } else { every };
            }
            Err(why) => {
                receiver.metrics.security_events_polled(transmitter, false);
                if !core::mem::replace(&mut failing, true) {
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

async fn take(transmitter: &str, polled: Polled, receiver: &Receiver) -> Acknowledgement {
    let mut acknowledgement = Acknowledgement::default();
    for (name, text) in polled.sets.into_iter().take(AT_ONCE) {
        let answer = receiver.fetched(transmitter, text.as_bytes()).await;
        acknowledgement.note(name, &answer);
    }
    acknowledgement
}

/// One poll; or why there is no answer, without a word of what was sent.
async fn ask(poll: &Poll, acknowledgement: &Acknowledgement, client: &Client) -> Result<Polled, String> {
    let file = poll.authorization_file.clone();
    // Files may be on a disk that is slow.
    let authorization = tokio::task::spawn_blocking(move || {
        let content = files::read(&file, AUTHORIZATION_FILE).map_err(|problem| problem.to_string())?;
        super::authorization(&content).map_err(|remedy| format!("{}: {remedy}", file.display()))?;
        let mut header = HeaderValue::from_bytes(content.trim_ascii()).map_err(|error| error.to_string())?;
        header.set_sensitive(true);
        Ok::<_, String>(header)
    });
    let authorization = authorization.await.map_err(|_| "the file with the header could not be read".to_owned())??;
    let place = fetch::place(poll.url.clone());
    asked(poll.url.clone(), authorization, acknowledgement, client).await.map_err(|why| format!("{place}: {why}"))
}

async fn asked(
    url: Url,
    authorization: HeaderValue,
    acknowledgement: &Acknowledgement,
    client: &Client,
) -> Result<Polled, String> {
    let request = client
        .post(url)
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(acknowledgement.request().to_string());
    let answer = request.send().await.map_err(|error| fetch::causes(&error.without_url()))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    let body = fetch::body(answer, ANSWER_BYTES).await?;
    serde_json::from_slice(&body).map_err(|_| "the answer is no JSON object with `sets` (RFC 8936 §2.4)".to_owned())
}
