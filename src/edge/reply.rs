//! From a decision to the CheckResponse: the only place where one is made.
//!
//! A denial is always a `denied_response` with a status code that is not 0: Envoy allows on code 0 alone, and an
//! `error_response` would obey `failure_mode_allow`. Every identity header is either set (overwriting) or removed, never both:
//! Envoy removes after it sets.

use std::borrow::Cow;

use crate::config::{IdentityHeaders, Upstream};
use crate::decision::denial::Denial;
use crate::decision::{Decision, Identity, Refusal, Verdict};
use crate::edge::frame;
use crate::edge::writer::Writer;
use crate::telemetry::record::DecisionRecord;

/// `google.rpc.Code.FAILED_PRECONDITION`: the request itself must not go on; only 0 would let it.
const ANSWERED: i32 = 9;

/// A CheckResponse, in a buffer of [`frame`].
pub struct CheckResponse(Vec<u8>);

/// Field numbers of `proto/`.
mod field {
    pub(super) mod response {
        pub const STATUS: u32 = 1;
        pub const DENIED: u32 = 2;
        pub const OK: u32 = 3;
        pub const METADATA: u32 = 4;
    }
    /// `Status` and `HttpStatus`.
    pub(super) const CODE: u32 = 1;
    pub(super) mod denied {
        pub const STATUS: u32 = 1;
        pub const HEADERS: u32 = 2;
        pub const BODY: u32 = 3;
    }
    pub(super) mod ok {
        pub const HEADERS: u32 = 2;
        pub const REMOVE: u32 = 5;
        pub const RESPONSE_HEADERS: u32 = 6;
    }
    pub(super) mod header {
        pub const HEADER: u32 = 1;
        pub const KEY: u32 = 1;
        pub const VALUE: u32 = 2;
        pub const ACTION: u32 = 3;
    }
    pub(super) mod metadata {
        pub const FIELDS: u32 = 1;
        pub const KEY: u32 = 1;
        pub const VALUE: u32 = 2;
        pub const TEXT: u32 = 3;
        pub const LIST: u32 = 6;
        pub const VALUES: u32 = 1;
    }
}

/// What is done with a header that is there already (`HeaderAppendAction`).
#[derive(Clone, Copy)]
enum Action {
    Append,
    Overwrite,
}

impl CheckResponse {
    /// The message's bytes.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        frame::message(&self.0)
    }

    /// The answer to the call.
    #[must_use]
    pub fn answer(self) -> http::Response<frame::Answer> {
        frame::answer(self.0)
    }

    fn new(code: i32, fill: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut buffer = frame::buffer();
        let mut writer = Writer::new(&mut buffer);
        // A code that is no number of its own must not become 0: Envoy would allow.
        let code = u32::try_from(code).unwrap_or(u32::MAX);
        writer.message(field::response::STATUS, |status| status.number(field::CODE, code));
        fill(&mut writer);
        Self(buffer)
    }
}

/// Writes the answer.
#[must_use]
pub fn write(decision: &Decision, record: &DecisionRecord<'_>, upstream: &Upstream) -> CheckResponse {
    let code = match &decision.verdict {
        Verdict::Allowed { .. } | Verdict::Observed { .. } | Verdict::Public => 0,
        Verdict::Answer(_) => ANSWERED,
        Verdict::Denied(refusal) => refusal.denial.grpc_code().get(),
    };
    CheckResponse::new(code, |response| {
        match &decision.verdict {
            Verdict::Allowed { identity, nonce, .. } => {
                let nonce = nonce.as_deref();
                response.message(field::response::OK, |message| ok(message, Some(identity), record, upstream, nonce));
            }
            Verdict::Observed { .. } | Verdict::Public => {
                response.message(field::response::OK, |message| ok(message, None, record, upstream, None));
            }
            Verdict::Answer(document) => {
                response.message(field::response::DENIED, |message| answered(message, document));
            }
            Verdict::Denied(refusal) => {
                response.message(field::response::DENIED, |message| denied(message, refusal, record));
            }
        }
        response.message(field::response::METADATA, |message| metadata(message, record));
    })
}

/// `fault_internal` without id, record and metadata: for when not even those could be made.
#[must_use]
pub fn defect() -> CheckResponse {
    let denial = Denial::FaultInternal;
    CheckResponse::new(denial.grpc_code().get(), |response| {
        response.message(field::response::DENIED, |message| status(message, denial.row().status));
    })
}

fn ok(
    message: &mut Writer<'_>,
    identity: Option<&Identity>,
    record: &DecisionRecord<'_>,
    upstream: &Upstream,
    nonce: Option<&str>,
) {
    let headers = identity_headers(&upstream.identity_headers, identity, record);
    for (name, value) in headers.clone() {
        if let Some(value) = value {
            header(message, field::ok::HEADERS, name, &field_value(value), Action::Overwrite);
        }
    }
    let unset = headers.filter(|(_, value)| value.is_none()).map(|(name, _)| name);
    let unused = IdentityHeaders::USUAL.into_iter().filter(|name| !upstream.identity_headers.has(name));
    unset.chain(unused).for_each(|name| message.bytes(field::ok::REMOVE, name.as_bytes()));
    // A public operation takes no credential, so none goes on to what does not expect one.
    if upstream.strip_credentials || record.is_public() {
        message.bytes(field::ok::REMOVE, b"authorization");
        message.bytes(field::ok::REMOVE, b"dpop");
    }
    if let Some(nonce) = nonce {
        nonce_headers(message, field::ok::RESPONSE_HEADERS, nonce);
        let exposed = "DPoP-Nonce";
        header(message, field::ok::RESPONSE_HEADERS, "access-control-expose-headers", exposed, Action::Append);
    }
}

/// Each configured header with its value; without one it is removed. So are the names that would be used if no others were
/// configured: an API that trusts them from before must not be told by the client.
fn identity_headers<'h>(
    names: &'h IdentityHeaders,
    identity: Option<&'h Identity>,
    record: &'h DecisionRecord<'_>,
) -> impl Iterator<Item = (&'h str, Option<&'h str>)> + Clone {
    let client = identity.map(|identity| &identity.client);
    let values = [
        (&names.issuer, client.map(|client| client.issuer.as_str())),
        (&names.client, client.map(|client| client.id.as_str())),
        (&names.subject, identity.and_then(|identity| identity.subject.as_deref())),
        (&names.proof, identity.map(|identity| identity.proof.name())),
        (&names.decision, Some(record.id.as_str())),
    ];
    values.into_iter().filter_map(|(name, value)| name.as_deref().map(|name| (name, value)))
}

/// A claim's text as a field value: visible ASCII stays, everything else is percent-encoded, and so are `%` itself and the comma,
/// which makes a list of one value for who reads fields as lists (RFC 9110 §5.3), so that no two
/// identities read alike and none breaks the header.
fn field_value(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b',');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            value.extend(['%', hex(byte >> 4), hex(byte & 0x0f)]);
        }
    }
    Cow::Owned(value)
}

/// A digit of four bits.
fn hex(bits: u8) -> char {
    char::from_digit(bits.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// The document goes to the client from here; to Envoy that is a denial with status 200.
fn answered(message: &mut Writer<'_>, document: &str) {
    status(message, 200);
    header(message, field::denied::HEADERS, "content-type", "application/json", Action::Overwrite);
    message.bytes(field::denied::BODY, document.as_bytes());
}

fn denied(message: &mut Writer<'_>, refusal: &Refusal, record: &DecisionRecord<'_>) {
    let row = refusal.denial.row();
    status(message, row.status);
    let mut put = |name: &str, value: &str, action| header(message, field::denied::HEADERS, name, value, action);
    put("content-type", "application/problem+json", Action::Overwrite);
    refusal.challenge.iter().for_each(|challenge| put("www-authenticate", challenge, Action::Append));
    if let Some(nonce) = refusal.nonce.as_deref() {
        nonce_headers(message, field::denied::HEADERS, nonce);
    }
    if row.status == 401 {
        // Browser clients must be able to read both (RFC 9449 §7.1, §8).
        let exposed = "WWW-Authenticate, DPoP-Nonce";
        header(message, field::denied::HEADERS, "access-control-expose-headers", exposed, Action::Append);
    }
    message.bytes(field::denied::BODY, problem(refusal, record).as_bytes());
}

/// `HttpStatus`.
fn status(message: &mut Writer<'_>, status: u16) {
    message.message(field::denied::STATUS, |message| message.number(field::CODE, status.into()));
}

/// RFC 9457. One text per class: the code is for operators, who find it by the decision id.
fn problem(refusal: &Refusal, record: &DecisionRecord<'_>) -> String {
    let row = refusal.denial.row();
    let body = serde_json::json!({
        "type": format!("urn:keybound:denial:{}", row.class.name()),
        "title": row.class.text(),
        "status": row.status,
        "decision_id": record.id.as_str(),
    });
    body.to_string()
}

/// RFC 9449 §8.2: an answer with a nonce is not for caches.
fn nonce_headers(message: &mut Writer<'_>, field: u32, nonce: &str) {
    header(message, field, "dpop-nonce", nonce, Action::Overwrite);
    header(message, field, "cache-control", "no-store", Action::Overwrite);
}

/// `HeaderValueOption`.
fn header(message: &mut Writer<'_>, field: u32, name: &str, value: &str, action: Action) {
    message.message(field, |option| {
        option.message(field::header::HEADER, |header| {
            header.bytes(field::header::KEY, name.as_bytes());
            header.bytes(field::header::VALUE, value.as_bytes());
        });
        let action = match action {
            Action::Append => 0,
            Action::Overwrite => 2,
        };
        option.number(field::header::ACTION, action);
    });
}

/// What Envoy's access log and later filters see under `envoy.filters.http.ext_authz`: a `google.protobuf.Struct`.
fn metadata(message: &mut Writer<'_>, record: &DecisionRecord<'_>) {
    let (client, unproven) = (record.client(), record.unproven());
    let revocation = record.revocation().map(|entry| entry.to_string());
    let texts = [
        ("decision_id", Some(record.id.as_str())),
        ("code", Some(record.code())),
        ("mode", Some(record.mode())),
        ("api", record.api()),
        ("action", record.action()),
        ("issuer", client.map(|client| client.issuer.as_str())),
        ("client", client.map(|client| client.id.as_str())),
        ("unproven_issuer", unproven.map(|client| client.issuer.as_str())),
        ("unproven_client", unproven.map(|client| client.id.as_str())),
        ("proof", record.proof()),
        ("revocation", revocation.as_deref()),
        ("spent", record.spent()),
        ("revocations", record.revocations()),
        ("would_be", record.would_be().map(Denial::slug)),
        ("reason", record.policies().first().map(|policy| policy.reason.as_str())),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            entry(message, name, |value| value.bytes(field::metadata::TEXT, text.as_bytes()));
        }
    }
    entry(message, "policies", |value| list(value, record.policies().iter().map(|policy| policy.id.as_str())));
    let mut waived = record.waived().peekable();
    if waived.peek().is_some() {
        entry(message, "waived", |value| list(value, waived));
    }
}

fn entry(message: &mut Writer<'_>, name: &str, fill: impl FnOnce(&mut Writer<'_>)) {
    message.message(field::metadata::FIELDS, |entry| {
        entry.bytes(field::metadata::KEY, name.as_bytes());
        entry.message(field::metadata::VALUE, fill);
    });
}

fn list<'t>(value: &mut Writer<'_>, texts: impl Iterator<Item = &'t str>) {
    value.message(field::metadata::LIST, |list| {
        for text in texts {
            list.message(field::metadata::VALUES, |value| value.bytes(field::metadata::TEXT, text.as_bytes()));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_one_value_on_one_line() {
        assert_eq!(field_value("https://as.test#robot-1"), "https://as.test#robot-1");
        assert_eq!(field_value("a,root"), "a%2Croot");
        assert_eq!(field_value("a\r\nx: y"), "a%0D%0Ax:%20y");
        assert_eq!(field_value("100%2C"), "100%252C");
        assert_eq!(field_value("\u{e9}"), "%C3%A9");
    }
}
