//! Requests as the bytes of the `CheckRequest` that Envoy 1.40 makes of them, encoded by another crate than the one that decodes.

use std::collections::HashMap;
use std::sync::LazyLock;

use envoy_types::pb::envoy::config::core::v3::{Address, Metadata, SocketAddress, address, socket_address};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use prost::Message as _;

use super::party::{Algorithm, Client, certificate, other_certificate};
use super::support::{Leaf, fresh_id};
use super::tokens::{expired_token, forged_proof, proof, token};
use super::{HOST, METHOD, PATH, now};

/// A certificate-bound token with the certificate that it is bound to.
pub fn bound(token: &str) -> Vec<u8> {
    message(&format!("Bearer {token}"), None, Some(&CLIENT))
}

/// A DPoP-bound token with a fresh proof.
pub fn dpop(client: Client, token: &str) -> Vec<u8> {
    message(&format!("DPoP {token}"), Some(&proof(client, token)), None)
}

/// A certificate-bound token that was good ten minutes ago.
pub fn expired() -> Vec<u8> {
    bound(&expired_token(Client::Certificate, Algorithm::Es256))
}

/// A certificate-bound token with somebody else's certificate.
pub fn wrong_certificate() -> Vec<u8> {
    let token = token(Client::Certificate, Algorithm::Es256);
    message(&format!("Bearer {token}"), None, Some(&OTHER))
}

/// A DPoP-bound token with a proof whose signature is another proof's.
pub fn bad_proof(client: Client, token: &str) -> Vec<u8> {
    message(&format!("DPoP {token}"), Some(&forged_proof(client, token)), None)
}

/// A credential that is no JWS, as long as one.
pub fn garbage() -> Vec<u8> {
    let noise: Vec<_> = (0..36).map(|_| fresh_id()).collect();
    message(&format!("Bearer {}", noise.concat()), None, Some(&CLIENT))
}

/// Bytes that are no protobuf, as long as a message.
pub fn broken() -> Vec<u8> {
    // A field of wire type 7, which there is not.
    vec![0x0f; garbage().len()]
}

/// A certificate as Envoy writes it, made once.
struct Presented {
    identity: &'static str,
    encoded: String,
    forwarded: String,
}

static CLIENT: LazyLock<Presented> = LazyLock::new(|| Presented::of(certificate()));
static OTHER: LazyLock<Presented> = LazyLock::new(|| Presented::of(other_certificate()));

impl Presented {
    fn of(leaf: &'static Leaf) -> Self {
        let (hash, encoded, identity) = (leaf.hash(), leaf.encoded(), leaf.identity);
        let forwarded = format!(
            "Hash={hash};Cert=\"{encoded}\";Subject=\"CN=client,O=Example\\, \\\"Inc\\\"\";URI={identity};\
             DNS=client.example.org"
        );
        Self { identity, encoded, forwarded }
    }
}

fn message(authorization: &str, dpop: Option<&str>, certificate: Option<&Presented>) -> Vec<u8> {
    let request_id = fresh_id();
    let fields = [
        (":authority", HOST),
        (":method", METHOD),
        (":path", PATH),
        (":scheme", "https"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("authorization", authorization),
        ("cache-control", "no-cache"),
        ("idempotency-key", "5b1f4f7e-9a0d-4a53-8c3c-2f6c0e1e7d55"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("user-agent", "payments-sdk/4.12.0 (linux; x64) node/22.11.0"),
        ("x-envoy-external-address", "192.0.2.77"),
        ("x-forwarded-for", "192.0.2.77"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", &request_id),
    ];
    let more = [("dpop", dpop), ("x-forwarded-client-cert", certificate.map(|shown| shown.forwarded.as_str()))];
    let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let headers: HashMap<_, _> =
        fields.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let http = HttpRequest {
        id: "13424337746761463384".to_owned(),
        method: METHOD.to_owned(),
        headers,
        path: PATH.to_owned(),
        host: HOST.to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/2".to_owned(),
        ..HttpRequest::default()
    };
    let time = Timestamp { seconds: now(), nanos: 770_896_000 };
    let attributes = AttributeContext {
        source: Some(source(certificate)),
        destination: Some(Peer {
            address: Some(socket("127.0.0.1", 443)),
            principal: HOST.to_owned(),
            ..Peer::default()
        }),
        request: Some(Request { time: Some(time), http: Some(http) }),
        metadata_context: Some(Metadata::default()),
        route_metadata_context: Some(Metadata::default()),
        tls_session: Some(TlsSession { sni: HOST.to_owned() }),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }.encode_to_vec()
}

fn source(certificate: Option<&Presented>) -> Peer {
    Peer {
        address: Some(socket("192.0.2.77", 35_352)),
        principal: certificate.map_or_else(String::new, |shown| shown.identity.to_owned()),
        certificate: certificate.map_or_else(String::new, |shown| shown.encoded.clone()),
        ..Peer::default()
    }
}

fn socket(address: &str, port: u32) -> Address {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Address { address: Some(address::Address::SocketAddress(socket)) }
}
