//! What an answer says, and whether that is what must be said.

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message as _;
use prost::bytes::Bytes;

/// What must be answered.
#[derive(Clone, Debug)]
pub struct Expected {
    allowed: bool,
    /// The entry `code` of the dynamic metadata, on the wire; empty where none is wanted.
    entry: Vec<u8>,
    /// In words.
    pub words: String,
}

/// The part of a CheckResponse that Envoy decides by.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Decided {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

impl Expected {
    /// keybound allows.
    pub fn allow() -> Self {
        Self { allowed: true, entry: entry("allowed"), words: "an allow".to_owned() }
    }

    /// keybound denies with this code.
    pub fn denial(code: &str) -> Self {
        Self { allowed: false, entry: entry(code), words: format!("a denial with {code}") }
    }

    /// Any server allows.
    pub fn bare_allow() -> Self {
        Self { allowed: true, entry: Vec::new(), words: "an allow".to_owned() }
    }

    /// Any server denies.
    pub fn bare_denial() -> Self {
        Self { allowed: false, entry: Vec::new(), words: "a denial".to_owned() }
    }

    /// Whether this answer says so.
    pub fn is_met_by(&self, answer: &Bytes) -> bool {
        let decided = Decided::decode(answer.clone()).ok().and_then(|decided| decided.status);
        let says = decided.is_some_and(|status| (status.code == 0) == self.allowed);
        says && (self.entry.is_empty() || answer.windows(self.entry.len()).any(|part| part == self.entry))
    }
}

/// A map entry of a Struct: the key `code` and a string.
fn entry(code: &str) -> Vec<u8> {
    let length = u8::try_from(code.len()).expect("a short code");
    let mut bytes = b"\x0a\x04code\x12".to_vec();
    bytes.extend([length + 2, 0x1a, length]);
    bytes.extend(code.as_bytes());
    bytes
}

/// What an answer says, for people.
pub fn told(answer: &Bytes) -> String {
    let Ok(answer) = CheckResponse::decode(answer.clone()) else { return "no CheckResponse".to_owned() };
    let metadata = answer.dynamic_metadata.unwrap_or_default();
    let code = metadata.fields.get("code").and_then(|value| match &value.kind {
        Some(Kind::StringValue(code)) => Some(code.clone()),
        _ => None,
    });
    let status = answer.status.map(|status| status.code);
    format!("status {status:?}, code {}", code.as_deref().unwrap_or("none"))
}
