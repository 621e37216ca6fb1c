//! Ours against a decoder: whatever the bytes are, both read the same, or both nothing.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::edge::proto::{
    Address, AttributeContext, CheckRequest, Entry, HeaderMap, HeaderValue, HttpRequest, Peer, Request, SocketAddress,
};

/// What prost makes of a message, by the same rules.
fn decoded(message: &CheckRequest) -> Result<RawRequest<'_>, Denial> {
    let attributes = message.attributes.as_ref().ok_or(Denial::RequestMalformed)?;
    let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).ok_or(Denial::RequestMalformed)?;
    let mut raw = RawRequest {
        method: &http.method,
        host: &http.host,
        path: &http.path,
        query: &http.query,
        fragment: &http.fragment,
        ..RawRequest::default()
    };
    if let Some(peer) = &attributes.source {
        let socket = peer.address.as_ref().and_then(|address| address.socket_address.as_ref());
        raw.peer_address = socket.map(|socket| socket.address.as_ref()).unwrap_or_default();
        (raw.peer_principal, raw.peer_certificate) = (&peer.principal, &peer.certificate);
    }
    raw.headers = http.headers.iter().map(|entry| (entry.key.as_ref(), entry.value.as_ref())).collect();
    if let Some(map) = &http.header_map {
        if !http.headers.is_empty() || map.headers.iter().any(|one| !one.value.is_empty() && !one.raw_value.is_empty())
        {
            return Err(Denial::RequestMalformed);
        }
        let value = |header: &HeaderValue| header.value.is_empty();
        raw.headers = map
            .headers
            .iter()
            .map(|header| {
                (header.key.as_ref(), if value(header) { header.raw_value.as_ref() } else { header.value.as_ref() })
            })
            .collect();
    }
    let hints: Vec<_> = attributes.context_extensions.iter().filter(|entry| entry.key == API_HINT).collect();
    raw.api_hint = hints.first().map(|entry| entry.value.as_ref());
    if hints.len() > 1 { Err(Denial::RequestHeaderRepeated) } else { Ok(raw) }
}

type Read<'a> = (Vec<&'a [u8]>, Vec<(&'a [u8], &'a [u8])>, Option<&'a [u8]>);

fn fields<'a>(raw: &RawRequest<'a>) -> Read<'a> {
    let texts = [raw.method, raw.host, raw.path, raw.query, raw.fragment];
    let peer = [raw.peer_address, raw.peer_principal, raw.peer_certificate];
    (texts.into_iter().chain(peer).collect(), raw.headers.clone(), raw.api_hint)
}

fn agree(bytes: &[u8]) {
    let message = CheckRequest::decode(bytes);
    let theirs = message.as_ref().map_err(|_| Denial::RequestMalformed).and_then(decoded);
    let ours = read(bytes);
    assert_eq!(
        ours.as_ref().map(fields).map_err(|denial| *denial),
        theirs.as_ref().map(fields).map_err(|denial| *denial)
    );
}

fn bytes() -> impl Strategy<Value = prost::bytes::Bytes> {
    prop::collection::vec(any::<u8>(), 0..5).prop_map(Into::into)
}

fn entry() -> impl Strategy<Value = Entry> {
    let key = prop_oneof![Just(prost::bytes::Bytes::from_static(API_HINT)), bytes()];
    (key, bytes()).prop_map(|(key, value)| Entry { key, value })
}

fn http() -> impl Strategy<Value = HttpRequest> {
    let header = (bytes(), bytes(), bytes()).prop_map(|(key, value, raw_value)| HeaderValue { key, value, raw_value });
    let map = prop::option::of(prop::collection::vec(header, 0..3).prop_map(|headers| HeaderMap { headers }));
    let texts = [bytes().boxed(), bytes().boxed(), bytes().boxed(), bytes().boxed(), bytes().boxed()];
    (texts, prop::collection::vec(entry(), 0..3), map).prop_map(
        |([method, path, host, query, fragment], headers, header_map)| HttpRequest {
            method,
            headers,
            path,
            host,
            query,
            fragment,
            header_map,
        },
    )
}

fn check_request() -> impl Strategy<Value = CheckRequest> {
    let socket = prop::option::of(bytes().prop_map(|address| SocketAddress { address }));
    let address = prop::option::of(socket.prop_map(|socket_address| Address { socket_address }));
    let peer = (address, bytes(), bytes());
    let peer = peer.prop_map(|(address, principal, certificate)| Peer { address, principal, certificate });
    let request = prop::option::of(prop::option::of(http()).prop_map(|http| Request { http }));
    let parts = (prop::option::of(peer), request, prop::collection::vec(entry(), 0..3));
    let attributes = parts.prop_map(|(source, request, context_extensions)| AttributeContext {
        source,
        request,
        context_extensions,
    });
    prop::option::of(attributes).prop_map(|attributes| CheckRequest { attributes })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Messages one after the other are their union; a byte that is changed, put in or left out may make it something else.
    #[test]
    fn every_message_is_read_as_a_decoder_reads_it(
        messages in prop::collection::vec(check_request(), 1..3),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
    ) {
        let mut bytes: Vec<u8> = messages.iter().flat_map(prost::Message::encode_to_vec).collect();
        for (place, byte, kind) in changes {
            let place = place.index(bytes.len().max(1));
            match (kind, bytes.get_mut(place)) {
                (0, Some(there)) => *there = byte,
                (1, Some(_)) => drop(bytes.remove(place)),
                _ => bytes.insert(place.min(bytes.len()), byte),
            }
        }
        agree(&bytes);
    }

    #[test]
    fn any_bytes_are_read_as_a_decoder_reads_them(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        agree(&bytes);
    }
}

#[test]
fn fields_are_counted_before_anything_is_made_of_them() {
    let http = |fields: usize| {
        let empty = [0x1a, 0x00].repeat(fields);
        let http = HttpRequest { method: "GET".into(), ..HttpRequest::default() };
        let request = Request { http: Some(http) };
        let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
        let mut message = CheckRequest { attributes: Some(attributes) }.encode_to_vec();
        // In front of it, so that no length changes: headers of nothing in an HTTP request of their own.
        let field = |tag: u8, content: &[u8]| {
            let mut bytes = vec![tag];
            prost::encoding::encode_varint(u64::try_from(content.len()).unwrap(), &mut bytes);
            [&bytes[..], content].concat()
        };
        message.extend(field(0x0a, &field(0x22, &field(0x12, &empty))));
        message
    };
    assert_eq!(read(&http(3)).unwrap().headers.len(), 3);
    assert_eq!(read(&http(FIELDS)).err(), Some(Denial::RequestLimitExceeded));
}
