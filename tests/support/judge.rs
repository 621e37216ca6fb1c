//! One request judged by the whole path minus the socket: the bytes of a CheckRequest in, what the client sees out.

use std::sync::Arc;

use keybound::config::Upstream;
use keybound::decision::Decision;
use keybound::edge::gate;
use keybound::edge::proto::check_response::HttpResponse;
use keybound::edge::proto::{CheckResponse, HeaderValueOption};
use keybound::edge::reply;
use keybound::edge::spent::memory;
use keybound::telemetry::record::{DecisionId, DecisionRecord};
use tonic::codegen::Bytes;

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
pub struct Memory(Arc<memory::Memory>);

impl Memory {
    /// Room for this many proofs, of which one client may take this many percent.
    pub fn new(capacity: usize, share_percent: u8) -> Self {
        Self(Arc::new(memory::Memory::new(capacity, share_percent, i64::MIN)))
    }

    /// Everything is lost, as at a start: proofs that could have been spent before are refused.
    pub fn forget(&mut self, now: i64) {
        self.0 = Arc::new(memory::Memory::new(100_000, 100, now + FUTURE_SKEW));
    }

    /// For a gate.
    pub fn shared(&self) -> Arc<memory::Memory> {
        Arc::clone(&self.0)
    }
}

/// Judges a request as Envoy would send it.
pub fn judge(request: &Request, encoding: Encoding, memory: &mut Memory, now: i64) -> Outcome {
    let message = Bytes::from(encode(request, encoding));
    let snapshot = request.setting.snapshot();
    outcome(&gate::judge(&snapshot, &memory.0, request.point, Ok(message), now))
}

fn outcome(decision: &Decision) -> Outcome {
    let record = DecisionRecord::new(DecisionId::new([7; 16]), "edge", std::time::Duration::ZERO, decision);
    let response: CheckResponse = reply::write(decision, &record, &Upstream::default());
    let code = response.status.map_or(0, |status| status.code);
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            assert_eq!(code, 0, "Envoy allows on code 0 alone");
            Outcome {
                code: record.code(),
                status: 200,
                challenge: fields(&ok.response_headers_to_add, "www-authenticate"),
                nonce: fields(&ok.response_headers_to_add, "dpop-nonce"),
            }
        }
        Some(HttpResponse::DeniedResponse(denied)) => {
            assert_ne!(code, 0, "Envoy allows on code 0 alone");
            Outcome {
                code: record.code(),
                status: denied.status.map_or(0, |status| u16::try_from(status.code).expect("a status")),
                challenge: fields(&denied.headers, "www-authenticate"),
                nonce: fields(&denied.headers, "dpop-nonce"),
            }
        }
        None => panic!("an answer is an allow or a denial"),
    }
}

fn fields(headers: &[HeaderValueOption], name: &str) -> Vec<String> {
    let headers = headers.iter().filter_map(|option| option.header.as_ref());
    let named = headers.filter(|header| header.key == name.as_bytes());
    named.map(|header| String::from_utf8(header.value.to_vec()).expect("ASCII")).collect()
}
