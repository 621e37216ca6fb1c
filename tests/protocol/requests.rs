//! CheckRequests that Envoy's types encode and ours decode, field by field; and bytes that nobody encoded.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, Metadata, Pipe, SocketAddress, address, socket_address,
};
use envoy_types::pb::envoy::service::auth::v3 as envoy;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use envoy_types::pb::google::protobuf::{Struct, Timestamp, Value, value};
use keybound::decision::denial::{Class, Denial};
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::edge::proto::{CheckRequest, Entry};
use keybound::edge::wire;
use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

/// What our own definition of the message says is in it.
pub fn decode(message: &[u8]) -> Result<CheckRequest, prost::DecodeError> {
    CheckRequest::decode(message)
}

fn texts() -> impl Strategy<Value = HashMap<String, String>> {
    hash_map(any::<String>(), any::<String>(), 0..6)
}

fn address() -> impl Strategy<Value = Address> {
    let socket = (any::<String>(), any::<u32>()).prop_map(|(address, port)| {
        address::Address::SocketAddress(SocketAddress {
            address,
            port_specifier: Some(socket_address::PortSpecifier::PortValue(port)),
            ..SocketAddress::default()
        })
    });
    let pipe = any::<String>().prop_map(|path| address::Address::Pipe(Pipe { path, mode: 0 }));
    prop_oneof![3 => socket, 1 => pipe].prop_map(|address| Address { address: Some(address) })
}

fn peer() -> impl Strategy<Value = Peer> {
    (option::of(address()), any::<String>(), texts(), any::<String>(), any::<String>()).prop_map(
        |(address, service, labels, principal, certificate)| Peer { address, service, labels, principal, certificate },
    )
}

fn header() -> impl Strategy<Value = HeaderValue> {
    (any::<String>(), any::<String>(), any::<Vec<u8>>()).prop_map(|(key, value, raw_value)| HeaderValue {
        key,
        value,
        raw_value,
    })
}

fn http() -> impl Strategy<Value = HttpRequest> {
    let words = (any::<String>(), any::<String>(), any::<String>(), any::<String>(), any::<String>(), any::<String>());
    let more = (any::<i64>(), any::<String>(), any::<String>(), any::<Vec<u8>>(), any::<String>());
    (words, more, texts(), option::of(vec(header(), 0..6))).prop_map(|(words, more, headers, header_map)| HttpRequest {
        id: words.0,
        method: words.1,
        path: words.2,
        host: words.3,
        query: words.4,
        fragment: words.5,
        size: more.0,
        scheme: more.1,
        body: more.2,
        raw_body: more.3,
        protocol: more.4,
        headers,
        header_map: header_map.map(|headers| HeaderMap { headers }),
    })
}

/// What Envoy sends besides, and our proto does not name.
fn metadata(name: String) -> Metadata {
    let text = Value { kind: Some(value::Kind::StringValue(name.clone())) };
    let fields = Struct { fields: HashMap::from([(name.clone(), text)]) };
    Metadata { filter_metadata: HashMap::from([(name, fields)]), ..Metadata::default() }
}

fn check_request() -> impl Strategy<Value = envoy::CheckRequest> {
    let request = (option::of(any::<i64>()), option::of(http()))
        .prop_map(|(seconds, http)| Request { time: seconds.map(|seconds| Timestamp { seconds, nanos: 1 }), http });
    let more = (option::of(any::<String>()), option::of(any::<String>()));
    let context = (option::of(peer()), option::of(peer()), option::of(request), texts(), more);
    let context =
        context.prop_map(|(source, destination, request, context_extensions, more)| envoy::AttributeContext {
            source,
            destination,
            request,
            context_extensions,
            metadata_context: more.0.clone().map(metadata),
            route_metadata_context: more.0.map(metadata),
            tls_session: more.1.map(|sni| TlsSession { sni }),
        });
    option::of(context).prop_map(|attributes| envoy::CheckRequest { attributes })
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len().try_into().unwrap()
}

/// Fields that no version of the message has.
fn unknown_fields() -> impl Strategy<Value = Vec<u8>> {
    let field =
        (100_u32..100_000, 0_u8..4, any::<u64>(), any::<Vec<u8>>()).prop_map(|(number, kind, bits, content)| {
            let mut bytes = Vec::new();
            let key = |kind: WireType, bytes: &mut Vec<u8>| encode_key(number, kind, bytes);
            match kind {
                0 => {
                    key(WireType::Varint, &mut bytes);
                    encode_varint(bits, &mut bytes);
                }
                1 => {
                    key(WireType::SixtyFourBit, &mut bytes);
                    bytes.extend(bits.to_le_bytes());
                }
                2 => {
                    key(WireType::ThirtyTwoBit, &mut bytes);
                    bytes.extend(&bits.to_le_bytes()[..4]);
                }
                _ => {
                    key(WireType::LengthDelimited, &mut bytes);
                    encode_varint(length(&content), &mut bytes);
                    bytes.extend(content);
                }
            }
            bytes
        });
    vec(field, 0..4).prop_map(|fields| fields.concat())
}

/// The attributes with more fields behind those of Envoy, in a message with more fields behind its own.
fn with_unknown_fields(message: &envoy::CheckRequest, unknown: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(attributes) = &message.attributes {
        let attributes = [&attributes.encode_to_vec(), unknown].concat();
        encode_key(1, WireType::LengthDelimited, &mut bytes);
        encode_varint(length(&attributes), &mut bytes);
        bytes.extend(attributes);
    }
    bytes.extend(unknown);
    bytes
}

/// Names and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(entries: &[Entry]) -> Pairs {
    let mut pairs: Vec<_> = entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())).collect();
    pairs.sort();
    pairs
}

fn pairs_of(map: &HashMap<String, String>) -> Pairs {
    let bytes = |text: &String| text.clone().into_bytes();
    let mut pairs: Vec<_> = map.iter().map(|(key, value)| (bytes(key), bytes(value))).collect();
    pairs.sort();
    pairs
}

/// Whether every field that we name holds what Envoy put there.
pub fn assert_same(ours: &CheckRequest, theirs: &envoy::CheckRequest) {
    assert_eq!(ours.attributes.is_some(), theirs.attributes.is_some());
    let (Some(ours), Some(theirs)) = (&ours.attributes, &theirs.attributes) else { return };
    assert_eq!(pairs(&ours.context_extensions), pairs_of(&theirs.context_extensions));
    assert_eq!(ours.source.is_some(), theirs.source.is_some());
    if let (Some(ours), Some(theirs)) = (&ours.source, &theirs.source) {
        assert_eq!(ours.principal, theirs.principal);
        assert_eq!(ours.certificate, theirs.certificate);
        let ours = ours.address.as_ref().and_then(|address| address.socket_address.as_ref());
        assert_eq!(ours.map(|socket| socket.address.to_vec()), socket_address_of(theirs).map(String::into_bytes));
    }
    assert_eq!(ours.request.is_some(), theirs.request.is_some());
    let ours = ours.request.as_ref().and_then(|request| request.http.as_ref());
    let theirs = theirs.request.as_ref().and_then(|request| request.http.as_ref());
    assert_eq!(ours.is_some(), theirs.is_some());
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    assert_eq!(ours.method, theirs.method);
    assert_eq!(ours.path, theirs.path);
    assert_eq!(ours.host, theirs.host);
    assert_eq!(ours.query, theirs.query);
    assert_eq!(ours.fragment, theirs.fragment);
    assert_eq!(pairs(&ours.headers), pairs_of(&theirs.headers));
    let ours = ours.header_map.as_ref().map(|map| {
        let fields = map.headers.iter();
        fields.map(|field| (field.key.to_vec(), field.value.to_vec(), field.raw_value.to_vec())).collect::<Vec<_>>()
    });
    let theirs = theirs.header_map.as_ref().map(|map| {
        let fields = map.headers.iter().cloned();
        fields.map(|field| (field.key.into_bytes(), field.value.into_bytes(), field.raw_value)).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
}

fn socket_address_of(peer: &Peer) -> Option<String> {
    match peer.address.as_ref()?.address.as_ref()? {
        address::Address::SocketAddress(socket) => Some(socket.address.clone()),
        address::Address::Pipe(_) | address::Address::EnvoyInternalAddress(_) => None,
    }
}

/// Goes as far with bytes as can be gone without a bundle; a denial is one of the request's own.
fn judged(message: &[u8]) -> Result<(), Denial> {
    RequestFacts::new("edge", &wire::read(message)?).map(|_| ())
}

/// A message with one HTTP request in it.
pub fn message(http: HttpRequest) -> envoy::CheckRequest {
    let request = Request { http: Some(http), ..Request::default() };
    let attributes = envoy::AttributeContext { request: Some(request), ..envoy::AttributeContext::default() };
    envoy::CheckRequest { attributes: Some(attributes) }
}

fn with_header(key: &str, value: &str) -> HttpRequest {
    HttpRequest { headers: HashMap::from([(key.to_owned(), value.to_owned())]), ..HttpRequest::default() }
}

fn with_raw(headers: Vec<HeaderValue>) -> HttpRequest {
    HttpRequest { header_map: Some(HeaderMap { headers }), ..HttpRequest::default() }
}

fn raw_header(key: &str, value: &str, raw_value: &[u8]) -> HeaderValue {
    HeaderValue { key: key.to_owned(), value: value.to_owned(), raw_value: raw_value.to_vec() }
}

/// Reads a message as far as the fields that the decision reads, and looks at them.
fn read<T>(bytes: &[u8], look: impl FnOnce(RawRequest<'_>) -> T) -> Result<T, Denial> {
    wire::read(bytes).map(look)
}

fn headers(bytes: &[u8]) -> Result<Pairs, Denial> {
    read(bytes, |raw| raw.headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
}

/// Puts other bytes of the same length in the place of some, everywhere.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "lengths stand before the bytes");
    let mut bytes = bytes.to_vec();
    let found: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!found.is_empty(), "nothing to replace");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

proptest! {
    #[test]
    fn every_field_that_we_name_arrives_as_envoy_wrote_it(theirs in check_request(), unknown in unknown_fields()) {
        let ours = decode(&with_unknown_fields(&theirs, &unknown)).unwrap();
        assert_same(&ours, &theirs);
    }

    #[test]
    fn the_decision_reads_the_fields_that_envoy_wrote(theirs in check_request()) {
        let attributes = theirs.attributes.as_ref();
        let http = attributes.and_then(|attributes| attributes.request.as_ref()).and_then(|request| request.http.as_ref());
        let bytes = theirs.encode_to_vec();
        let (Some(attributes), Some(http)) = (attributes, http) else {
            prop_assert_eq!(judged(&bytes), Err(Denial::RequestMalformed));
            return Ok(());
        };
        let both = !http.headers.is_empty() && http.header_map.is_some();
        let fields = http.header_map.as_ref().map(|map| map.headers.as_slice()).unwrap_or_default();
        let twice = fields.iter().any(|field| !field.value.is_empty() && !field.raw_value.is_empty());
        let source = attributes.source.clone().unwrap_or_default();
        let read = read(&bytes, |raw| {
            assert_eq!(raw.method, http.method.as_bytes());
            assert_eq!(raw.host, http.host.as_bytes());
            assert_eq!(raw.path, http.path.as_bytes());
            assert_eq!(raw.query, http.query.as_bytes());
            assert_eq!(raw.fragment, http.fragment.as_bytes());
            assert_eq!(raw.peer_principal, source.principal.as_bytes());
            assert_eq!(raw.peer_certificate, source.certificate.as_bytes());
            assert_eq!(raw.peer_address, socket_address_of(&source).unwrap_or_default().as_bytes());
            assert_eq!(raw.api_hint, attributes.context_extensions.get("api").map(String::as_bytes));
            assert_eq!(raw.headers.len(), http.headers.len() + fields.len());
        });
        prop_assert_eq!(read, if both || twice { Err(Denial::RequestMalformed) } else { Ok(()) });
    }

    #[test]
    fn arbitrary_bytes_come_to_facts_or_to_a_denial_of_the_request(bytes in vec(any::<u8>(), 0..2048)) {
        if let Err(denial) = judged(&bytes) {
            prop_assert_eq!(denial.row().class, Class::Request);
        }
    }

    #[test]
    fn damaged_messages_come_to_facts_or_to_a_denial_of_the_request(
        theirs in check_request(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = theirs.encode_to_vec();
        bytes.push(0);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        if let Err(denial) = judged(&bytes) {
            prop_assert_eq!(denial.row().class, Class::Request);
        }
    }
}

#[test]
fn a_header_that_is_there_twice_reaches_us_twice() {
    // Two encodings of a message, one after the other, are their union: a map then has an entry twice, which a decoder into a
    // map would make one of.
    let bytes = [message(with_header("dpop", "a")), message(with_header("dpop", "b"))];
    let bytes = bytes.map(|message| message.encode_to_vec()).concat();
    let dpop = |value: &str| (b"dpop".to_vec(), value.as_bytes().to_vec());
    assert_eq!(headers(&bytes).unwrap(), [dpop("a"), dpop("b")]);
    let raw = message(with_raw(vec![raw_header("dpop", "", b"a"), raw_header("dpop", "", b"b")])).encode_to_vec();
    assert_eq!(headers(&raw).unwrap(), [dpop("a"), dpop("b")]);
}

#[test]
fn two_words_for_the_api_are_refused() {
    let hint = |api: &str| {
        let mut message = message(HttpRequest::default());
        let extensions = HashMap::from([("api".to_owned(), api.to_owned()), ("other".to_owned(), "x".to_owned())]);
        message.attributes.as_mut().unwrap().context_extensions = extensions;
        message.encode_to_vec()
    };
    assert_eq!(read(&hint("a"), |raw| raw.api_hint == Some(b"a")), Ok(true));
    assert_eq!(headers(&[hint("a"), hint("b")].concat()), Err(Denial::RequestHeaderRepeated));
    assert_eq!(headers(&[hint("a"), hint("a")].concat()), Err(Denial::RequestHeaderRepeated));
}

#[test]
fn text_that_is_no_utf8_reaches_us_unchanged() {
    let hostile = b"ab\xff\xfe\x80cd";
    let mark = "MARKMAR";
    let mut theirs = message(HttpRequest {
        method: mark.to_owned(),
        host: mark.to_owned(),
        path: mark.to_owned(),
        ..with_header(mark, mark)
    });
    let attributes = theirs.attributes.as_mut().unwrap();
    attributes.context_extensions.insert("api".to_owned(), mark.to_owned());
    attributes.source = Some(Peer { principal: mark.to_owned(), certificate: mark.to_owned(), ..Peer::default() });
    let bytes = replaced(&theirs.encode_to_vec(), mark.as_bytes(), hostile);
    assert!(envoy::CheckRequest::decode(bytes.as_slice()).is_err(), "a decoder of text refuses such a message whole");
    let read = read(&bytes, |raw| {
        let fields = [raw.method, raw.host, raw.path, raw.peer_principal, raw.peer_certificate];
        assert!(fields.iter().all(|field| field == hostile));
        assert_eq!(raw.headers, [(&hostile[..], &hostile[..])]);
        assert_eq!(raw.api_hint, Some(&hostile[..]));
    });
    assert_eq!(read, Ok(()));
}

#[test]
fn both_forms_of_headers_at_once_are_refused() {
    let both = HttpRequest { header_map: Some(HeaderMap { headers: vec![] }), ..with_header("a", "b") };
    assert_eq!(headers(&message(both).encode_to_vec()), Err(Denial::RequestMalformed));
    let twice = message(with_raw(vec![raw_header("a", "b", b"c")])).encode_to_vec();
    assert_eq!(headers(&twice), Err(Denial::RequestMalformed));
    let each = message(with_raw(vec![raw_header("a", "b", b""), raw_header("a", "", b"c"), raw_header("a", "", b"")]));
    let values: Vec<_> = headers(&each.encode_to_vec()).unwrap().into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [b"b".to_vec(), b"c".to_vec(), b"".to_vec()]);
}
