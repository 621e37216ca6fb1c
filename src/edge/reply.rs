//! From a decision to the CheckResponse: the only place where one is made.
//!
//! A denial is always a `denied_response` with a status code that is not 0: Envoy allows on code 0 alone, and an
//! `error_response` would obey `failure_mode_allow`. Every identity header is either set (overwriting) or removed, never both:
//! Envoy removes after it sets.

use tonic::codegen::Bytes;

use crate::config::{IdentityHeaders, Upstream};
use crate::decision::denial::Denial;
use crate::decision::{Decision, Identity, Refusal, Verdict};
use crate::edge::proto::{
    CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption, HttpStatus, Metadata,
    MetadataField, MetadataList, MetadataValue, OkHttpResponse, Status, check_response::HttpResponse,
    metadata_value::Kind,
};
use crate::telemetry::record::DecisionRecord;

/// `google.rpc.Code.FAILED_PRECONDITION`: the request itself must not go on; only 0 would let it.
const ANSWERED: i32 = 9;

/// Writes the answer.
#[must_use]
pub fn write(decision: &Decision, record: &DecisionRecord<'_>, upstream: &Upstream) -> CheckResponse {
    let (code, answer) = match &decision.verdict {
        Verdict::Allowed { identity, nonce, .. } => {
            (0, HttpResponse::OkResponse(ok(Some(identity), record, upstream, nonce.as_deref())))
        }
        Verdict::Observed { .. } | Verdict::Public => (0, HttpResponse::OkResponse(ok(None, record, upstream, None))),
        Verdict::Answer(document) => (ANSWERED, HttpResponse::DeniedResponse(answered(document))),
        Verdict::Denied(refusal) => {
            (refusal.denial.grpc_code().get(), HttpResponse::DeniedResponse(denied(refusal, record)))
        }
    };
    CheckResponse {
        status: Some(Status { code, message: Bytes::new() }),
        http_response: Some(answer),
        dynamic_metadata: Some(metadata(record)),
    }
}

/// `fault_internal` without id, record and metadata: for when not even those could be made.
#[must_use]
pub fn defect() -> CheckResponse {
    let row = Denial::FaultInternal.row();
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(row.status) }),
        headers: Vec::new(),
        body: Bytes::new(),
    };
    CheckResponse {
        status: Some(Status { code: Denial::FaultInternal.grpc_code().get(), message: Bytes::new() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        dynamic_metadata: None,
    }
}

fn ok(
    identity: Option<&Identity>,
    record: &DecisionRecord<'_>,
    upstream: &Upstream,
    nonce: Option<&str>,
) -> OkHttpResponse {
    let mut headers = Vec::new();
    let mut remove = Vec::new();
    for (name, value) in identity_headers(&upstream.identity_headers, identity, record) {
        match value {
            Some(value) => headers.push(set(&name, &value)),
            None => remove.push(Bytes::from(name)),
        }
    }
    // A public operation takes no credential, so none goes on to what does not expect one.
    if upstream.strip_credentials || record.is_public() {
        remove.push(Bytes::from_static(b"authorization"));
        remove.push(Bytes::from_static(b"dpop"));
    }
    let mut response_headers_to_add = nonce.map(nonce_headers).unwrap_or_default();
    if nonce.is_some() {
        response_headers_to_add.push(append("access-control-expose-headers", "DPoP-Nonce"));
    }
    OkHttpResponse { headers, headers_to_remove: remove, response_headers_to_add }
}

/// Each configured header with its value; without one it is removed. So are the names that would be used if no others were
/// configured: an API that trusts them from before must not be told by the client.
fn identity_headers(
    names: &IdentityHeaders,
    identity: Option<&Identity>,
    record: &DecisionRecord<'_>,
) -> Vec<(String, Option<String>)> {
    let client = identity.map(|identity| &identity.client);
    let values = [
        (&names.issuer, client.map(|client| client.issuer.as_str())),
        (&names.client, client.map(|client| client.id.as_str())),
        (&names.subject, identity.and_then(|identity| identity.subject.as_deref())),
        (&names.proof, identity.map(|identity| identity.proof.name())),
        (&names.decision, Some(record.id.as_str())),
    ];
    let configured = values.into_iter().filter_map(|(name, value)| name.as_ref().map(|name| (name, value)));
    let told = configured.map(|(name, value)| (name.clone(), value.map(field_value)));
    let usual = IdentityHeaders::default();
    let unused = usual.all().into_iter().filter_map(|(_, name)| name).filter(|name| !names.has(name));
    told.chain(unused.map(|name| (name.to_owned(), None))).collect()
}

/// A claim's text as a field value: visible ASCII stays, everything else is percent-encoded, and so are `%` itself and the comma,
/// which makes a list of one value for who reads fields as lists (RFC 9110 §5.3), so that no two
/// identities read alike and none breaks the header.
fn field_value(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b',');
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            value.extend(['%', hex(byte >> 4), hex(byte & 0x0f)]);
        }
    }
    value
}

/// A digit of four bits.
fn hex(bits: u8) -> char {
    char::from_digit(bits.into(), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// The document goes to the client from here; to Envoy that is a denial with status 200.
fn answered(document: &str) -> DeniedHttpResponse {
    DeniedHttpResponse {
        status: Some(HttpStatus { code: 200 }),
        headers: vec![set("content-type", "application/json")],
        body: Bytes::copy_from_slice(document.as_bytes()),
    }
}

fn denied(refusal: &Refusal, record: &DecisionRecord<'_>) -> DeniedHttpResponse {
    let row = refusal.denial.row();
    let mut headers = vec![set("content-type", "application/problem+json")];
    headers.extend(refusal.challenge.iter().map(|challenge| append("www-authenticate", challenge)));
    headers.extend(refusal.nonce.as_deref().map(nonce_headers).unwrap_or_default());
    if row.status == 401 {
        // Browser clients must be able to read both (RFC 9449 §7.1, §8).
        headers.push(append("access-control-expose-headers", "WWW-Authenticate, DPoP-Nonce"));
    }
    DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(row.status) }),
        headers,
        body: problem(refusal, record),
    }
}

/// RFC 9457. One text per class: the code is for operators, who find it by the decision id.
fn problem(refusal: &Refusal, record: &DecisionRecord<'_>) -> Bytes {
    let row = refusal.denial.row();
    let body = serde_json::json!({
        "type": format!("urn:keybound:denial:{}", row.class.name()),
        "title": row.class.text(),
        "status": row.status,
        "decision_id": record.id.as_str(),
    });
    Bytes::from(body.to_string())
}

/// RFC 9449 §8.2: an answer with a nonce is not for caches.
fn nonce_headers(nonce: &str) -> Vec<HeaderValueOption> {
    vec![set("dpop-nonce", nonce), set("cache-control", "no-store")]
}

fn set(name: &str, value: &str) -> HeaderValueOption {
    header(name, value, HeaderAppendAction::OverwriteIfExistsOrAdd)
}

fn append(name: &str, value: &str) -> HeaderValueOption {
    header(name, value, HeaderAppendAction::AppendIfExistsOrAdd)
}

fn header(name: &str, value: &str, action: HeaderAppendAction) -> HeaderValueOption {
    let header = HeaderValue {
        key: Bytes::copy_from_slice(name.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        raw_value: Bytes::new(),
    };
    HeaderValueOption { header: Some(header), append_action: action.into() }
}

/// What Envoy's access log and later filters see under `envoy.filters.http.ext_authz`.
fn metadata(record: &DecisionRecord<'_>) -> Metadata {
    let mut fields = Vec::with_capacity(METADATA);
    let mut put = |name: &'static str, kind| {
        let value = Some(MetadataValue { kind: Some(kind) });
        fields.push(MetadataField { key: Bytes::from_static(name.as_bytes()), value });
    };
    put("decision_id", text(record.id.as_str()));
    put("code", word(record.code()));
    put("mode", word(record.mode()));
    put("policies", list(record.policies().iter().map(|policy| policy.id.as_str())));
    let client = record.client();
    let unproven = record.unproven();
    let optional = [
        ("api", record.api()),
        ("action", record.action()),
        ("issuer", client.map(|client| client.issuer.as_str())),
        ("client", client.map(|client| client.id.as_str())),
        ("unproven_issuer", unproven.map(|client| client.issuer.as_str())),
        ("unproven_client", unproven.map(|client| client.id.as_str())),
        ("proof", record.proof()),
        ("would_be", record.would_be().map(Denial::slug)),
        ("reason", record.policies().first().map(|policy| policy.reason.as_str())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(name, text(value));
        }
    }
    let mut waived = record.waived().peekable();
    if waived.peek().is_some() {
        put("waived", list(waived));
    }
    Metadata { fields }
}

/// Fields that most decisions have.
const METADATA: usize = 12;

fn text(text: &str) -> Kind {
    Kind::StringValue(Bytes::copy_from_slice(text.as_bytes()))
}

/// A word of ours.
fn word(word: &'static str) -> Kind {
    Kind::StringValue(Bytes::from_static(word.as_bytes()))
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Kind {
    Kind::ListValue(MetadataList { values: texts.map(|each| MetadataValue { kind: Some(text(each)) }).collect() })
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
