//! Headers that a client may send and nobody may believe.

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};

use crate::expect::{allow, no_credential, request};
use crate::row::{Envoy, Row, row};
use crate::support::{Good, good};

pub fn rows() -> Vec<Row> {
    [ec_04_limits(), ec_07(), ec_08()].concat()
}

fn ec_04_limits() -> Vec<Row> {
    let with = |count: usize| (0..count).fold(good(), |good, index| good.and_header(&format!("x-{index}"), "1"));
    let sized = |bytes: usize| good().header("x-large", vec![b'x'; bytes]);
    let control = |name: &'static str, byte: &'static str| {
        row(
            "EC-04",
            format!("`{name}` with {} in it is refused", byte.escape_default()),
            good().header(name, byte),
            request("request_malformed"),
        )
        .envoy(Envoy::Stops(400))
    };
    vec![
        row("EC-04", "200 header fields are allowed", with(200), allow()).envoy(Envoy::Stops(431)),
        row("EC-04", "257 header fields are refused", with(257), request("request_limit_exceeded"))
            .envoy(Envoy::Stops(431)),
        row("EC-04", "100 KiB of headers are allowed", sized(100 * 1024), allow()).envoy(Envoy::Stops(431)),
        row("EC-04", "256 KiB of headers are refused", sized(256 * 1024), request("request_limit_exceeded"))
            .envoy(Envoy::Stops(431)),
        // CVE-2019-9900.
        control("authorization", "\0"),
        control("x-forwarded-client-cert", "\0"),
        control("client-cert", "\n").envoy(Envoy::CannotSend("it ends the line")),
        // At the end of a line Envoy takes it for the line's.
        control("client-cert-chain", "\r").envoy(Envoy::Becomes(allow())),
        control("traceparent", "\0"),
        row(
            "EC-04",
            "a header that nobody reads may have anything in it",
            good().header("x-other", b"\xff\x01"),
            allow(),
        )
        .envoy(Envoy::Stops(400)),
        row(
            "EC-04",
            "two `traceparent` are none",
            good().header("traceparent", "00-x").and_header("traceparent", "00-y"),
            allow(),
        ),
    ]
}

fn ec_07() -> Vec<Row> {
    let without = || good().without("authorization").without("dpop");
    let mut rows = Vec::new();
    for name in [
        "x-keybound-client",
        "x-keybound-subject",
        "x-keybound-proof",
        "x_keybound_client",
        "x-auth-user",
        "x-envoy-peer-metadata",
    ] {
        let envoy = || if name.contains('_') { Envoy::Stops(400) } else { Envoy::Same };
        let alone = without().header(name, "admin");
        let sentence = format!("`{name}` of a client is no credential");
        rows.push(row("EC-07", sentence, alone, no_credential("credential_missing")).envoy(envoy()));
        let sentence = format!("`{name}` of a client does no harm");
        rows.push(row("EC-07", sentence, good().header(name, "admin"), allow()).envoy(envoy()));
    }
    rows
}

const NO_FILTER: Envoy = Envoy::CannotSend("no filter in front writes metadata");

/// Claims that another filter has put into the request, verified or not.
fn claims(good: Good) -> Good {
    good.message(|message| {
        let text = Value { kind: Some(Kind::StringValue("robot".to_owned())) };
        let claims = Struct { fields: [("sub".to_owned(), text)].into_iter().collect() };
        let filters = [("envoy.filters.http.jwt_authn".to_owned(), claims)].into_iter().collect();
        let metadata = Metadata { filter_metadata: filters, ..Metadata::default() };
        message.attributes.as_mut().unwrap().metadata_context = Some(metadata);
    })
}

fn ec_08() -> Vec<Row> {
    let without = || good().without("authorization").without("dpop");
    let missing = || no_credential("credential_missing");
    vec![
        row("EC-08", "claims in the metadata of another filter are no credential", claims(without()), missing())
            .envoy(NO_FILTER),
        row("EC-08", "beside a good credential they do no harm", claims(good()), allow()).envoy(NO_FILTER),
        row(
            "EC-08",
            "claims in a header are no credential",
            without().header("x-jwt-payload", "eyJzdWIiOiJyb2JvdCJ9"),
            missing(),
        ),
        row(
            "EC-08",
            "nor is what a mesh calls an end user",
            without().header("x-istio-attributes", "robot").header("x-end-user", "robot"),
            missing(),
        ),
    ]
}
