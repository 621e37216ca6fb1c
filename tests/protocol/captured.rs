//! Requests as Envoy 1.40 sent them, in both forms of headers; `tests/fixtures/checkrequests/` holds the messages.

use envoy_types::pb::envoy::service::auth::v3 as envoy;
use keybound::decision::denial::Denial;
use keybound::decision::facts::{RawRequest, RequestFacts};
use keybound::edge::wire;
use prost::Message as _;

use crate::requests::{assert_same, decode};

/// What `include_peer_certificate` gave for the client of all these requests.
const PRINCIPAL: &[u8] = b"spiffe://example.test/ns/a/sa/client-1";

macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/checkrequests/", $name, ".bin"))
    };
}

const ALL: [&[u8]; 6] = [
    captured!("basic-h2"),
    captured!("raw-dup"),
    captured!("mtls-jwt"),
    captured!("dpop-es256-jwt"),
    captured!("nonutf8"),
    captured!("path"),
];

fn look(message: &[u8], look: impl FnOnce(&RawRequest<'_>)) {
    look(&wire::read(message).unwrap());
}

fn values<'a>(raw: &RawRequest<'a>, name: &str) -> Vec<&'a [u8]> {
    raw.headers.iter().filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| *value).collect()
}

fn facts(message: &[u8], look: impl FnOnce(RequestFacts<'_>)) -> Result<(), Denial> {
    RequestFacts::new("edge", &wire::read(message)?).map(look)
}

#[test]
fn what_envoy_sent_decodes_with_ours_as_with_its_own_types() {
    for message in ALL {
        assert_same(&decode(message).unwrap(), &envoy::CheckRequest::decode(message).unwrap());
    }
}

#[test]
fn what_envoy_says_of_the_peer_is_there_in_either_form() {
    for message in ALL {
        look(message, |raw| {
            assert_eq!(raw.peer_principal, PRINCIPAL);
            assert_eq!(raw.peer_address, b"127.0.0.1");
            assert!(raw.peer_certificate.starts_with(b"-----BEGIN%20CERTIFICATE-----%0A"));
            assert_eq!(raw.api_hint, Some(&b"payments"[..]));
            assert_eq!((raw.query, raw.fragment), (&b""[..], &b""[..]), "the query is part of the path");
            assert_eq!(values(raw, "x-forwarded-client-cert").len(), 1);
        });
    }
}

#[test]
fn an_ordinary_request_comes_to_facts() {
    let checked = facts(captured!("basic-h2"), |facts| {
        assert_eq!((facts.method(), facts.host(), facts.port()), ("GET", "localhost", Some(19100)));
        assert_eq!((facts.path(), facts.query()), ("/api/v1/a", Some("x=1")));
        assert!(facts.authorization().is_empty() && facts.dpop().is_empty());
        assert_eq!(facts.certificate().xfcc.len(), 1);
    });
    assert_eq!(checked, Ok(()));
}

#[test]
fn raw_headers_keep_repeated_proofs_apart_but_join_credentials() {
    look(captured!("raw-dup"), |raw| {
        assert_eq!(values(raw, "dpop"), [b"aaa", b"bbb"]);
        assert_eq!(values(raw, "authorization"), [b"DPoP tok1,Bearer tok2"], "Envoy joins these even here");
        assert_eq!(values(raw, "x-bin"), [b"caf\xc3\xa9-\xff"], "bytes that are no UTF-8 stay");
        assert_eq!(values(raw, ":path"), [b"/dup"]);
    });
}

#[test]
fn the_map_of_headers_has_lost_the_bytes_that_are_no_utf8() {
    look(captured!("nonutf8"), |raw| assert_eq!(values(raw, "x-bin"), ["café-!!".as_bytes()]));
}

#[test]
fn a_path_that_envoy_did_not_normalise_arrives_as_sent_and_is_refused() {
    look(captured!("path"), |raw| assert_eq!(raw.path, b"/a/../b//c/%2e%2e/%2F/d;p=1?q=%20&DPoP=1"));
    assert_eq!(facts(captured!("path"), |_| ()), Err(Denial::RequestTargetAmbiguous));
}

#[test]
fn credentials_arrive_whole_with_the_scheme_they_were_sent_with() {
    let bearer = facts(captured!("mtls-jwt"), |facts| {
        assert!(facts.authorization()[0].starts_with(b"Bearer eyJ") && facts.dpop().is_empty());
        assert_eq!(facts.path(), "/api/v1/payments");
    });
    let dpop = facts(captured!("dpop-es256-jwt"), |facts| {
        let (authorization, proof) = (facts.authorization(), facts.dpop());
        assert_eq!((authorization.len(), proof.len()), (1, 1));
        assert!(authorization[0].starts_with(b"DPoP eyJ"));
        let parts = |text: &[u8]| text.split(|byte| *byte == b'.').count();
        assert_eq!((parts(authorization[0]), parts(proof[0])), (3, 3));
    });
    assert_eq!((bearer, dpop), (Ok(()), Ok(())));
}
