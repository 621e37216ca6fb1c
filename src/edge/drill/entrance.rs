//! A way in, tried again and again with one token: each time on a connection of its own, so that a load balancer in front spreads the
//! tries over its replicas, or on one that stays, as a client has it that was there before.

use core::str::FromStr;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, Method};
use reqwest::{Client, Response};
use serde_json::Value;

use super::grant::target_of;
use super::proof::{Occasion, ProofKey};
use super::{Connections, TRY};
use crate::config::{self, Url};
use crate::edge::fetch;

/// How much of an answer is read: a denial is far below it, and an answer that is longer costs a new connection.
const BODY_BYTES: usize = 256 * 1024;
/// What an answer says of a denial starts so.
const DENIAL: &str = "urn:keybound:denial:";

/// Where a way in is: `[NAME=]URL[ via ADDRESS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is called, if it is.
    pub name: Option<String>,
    /// What is asked for, as a client writes it.
    pub url: Url,
    /// Where its host is taken to be; the URL, its `Host` and the name in its certificate stay.
    pub via: Option<SocketAddr>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, via) = text.split_once(" via ").map_or((text, None), |(text, via)| (text, Some(via.trim())));
        let is_name = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=64).contains(&name.len()) && name.bytes().all(plain)
        };
        let named = text.split_once('=').filter(|(name, _)| is_name(name));
        let (name, url) = named.map_or((None, text), |(name, url)| (Some(name.to_owned()), url));
        let url = config::key_url(url.trim(), true).map_err(|wrong| {
            format!("the URL {}: write https://…; http:// is for loopback addresses only", wrong.words().0)
        })?;
        let Some(via) = via else { return Ok(Self { name, url, via: None }) };
        if url.scheme() != "https" {
            return Err("`via` is for https:// alone: the certificate says who is there".to_owned());
        }
        let port = url.port().unwrap_or_default();
        let address = via.parse::<SocketAddr>().or_else(|_| via.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)));
        let address = address.map_err(|_| format!("`{via}` is no address: write 10.0.0.5 or 10.0.0.5:8443"))?;
        if url.port().is_some_and(|port| port != address.port()) {
            return Err("the URL and the address after `via` name two ports: leave one out".to_owned());
        }
        if url.domain().is_none() {
            return Err("`via` says where a name is, and the URL has an address: write that address".to_owned());
        }
        Ok(Self { name, url, via: Some(address) })
    }
}

/// Which connections tries are made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// Each on a connection of its own, and one that stays, by turns.
    Mixed,
    /// Each on a connection of its own.
    New,
    /// All on one that stays.
    Kept,
}

impl Lanes {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::New => "new",
            Self::Kept => "kept",
        }
    }
}

/// What is shown. It is in no `Debug`, log or message.
pub struct Shown {
    /// The token.
    pub token: String,
    /// The key that it is bound to: then it is sent with a proof, and as Bearer otherwise.
    pub key: Option<ProofKey>,
}

/// A way in.
pub struct Entrance {
    place: Place,
    method: Method,
    target: String,
    new: Client,
    kept: Client,
    lanes: Lanes,
    turn: Cell<bool>,
    nonce: RefCell<Option<String>>,
}

/// What came of one try.
pub struct Tried {
    /// When its answer's head was here, or it was given up.
    pub at: Instant,
    /// What was said.
    pub answer: Result<Said, String>,
}

/// An answer, without any text of it that could be other than a word of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: u16,
    /// The first `error` of its challenges (RFC 6750 §3).
    pub error: Option<String>,
    /// The class of the denial, if keybound says so.
    pub class: Option<String>,
    /// The decision's id, under which logs have the stable code.
    pub decision: Option<String>,
}

impl Entrance {
    /// The way in at this place.
    ///
    /// # Errors
    /// The connections cannot be made like this.
    pub fn new(place: Place, method: Method, connections: &Connections, lanes: Lanes) -> Result<Self, String> {
        let client = |idle: usize| {
            let mut builder = connections.builder()?.pool_max_idle_per_host(idle).tcp_nodelay(true);
            if let (Some(host), Some(address)) = (place.url.domain(), place.via) {
                builder = builder.resolve(host, address);
            }
            builder.build().map_err(|error| fetch::causes(&error))
        };
        let (new, kept) = (client(0)?, client(1)?);
        let target = target_of(&place.url);
        let (turn, nonce) = (Cell::new(true), RefCell::default());
        Ok(Self { place, method, target, new, kept, lanes, turn, nonce })
    }

    /// Tries it once; a nonce that is asked for is given, in the same try.
    pub async fn attempt(&self, shown: &Shown) -> Tried {
        let client = match self.lanes {
            Lanes::New => &self.new,
            Lanes::Kept => &self.kept,
            Lanes::Mixed => {
                self.turn.set(!self.turn.get());
                if self.turn.get() { &self.kept } else { &self.new }
            }
        };
        let first = self.once(client, shown).await;
        let wants_nonce = |said: &Said| said.status == 401 && said.error.as_deref() == Some("use_dpop_nonce");
        if shown.key.is_some() && first.answer.as_ref().is_ok_and(wants_nonce) {
            return self.once(client, shown).await;
        }
        first
    }

    async fn once(&self, client: &Client, shown: &Shown) -> Tried {
        let mut request = client.request(self.method.clone(), self.place.url.clone());
        let scheme = if shown.key.is_some() { "DPoP" } else { "Bearer" };
        let Ok(mut credential) = http::HeaderValue::from_str(&format!("{scheme} {}", shown.token)) else {
            return Tried { at: Instant::now(), answer: Err("the token cannot be a header".to_owned()) };
        };
        credential.set_sensitive(true);
        request = request.header(http::header::AUTHORIZATION, credential);
        if let Some(key) = &shown.key {
            let (method, nonce) = (self.method.as_str(), self.nonce.borrow().clone());
            let occasion =
                Occasion { method, target: &self.target, token: Some(&shown.token), nonce: nonce.as_deref() };
            let Some(proof) = key.proof(&occasion) else {
                return Tried { at: Instant::now(), answer: Err("no proof could be signed".to_owned()) };
            };
            request = request.header("dpop", proof);
        }
        let sent = request.send().await;
        let at = Instant::now();
        match sent {
            Ok(answer) => {
                if let Some(nonce) = nonce_of(answer.headers()) {
                    self.nonce.replace(Some(nonce));
                }
                Tried { at, answer: Ok(said(answer).await) }
            }
            Err(error) if error.is_timeout() => Tried { at, answer: Err(format!("no answer within {TRY:?}")) },
            Err(error) => Tried { at, answer: Err(fetch::causes(&error.without_url())) },
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.place.name.as_deref().or(self.place.url.host_str()).unwrap_or_default()
    }

    /// Its URL, without what may be secret in it.
    #[must_use]
    pub fn url(&self) -> String {
        fetch::place(self.place.url.clone())
    }

    /// Where it is taken to be.
    #[must_use]
    pub fn via(&self) -> Option<SocketAddr> {
        self.place.via
    }
}

/// The server's nonce (RFC 9449 §8.1).
pub(super) fn nonce_of(headers: &HeaderMap) -> Option<String> {
    headers.get("dpop-nonce")?.to_str().ok().map(str::to_owned)
}

/// What an answer says of itself. Its body is read to its end, so that the connection can stay.
async fn said(answer: Response) -> Said {
    let status = answer.status().as_u16();
    let error = error_of(answer.headers());
    let body = fetch::body(answer, BODY_BYTES).await.unwrap_or_default();
    let problem: Value =
        if status >= 400 { serde_json::from_slice(&body).unwrap_or_default() } else { Value::default() };
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let class = text("type").and_then(|kind| kind.strip_prefix(DENIAL)).filter(|class| is_word(class));
    let is_id =
        |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let decision = class.and_then(|_| text("decision_id").filter(is_id));
    Said { status, error, class: class.map(str::to_owned), decision: decision.map(str::to_owned) }
}

/// The first `error` of the challenges. Fields may have been joined, and a field may hold several challenges (RFC 9110 §11.6.1).
fn error_of(headers: &HeaderMap) -> Option<String> {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    challenges.find_map(error_in).filter(|code| is_word(code)).map(str::to_owned)
}

/// The value of `error`, and nothing that stands in another parameter's quotes.
fn error_in(challenge: &str) -> Option<&str> {
    let mut parts = challenge.split('"');
    while let Some(outside) = parts.next() {
        let value = outside.split([',', ' ', '\t']).find_map(|word| word.strip_prefix("error="));
        match (value, parts.next()) {
            (Some(""), quoted) => return quoted,
            (Some(value), _) => return Some(value),
            (None, _) => {}
        }
    }
    None
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
