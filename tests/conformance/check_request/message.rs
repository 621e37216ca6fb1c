//! The message itself: the certificate in it, its two header forms, and bytes that are no such message.

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message as _;

use crate::expect::{Expect, allow, bearer_binding, binding, proof_missing, repeated, request};
use crate::row::{Envoy, Row, row};
use crate::support::pki::percent_encoded;
use crate::support::wire::http_of;
use crate::support::{Good, good, good_both, good_mtls, pki};

pub fn rows() -> Vec<Row> {
    [ec_01(), ec_01_spelling(), ec_04(), ec_04_forms(), ec_04_bytes(), ec_05()].concat()
}

const NOT_ENVOY: Envoy = Envoy::CannotSend("Envoy does not write such a message");

/// The row of a message that Envoy does not write.
fn unlikely(id: &'static str, sentence: &str, request: Good, expect: Expect) -> Row {
    row(id, sentence, request, expect).envoy(NOT_ENVOY)
}

/// The good request, whose `source.certificate` has another text.
fn certificate(good: Good, text: String) -> Good {
    good.message(move |message| {
        text.clone_into(&mut message.attributes.as_mut().unwrap().source.as_mut().unwrap().certificate);
    })
}

fn ec_01() -> Vec<Row> {
    let client = &pki().client;
    let as_pem = certificate(good_mtls(), client.pem());
    vec![
        row("EC-01", "URL-encoded PEM in `source.certificate` is allowed", good_mtls(), allow()),
        row(
            "EC-01",
            "an empty one means no certificate",
            good_mtls().without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        unlikely("EC-01", "PEM that is not encoded is the same certificate", as_pem, allow()),
        row("EC-01", "a certificate beside a DPoP-bound token does no harm", good().certificate(&pki().other), allow()),
        unlikely(
            "EC-01",
            "one that cannot be read is refused, though the token is bound to a key alone",
            certificate(good(), "x".to_owned()),
            binding("certificate_malformed"),
        ),
        unlikely(
            "EC-01",
            "and where both are demanded",
            certificate(good_both(), "x".to_owned()),
            binding("certificate_malformed"),
        ),
    ]
}

fn ec_01_spelling() -> Vec<Row> {
    let encoded = pki().client.encoded();
    let bad = |sentence: &str, text: String| {
        unlikely("EC-01", sentence, certificate(good_mtls(), text), bearer_binding("certificate_malformed"))
    };
    vec![
        bad("two certificates are refused", format!("{encoded}{encoded}")),
        bad("the leaf with its chain is refused", pki().client.encoded_chain()),
        bad("text after the certificate is refused", format!("{encoded}x")),
        bad("a bad escape is refused", format!("{encoded}%")),
        bad("a certificate that is cut short is refused", encoded.replace("-----END", "x-----END")),
        bad("another label is refused", encoded.replace("CERTIFICATE", "PRIVATE%20KEY")),
        bad(
            "what is no certificate is refused",
            percent_encoded("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
        ),
        bad("a hash is refused", pki().client.hash()),
    ]
}

fn ec_04() -> Vec<Row> {
    let refused = |sentence: &str, edit: fn(&mut CheckRequest)| {
        unlikely("EC-04", sentence, good().message(edit), request("request_malformed"))
    };
    let bytes = |sentence: &str, edit: fn(Vec<u8>) -> Vec<u8>| {
        unlikely("EC-04", sentence, good().bytes(edit), request("request_malformed"))
    };
    vec![
        row("EC-04", "the message that Envoy writes is allowed", good(), allow()),
        bytes("an empty message is refused", |_| Vec::new()),
        bytes("bytes that are no message are refused", |_| b"\xff\xff\xff\xff".to_vec()),
        bytes("a message that is cut short is refused", |mut bytes| {
            bytes.truncate(bytes.len() / 2);
            bytes
        }),
        bytes("a field of another wire type is refused", |_| vec![0x08, 0x01]),
        refused("a message without attributes is refused", |message| message.attributes = None),
        refused("a message without a request is refused", |message| {
            message.attributes.as_mut().unwrap().request = None;
        }),
        refused("a message without an HTTP request is refused", |message| {
            message.attributes.as_mut().unwrap().request.as_mut().unwrap().http = None;
        }),
        unlikely(
            "EC-04",
            "a message without a source is allowed: nothing is known of the peer",
            good().message(|message| message.attributes.as_mut().unwrap().source = None),
            allow(),
        ),
        unlikely(
            "EC-04",
            "a message without a method is refused",
            good().message(|message| http_of(message).method.clear()),
            request("request_malformed"),
        ),
        unlikely(
            "EC-04",
            "fields that we do not know are skipped",
            good().bytes(|bytes| [&bytes[..], &[0xfa, 0x3e, 0x02, 0x08, 0x01]].concat()),
            allow(),
        ),
    ]
}

fn ec_04_forms() -> Vec<Row> {
    let twice = good().message(|message| {
        let http = http_of(message);
        match &http.header_map {
            Some(map) => http.headers = map.headers.iter().map(|header| (header.key.clone(), "x".to_owned())).collect(),
            None => http.header_map = Some(HeaderMap::default()),
        }
    });
    let as_value = good().message(|message| {
        let Some(map) = &mut http_of(message).header_map else { return };
        for header in &mut map.headers {
            header.value = String::from_utf8(std::mem::take(&mut header.raw_value)).unwrap();
        }
    });
    let both_values = good().message(|message| {
        let http = http_of(message);
        let headers = std::mem::take(&mut http.headers).into_iter().map(|(key, value)| HeaderValue {
            key,
            raw_value: value.into_bytes(),
            ..HeaderValue::default()
        });
        let map = http.header_map.get_or_insert_with(HeaderMap::default);
        map.headers.extend(headers);
        map.headers.iter_mut().for_each(|header| header.value.push('x'));
    });
    vec![
        unlikely("EC-04", "both header forms at once are refused", twice, request("request_malformed")),
        unlikely("EC-04", "values that are not raw are read too", as_value, allow()),
        unlikely("EC-04", "a value that is given in both ways is refused", both_values, request("request_malformed")),
        unlikely(
            "EC-04",
            "a message that names the API twice is refused",
            good().api_hint("items").bytes(second_hint),
            request("request_header_repeated"),
        ),
        row("EC-04", "and once is allowed", good().api_hint("items"), allow()),
        unlikely("EC-04", "a map that has a key twice has two headers", good().bytes(second_authorization), repeated()),
    ]
}

/// Protobuf joins the messages of one field that stands twice: the second one has one more header, in the form that is there.
fn second_authorization(bytes: Vec<u8>) -> Vec<u8> {
    let mut message = CheckRequest::decode(bytes.as_slice()).unwrap();
    let http = http_of(&mut message);
    let mut second = HttpRequest::default();
    if http.header_map.is_some() {
        let header =
            HeaderValue { key: "authorization".to_owned(), raw_value: b"DPoP x".to_vec(), ..HeaderValue::default() };
        second.header_map = Some(HeaderMap { headers: vec![header] });
    } else {
        second.headers.insert("authorization".to_owned(), "DPoP x".to_owned());
    }
    let request = Request { http: Some(second), ..Request::default() };
    let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
    [bytes, CheckRequest { attributes: Some(attributes) }.encode_to_vec()].concat()
}

/// The same for the API that the route names.
fn second_hint(bytes: Vec<u8>) -> Vec<u8> {
    let context_extensions = [("api".to_owned(), "items".to_owned())].into_iter().collect();
    let attributes = AttributeContext { context_extensions, ..AttributeContext::default() };
    [bytes, CheckRequest { attributes: Some(attributes) }.encode_to_vec()].concat()
}

fn ec_04_bytes() -> Vec<Row> {
    let replaced = |from: &'static [u8], to: &'static [u8]| {
        good().bytes(move |bytes| {
            let at = bytes.windows(from.len()).position(|window| window == from).expect("bytes to replace");
            [&bytes[..at], to, &bytes[at + from.len()..]].concat()
        })
    };
    vec![
        // CVE-2023-27488: such a header made the message undecodable, and failure_mode_allow let the request pass.
        unlikely(
            "EC-04",
            "a header that nobody reads may have bytes that are not UTF-8",
            replaced(b"*/*", b"\xff\xfe\xff"),
            allow(),
        ),
        unlikely(
            "EC-04",
            "a method with bytes that are not UTF-8 is refused",
            replaced(b"GET", b"G\xffT"),
            request("request_malformed"),
        ),
        unlikely(
            "EC-04",
            "an authority with bytes that are not UTF-8 is refused",
            good().message(|message| "RS.EXAMPLE.XYZ".clone_into(&mut http_of(message).host)).bytes(|bytes| {
                let at = bytes.windows(14).position(|window| window == b"RS.EXAMPLE.XYZ").unwrap();
                [&bytes[..at], b"RS.EXAMPLE.\xff\xff\xff", &bytes[at + 14..]].concat()
            }),
            request("request_authority"),
        ),
    ]
}

fn ec_05() -> Vec<Row> {
    let renamed = |good: Good, rename: fn(&str) -> String| {
        good.message(move |message| {
            let http = http_of(message);
            http.headers =
                std::mem::take(&mut http.headers).into_iter().map(|(key, value)| (rename(&key), value)).collect();
            for header in http.header_map.iter_mut().flat_map(|map| &mut map.headers) {
                header.key = rename(&header.key);
            }
        })
    };
    vec![
        unlikely(
            "EC-05",
            "header names in upper case are the same headers",
            renamed(good(), str::to_uppercase),
            allow(),
        ),
        unlikely(
            "EC-05",
            "without one of them they are refused all the same",
            renamed(good().without("dpop"), str::to_uppercase),
            proof_missing(),
        ),
    ]
}
