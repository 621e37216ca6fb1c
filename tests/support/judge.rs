//! One request judged: bytes in, what the client sees out.

use std::collections::HashSet;

use keybound::decision::binding::{Spend, Spending};
use keybound::decision::denial::Denial;
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::decision::{Decision, Examined, Verdict, examine};
use keybound::proto::{CheckRequest, Entry};
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
#[derive(Default)]
pub struct Memory {
    seen: HashSet<[u8; 32]>,
    lost_at: Option<i64>,
}

impl Memory {
    /// Everything is lost: proofs that could have been spent before are refused.
    pub fn forget(&mut self, now: i64) {
        self.seen.clear();
        self.lost_at = Some(now);
    }

    fn spend(&mut self, spend: &Spend) -> Spending {
        // The client's clock may be ahead by the skew; the minting time of a nonce is our own.
        let ahead = if spend.by_nonce { 0 } else { FUTURE_SKEW };
        if self.seen.contains(&spend.key) {
            Spending::Replayed
        } else if self.lost_at.is_some_and(|lost_at| spend.made_at <= lost_at + ahead) {
            Spending::Predates
        } else {
            self.seen.insert(spend.key);
            Spending::Fresh
        }
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
    let facts = match RequestFacts::new(request.point, &raw(message)) {
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

/// The fields of the message, unjudged. Both header forms are kept, should both be there.
fn raw(message: &CheckRequest) -> RawRequest<'_> {
    let attributes = message.attributes.as_ref();
    let http = attributes.and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let source = attributes.and_then(|attributes| attributes.source.as_ref());
    let mut raw = RawRequest::default();
    if let Some(http) = http {
        (raw.method, raw.host, raw.path) = (&http.method, &http.host, &http.path);
        (raw.query, raw.fragment) = (&http.query, &http.fragment);
        let listed = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
            let value = if header.raw_value.is_empty() { &header.value } else { &header.raw_value };
            (&*header.key, &**value)
        });
        raw.headers = http.headers.iter().map(pair).chain(listed).collect();
    }
    if let Some(source) = source {
        (raw.peer_principal, raw.peer_certificate) = (&source.principal, &source.certificate);
        let socket = source.address.as_ref().and_then(|address| address.socket_address.as_ref());
        raw.peer_address = socket.map_or(b"", |socket| &socket.address);
    }
    let extensions = attributes.map_or(&[][..], |attributes| &attributes.context_extensions);
    raw.api_hint = extensions.iter().map(pair).find(|(key, _)| key == b"api").map(|(_, value)| value);
    raw
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
        Verdict::Denied(refusal) => Outcome {
            code: refusal.denial.slug(),
            status: refusal.denial.row().status,
            challenge: refusal.challenge,
            nonce: refusal.nonce.into_iter().collect(),
        },
    }
}
