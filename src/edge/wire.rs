//! From the bytes of a CheckRequest to [`RawRequest`]; whatever cannot be read is a denial, never a gRPC error.
//!
//! A gRPC error obeys the mesh's `failure_mode_allow`; a denial never does.

use prost::Message as _;
use prost::bytes::Buf as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::codegen::Bytes;

use crate::decision::denial::Denial;
use crate::decision::facts::RawRequest;
use crate::decision::limits;
use crate::edge::proto::{AttributeContext, CheckRequest, HeaderValue, HttpRequest, Peer};

/// The `context_extensions` key with which a route may say which API it is for.
const API_HINT: &[u8] = b"api";

/// Fields of a message that are kept: a header is up to four, and four times as many as we take may come to be refused with their
/// own denial.
const FIELDS: usize = limits::HEADERS * 16;

/// Decodes a CheckRequest; text stays slices of `message`.
///
/// # Errors
/// `request_malformed`; `request_limit_exceeded` if it has so many fields that decoding it would take much more memory than it does.
pub fn decode(message: Bytes) -> Result<CheckRequest, Denial> {
    let mut left = FIELDS;
    count(&message, CHECK_REQUEST, &mut left)?;
    CheckRequest::decode(message).map_err(|_| Denial::RequestMalformed)
}

/// A message as a list of those of its fields that are messages too.
struct Shape(&'static [(u32, Self)]);

const LEAF: Shape = Shape(&[]);
const CHECK_REQUEST: &Shape = &Shape(&[(1, ATTRIBUTES)]);
const ATTRIBUTES: Shape = Shape(&[(1, Shape(&[(1, Shape(&[(1, LEAF)]))])), (4, Shape(&[(2, HTTP)])), (10, LEAF)]);
const HTTP: Shape = Shape(&[(3, LEAF), (13, Shape(&[(1, LEAF)]))]);

/// Counts the fields of a message, and of the messages in it that are decoded. An empty header takes two bytes of a message and
/// a hundred once it is decoded: they are counted before anything is made of them.
fn count(mut message: &[u8], shape: &Shape, left: &mut usize) -> Result<(), Denial> {
    while !message.is_empty() {
        *left = left.checked_sub(1).ok_or(Denial::RequestLimitExceeded)?;
        let (number, kind) = decode_key(&mut message).map_err(|_| Denial::RequestMalformed)?;
        let inner = shape.0.iter().find(|(known, _)| *known == number).map(|(_, inner)| inner);
        match (inner, kind) {
            (Some(inner), WireType::LengthDelimited) => {
                let length = decode_varint(&mut message).ok().and_then(|length| usize::try_from(length).ok());
                let field = length.and_then(|length| message.get(..length)).ok_or(Denial::RequestMalformed)?;
                count(field, inner, left)?;
                message.advance(field.len());
            }
            _ => skip_field(kind, number, &mut message, DecodeContext::default())
                .map_err(|_| Denial::RequestMalformed)?,
        }
    }
    Ok(())
}

/// The fields that the decision reads.
///
/// # Errors
/// `request_malformed`: no HTTP request in it, both header forms at once, or a header value given twice;
/// `request_header_repeated`: two words for the API.
pub fn raw(request: &CheckRequest) -> Result<RawRequest<'_>, Denial> {
    let attributes = request.attributes.as_ref().ok_or(Denial::RequestMalformed)?;
    let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).ok_or(Denial::RequestMalformed)?;
    let peer = attributes.source.as_ref();
    Ok(RawRequest {
        method: &http.method,
        host: &http.host,
        path: &http.path,
        query: &http.query,
        fragment: &http.fragment,
        headers: headers(http)?,
        peer_address: peer.map(address).unwrap_or_default(),
        peer_principal: peer.map(|peer| peer.principal.as_ref()).unwrap_or_default(),
        peer_certificate: peer.map(|peer| peer.certificate.as_ref()).unwrap_or_default(),
        api_hint: api_hint(attributes)?,
    })
}

fn address(peer: &Peer) -> &[u8] {
    let socket = peer.address.as_ref().and_then(|address| address.socket_address.as_ref());
    socket.map(|socket| socket.address.as_ref()).unwrap_or_default()
}

/// Name and value, in order.
type Headers<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Envoy fills one of the two forms, `header_map` with `encode_raw_headers`; both at once could disagree.
fn headers(http: &HttpRequest) -> Result<Headers<'_>, Denial> {
    let Some(map) = &http.header_map else {
        return Ok(http.headers.iter().map(|entry| (entry.key.as_ref(), entry.value.as_ref())).collect());
    };
    if !http.headers.is_empty() {
        return Err(Denial::RequestMalformed);
    }
    map.headers.iter().map(|header| Ok((header.key.as_ref(), value(header)?))).collect()
}

fn value(header: &HeaderValue) -> Result<&[u8], Denial> {
    match (header.value.is_empty(), header.raw_value.is_empty()) {
        (true, _) => Ok(&header.raw_value),
        (false, true) => Ok(&header.value),
        (false, false) => Err(Denial::RequestMalformed),
    }
}

fn api_hint(attributes: &AttributeContext) -> Result<Option<&[u8]>, Denial> {
    let mut hints = attributes.context_extensions.iter().filter(|entry| entry.key == API_HINT);
    let hint = hints.next().map(|entry| entry.value.as_ref());
    if hints.next().is_some() { Err(Denial::RequestHeaderRepeated) } else { Ok(hint) }
}
