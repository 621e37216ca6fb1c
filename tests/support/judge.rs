//! One request judged: the bytes of a CheckRequest in, and what the client sees, read from the bytes of the CheckResponse by
//! another crate than the one that wrote them.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::value::Kind;
use futures_util::FutureExt as _;
use keybound::config::{IdentityHeaders, Upstream};
use keybound::decision::Decision;
use keybound::decision::denial::Denial;
use keybound::decision::snapshot::Snapshot;
use keybound::edge::gate::Partners;
use keybound::edge::spent::memory::Memory as SpentProofs;
use keybound::edge::{gate, reply};
use keybound::telemetry::record::{DecisionId, DecisionRecord};
use prost::Message as _;

use super::issuer::{SaysThis, ServesThis};
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
    spent: Arc<SpentProofs>,
    room: (usize, u8),
}

impl Memory {
    /// Room for this many proofs, of which one client may take this many percent.
    pub fn new(capacity: usize, share_percent: u8) -> Self {
        let spent = Arc::new(SpentProofs::new(capacity, share_percent, i64::MIN));
        Self { spent, room: (capacity, share_percent) }
    }

    /// Everything is lost, as at a start: proofs that could have been spent before are refused.
    pub fn forget(&mut self, now: i64) {
        let (capacity, share_percent) = self.room;
        self.spent = Arc::new(SpentProofs::new(capacity, share_percent, now + FUTURE_SKEW));
    }

    /// For a gate.
    pub fn shared(&self) -> Arc<SpentProofs> {
        Arc::clone(&self.spent)
    }
}

/// Judges a request as Envoy would send it.
pub fn judge(request: &Request, encoding: Encoding, memory: &Memory, now: i64) -> Outcome {
    judge_under(&request.setting.snapshot(), request, encoding, memory, now)
}

/// The same under a snapshot that no setting has.
pub fn judge_under(snapshot: &Snapshot, request: &Request, encoding: Encoding, memory: &Memory, now: i64) -> Outcome {
    let decision = decide(snapshot, request, encoding, memory, now);
    let record = DecisionRecord::new(DecisionId::new([0; 16]), request.point, Duration::ZERO, &decision);
    let response = reply::write(&decision, &record, &upstream());
    outcome(response.encoded())
}

/// The decision alone, before anybody is told of it.
pub fn decide(snapshot: &Snapshot, request: &Request, encoding: Encoding, memory: &Memory, now: i64) -> Decision {
    let message = encode(request, encoding);
    let (introspection, status_lists) = (SaysThis::of(request), ServesThis::of(request));
    let partners = Partners { introspection, status_lists, ..Partners::alone(memory.shared()) };
    let judging = gate::judge(snapshot, &partners, request.point, Ok(&message), now);
    judging.now_or_never().expect("partners that answer at once")
}

fn upstream() -> Upstream {
    let name = |text: &str| Some(format!("x-keybound-{text}"));
    Upstream {
        strip_credentials: false,
        identity_headers: IdentityHeaders {
            issuer: name("issuer"),
            client: name("client"),
            subject: name("subject"),
            proof: name("proof"),
            decision: name("decision"),
        },
    }
}

fn outcome(bytes: &[u8]) -> Outcome {
    let response = envoy_types::pb::envoy::service::auth::v3::CheckResponse::decode(bytes).expect("a CheckResponse");
    let code = match &response.dynamic_metadata.expect("metadata").fields["code"].kind {
        Some(Kind::StringValue(code)) => code.clone(),
        other => panic!("no code: {other:?}"),
    };
    let allows = response.status.expect("a status").code == 0;
    let (status, headers) = match response.http_response.expect("an answer") {
        HttpResponse::DeniedResponse(denied) => {
            (u16::try_from(denied.status.expect("a status").code).unwrap(), denied.headers)
        }
        HttpResponse::OkResponse(ok) => (200, ok.response_headers_to_add),
        HttpResponse::ErrorResponse(_) => panic!("an error response obeys failure_mode_allow"),
    };
    assert_eq!(allows, status == 200, "Envoy allows on status code 0 alone");
    let values = |name: &str| values_of(&headers, name);
    assert_eq!(values("dpop-nonce").len(), values("cache-control").len(), "a nonce is not for caches");
    Outcome { code: known(&code), status, challenge: values("www-authenticate"), nonce: values("dpop-nonce") }
}

/// The code, if it is one that the page of denials has.
fn known(code: &str) -> &'static str {
    let others = ["allowed", "public", "observed", "answered"];
    let mut known = Denial::ALL.iter().map(|denial| denial.slug()).chain(others);
    known.find(|known| *known == code).unwrap_or_else(|| panic!("no code: {code}"))
}

fn values_of(headers: &[HeaderValueOption], name: &str) -> Vec<String> {
    headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .filter(|header| header.key == name)
        .map(|header| header.value.clone())
        .collect()
}
