//! One request judged: bytes in, what the client sees out.

use std::collections::{HashMap, HashSet};

use keybound::decision::binding::{Spend, Spending};
use keybound::decision::client::ClientId;
use keybound::decision::denial::Denial;
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::decision::{Decision, Examined, Verdict, examine};
use keybound::edge::proto::{CheckRequest, Entry, HeaderValue, HttpRequest};
use prost::Message as _;

use super::request::Request;
use super::setting::FUTURE_SKEW;
use super::wire::{Encoding, encode};

/// What the client sees, and the code that operators see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `allowed`, `public`, `observed`, or the slug of a denial.
    pub code: &'static str,
    /// 200 where the request goes on to the API.
    pub status: u16,
    /// Every `WWW-Authenticate` field.
    pub challenge: Vec<String>,
    /// Every `DPoP-Nonce` field.
    pub nonce: Vec<String>,
}

/// What is remembered of spent proofs.
pub struct Memory {
    seen: HashSet<[u8; 32]>,
    taken: HashMap<ClientId, usize>,
    capacity: usize,
    share: usize,
    lost_at: Option<i64>,
}

impl Memory {
    /// Room for this many proofs, of which one client may take this many percent.
    pub fn new(capacity: usize, share_percent: u8) -> Self {
        let share = capacity * usize::from(share_percent) / 100;
        Self { seen: HashSet::new(), taken: HashMap::new(), capacity, share, lost_at: None }
    }

    /// Everything is lost: proofs that could have been spent before are refused.
    pub fn forget(&mut self, now: i64) {
        self.seen.clear();
        self.taken.clear();
        self.lost_at = Some(now);
    }

    fn spend(&mut self, spend: &Spend) -> Spending {
        // A client's clock, and that of the replica that minted a nonce, may be ahead by the skew.
        if self.lost_at.is_some_and(|lost_at| spend.made_at <= lost_at + FUTURE_SKEW) {
            return Spending::Predates;
        }
        if self.seen.contains(&spend.key) {
            return Spending::Replayed;
        }
        if self.seen.len() >= self.capacity {
            return Spending::Full;
        }
        let taken = self.taken.entry(spend.client.clone()).or_default();
        if *taken >= self.share {
            return Spending::ShareExceeded;
        }
        *taken += 1;
        self.seen.insert(spend.key);
        Spending::Fresh
    }
}

/// Judges a request as Envoy would send it.
pub fn judge(request: &Request, encoding: Encoding, memory: &mut Memory, now: i64) -> Outcome {
    let decision = match CheckRequest::decode(encode(request, encoding).as_slice()) {
        Ok(message) => decide(request, &message, memory, now),
        Err(_) => Decision::refuse(Denial::RequestMalformed),
    };
    outcome(decision.verdict)
}

fn decide(request: &Request, message: &CheckRequest, memory: &mut Memory, now: i64) -> Decision {
    let snapshot = request.setting.snapshot();
    let facts = match raw(message).and_then(|raw| RequestFacts::new(request.point, &raw)) {
        Ok(facts) => facts,
        Err(denial) => return Decision::refuse(denial),
    };
    let mut examined = examine(&snapshot, &facts, now);
    loop {
        examined = match examined {
            Examined::Ended(decision) => return *decision,
            Examined::Proven(proven) => return proven.conclude(),
            Examined::Needs(unsettled) => {
                let spending = memory.spend(unsettled.spend());
                unsettled.settle(spending)
            }
        };
    }
}

/// The fields of the message. Envoy fills one header form, and one of the two values in it; more could disagree.
fn raw(message: &CheckRequest) -> Result<RawRequest<'_>, Denial> {
    let attributes = message.attributes.as_ref().ok_or(Denial::RequestMalformed)?;
    let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).ok_or(Denial::RequestMalformed)?;
    let source = attributes.source.as_ref();
    let socket = source.and_then(|source| source.address.as_ref()?.socket_address.as_ref());
    let mut hints = attributes.context_extensions.iter().map(pair).filter(|(key, _)| key == b"api");
    let api_hint = hints.next().map(|(_, value)| value);
    if hints.next().is_some() {
        return Err(Denial::RequestHeaderRepeated);
    }
    Ok(RawRequest {
        method: &http.method,
        host: &http.host,
        path: &http.path,
        query: &http.query,
        fragment: &http.fragment,
        headers: headers(http)?,
        peer_address: socket.map_or(b"", |socket| &socket.address),
        peer_principal: source.map_or(b"", |source| &source.principal),
        peer_certificate: source.map_or(b"", |source| &source.certificate),
        api_hint,
    })
}

/// Name and value, in order.
type Headers<'a> = Vec<(&'a [u8], &'a [u8])>;

fn headers(http: &HttpRequest) -> Result<Headers<'_>, Denial> {
    match &http.header_map {
        None => Ok(http.headers.iter().map(pair).collect()),
        Some(_) if !http.headers.is_empty() => Err(Denial::RequestMalformed),
        Some(map) => map.headers.iter().map(|header| Ok((&*header.key, value(header)?))).collect(),
    }
}

fn value(header: &HeaderValue) -> Result<&[u8], Denial> {
    match (header.value.is_empty(), header.raw_value.is_empty()) {
        (true, _) => Ok(&header.raw_value),
        (false, true) => Ok(&header.value),
        (false, false) => Err(Denial::RequestMalformed),
    }
}

fn pair(entry: &Entry) -> (&[u8], &[u8]) {
    (&entry.key, &entry.value)
}

fn outcome(verdict: Verdict) -> Outcome {
    let passed = |code, nonce: Option<String>| Outcome {
        code,
        status: 200,
        challenge: Vec::new(),
        nonce: nonce.into_iter().collect(),
    };
    match verdict {
        Verdict::Allowed { nonce, .. } => passed("allowed", nonce),
        Verdict::Observed { .. } => passed("observed", None),
        Verdict::Public => passed("public", None),
        Verdict::Answer(_) => passed("answered", None),
        Verdict::Denied(refusal) => Outcome {
            code: refusal.denial.slug(),
            status: refusal.denial.row().status,
            challenge: refusal.challenge,
            nonce: refusal.nonce.into_iter().collect(),
        },
    }
}
