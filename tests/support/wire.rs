//! A request as the `CheckRequest` that Envoy 1.40 makes of it, encoded by another crate than the one that decodes it.
//!
//! Names arrive in lower case. In the map, repeated headers are joined with a comma and bytes that are not UTF-8 become `!`.
//! In the raw list they stay apart and as they are, but for `Authorization`, which is joined there too.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, SocketAddress, address, socket_address,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request as HttpAttributes};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message as _;

use super::request::Request;

/// How Envoy writes headers: `encode_raw_headers` off or on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The map `headers`.
    Map,
    /// The list `header_map` with raw values.
    Raw,
}

impl Encoding {
    pub const BOTH: [Self; 2] = [Self::Map, Self::Raw];

    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Raw => "raw",
        }
    }
}

/// The HTTP part of a message, for a change that no client can cause.
pub fn http_of(message: &mut CheckRequest) -> &mut HttpRequest {
    let attributes = message.attributes.as_mut().expect("attributes");
    attributes.request.as_mut().and_then(|request| request.http.as_mut()).expect("an HTTP request")
}

/// The bytes of the message.
pub fn encode(request: &Request, encoding: Encoding) -> Vec<u8> {
    let mut message = CheckRequest { attributes: Some(attributes(request, encoding)) };
    if let Some(edit) = &request.edit_message {
        edit(&mut message);
    }
    let bytes = message.encode_to_vec();
    match &request.edit_bytes {
        Some(edit) => edit(bytes),
        None => bytes,
    }
}

fn attributes(request: &Request, encoding: Encoding) -> AttributeContext {
    let http = http(request, encoding);
    AttributeContext {
        source: Some(source(request)),
        request: Some(HttpAttributes { http: Some(http), ..HttpAttributes::default() }),
        context_extensions: request.api_hint.iter().map(|api| ("api".to_owned(), api.clone())).collect(),
        ..AttributeContext::default()
    }
}

fn source(request: &Request) -> Peer {
    let identity = request.certificate.map_or("", |leaf| leaf.identity);
    let socket = SocketAddress {
        address: "127.0.0.1".to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(40_000)),
        ..SocketAddress::default()
    };
    Peer {
        address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }),
        principal: request.peer.clone().unwrap_or_else(|| identity.to_owned()),
        certificate: request.certificate.map(super::Leaf::encoded).unwrap_or_default(),
        ..Peer::default()
    }
}

fn http(request: &Request, encoding: Encoding) -> HttpRequest {
    let pseudo = [(":authority", &request.authority), (":method", &request.method), (":path", &request.path)];
    let fields: Vec<(String, Vec<u8>)> = pseudo
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone().into_bytes()))
        .chain([(":scheme".to_owned(), b"https".to_vec())])
        .chain(request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())))
        .chain([("x-forwarded-proto".to_owned(), b"https".to_vec())])
        .collect();
    let mut http = HttpRequest {
        id: "1".to_owned(),
        method: request.method.clone(),
        path: request.path.clone(),
        host: request.authority.clone(),
        scheme: "https".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    match encoding {
        Encoding::Map => http.headers = map(&fields),
        Encoding::Raw => http.header_map = Some(raw(&fields)),
    }
    http
}

fn map(fields: &[(String, Vec<u8>)]) -> HashMap<String, String> {
    let mut map: HashMap<String, String> = HashMap::new();
    for (name, value) in fields {
        let value = utf8(value);
        map.entry(name.clone())
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    map
}

fn utf8(value: &[u8]) -> String {
    let mut text = String::new();
    for chunk in value.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&"!".repeat(chunk.invalid().len()));
    }
    text
}

fn raw(fields: &[(String, Vec<u8>)]) -> HeaderMap {
    let mut headers: Vec<HeaderValue> = Vec::new();
    for (name, value) in fields {
        let joined = headers.iter_mut().find(|header| header.key == "authorization" && name == "authorization");
        if let Some(header) = joined {
            header.raw_value.push(b',');
            header.raw_value.extend_from_slice(value);
        } else {
            headers.push(HeaderValue { key: name.clone(), raw_value: value.clone(), ..HeaderValue::default() });
        }
    }
    HeaderMap { headers }
}
