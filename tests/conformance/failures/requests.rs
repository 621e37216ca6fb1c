//! Requests that two readers read in two ways, and headers that were believed.

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use serde_json::json;

use crate::expect::{allow, no_credential, proof, repeated, request, token};
use crate::row::{Envoy, Row, row};
use crate::support::{Good, good, keys};

pub fn rows() -> Vec<Row> {
    [joined(), not_utf8(), original_path(), fragments(), control_bytes(), paths(), claims_of_others(), connection()]
        .concat()
}

fn without_credential() -> Good {
    good().without("authorization").without("dpop")
}

fn joined() -> Vec<Row> {
    const ID: &str = "cve-2026-26308-headers-joined";
    let joined =
        |other: &'static [u8]| good().edit_header("authorization", move |value| [&value[..], b",", other].concat());
    vec![
        row(ID, "one credential is allowed", good(), allow()),
        row(ID, "two in two fields are refused", good().and_header("authorization", "DPoP x"), repeated()),
        row(ID, "two in one field are refused", joined(b"DPoP x"), repeated()),
        row(ID, "and one with a comma after it", joined(b""), repeated()),
    ]
}

fn not_utf8() -> Vec<Row> {
    const ID: &str = "cve-2023-27488-header-that-is-no-utf8";
    let other = |good: Good| good.header("x-other", b"caf\xe9");
    let forged = good().token(|token| token.signed_by(&keys().stranger, "ES256"));
    vec![
        row(ID, "in a header that nobody reads it is allowed", other(good()), allow()),
        row(ID, "and the request is judged all the same", other(forged), token("token_signature_invalid")),
        row(ID, "without a credential too", other(without_credential()), no_credential("credential_missing")),
    ]
}

fn original_path() -> Vec<Row> {
    const ID: &str = "cve-2023-27487-x-envoy-original-path";
    let claiming = |good: Good| good.header("x-envoy-original-path", "/items/8");
    let elsewhere = good().proof(|proof| proof.claims["htu"] = json!("https://rs.example.com/items/8"));
    vec![
        row(ID, "the path that Envoy routes on counts", claiming(good()), allow()),
        row(ID, "and not the one that a client names", claiming(elsewhere), proof("proof_target_mismatch")),
    ]
}

fn fragments() -> Vec<Row> {
    const ID: &str = "cve-2021-32779-fragment-in-path";
    let at = |path: &str| good().raw_path(path);
    vec![
        row(ID, "a path without one is allowed", good(), allow()),
        row(ID, "a fragment after it is refused", at("/items/7#/../admin"), request("request_target_ambiguous"))
            .envoy(Envoy::Stops(400)),
        row(ID, "and after its query", at("/items/7?x#y"), request("request_target_ambiguous"))
            .envoy(Envoy::Stops(400)),
    ]
}

fn control_bytes() -> Vec<Row> {
    const ID: &str = "cve-2019-9900-nul-in-header";
    let mut rows = vec![row(ID, "headers without one are allowed", good(), allow())];
    for name in ["authorization", "dpop"] {
        let within = good().edit_header(name, |value| [&value[..], b"\0x"].concat());
        let refused = row(ID, format!("NUL in `{name}` is refused"), within, request("request_malformed"));
        rows.push(refused.envoy(Envoy::Stops(400)));
    }
    rows
}

fn paths() -> Vec<Row> {
    const SLASHES: &str = "cve-2026-26205-two-slashes-read-as-authority";
    const NONE: &str = "cve-2026-33186-path-without-slash";
    const SPELLED: &str = "cve-2021-31920-many-spellings-of-a-path";
    let at = |id: &'static str, path: &str| {
        let sentence = format!("`{path}` is refused");
        row(id, sentence, good().raw_path(path), request("request_target_ambiguous"))
    };
    vec![
        row(SLASHES, "one slash is allowed", good(), allow()),
        at(SLASHES, "//items/7").envoy(Envoy::Becomes(allow())),
        row(NONE, "a path with its slash is allowed", good(), allow()),
        at(NONE, "items/7").envoy(Envoy::Stops(400)),
        row(SPELLED, "the canonical spelling is allowed", good(), allow()),
        at(SPELLED, "/x/..%2fitems/7").envoy(Envoy::Stops(400)),
        at(SPELLED, "/items%5c7").envoy(Envoy::Stops(400)),
        at(SPELLED, "/items/;/7"),
        at(SPELLED, "/items/%37").envoy(Envoy::Becomes(allow())),
        at(SPELLED, "/x/%2e%2e/items/7").envoy(Envoy::Becomes(allow())),
    ]
}

fn claims_of_others() -> Vec<Row> {
    const ID: &str = "envoy-43630-unverified-claims-look-verified";
    let claimed = |good: Good| {
        good.message(|message| {
            let text = Value { kind: Some(Kind::StringValue("admin".to_owned())) };
            let claims = Struct { fields: [("sub".to_owned(), text)].into_iter().collect() };
            let filters = [("envoy.filters.http.jwt_authn".to_owned(), claims)].into_iter().collect();
            let metadata = Metadata { filter_metadata: filters, ..Metadata::default() };
            message.attributes.as_mut().unwrap().metadata_context = Some(metadata);
        })
    };
    let not_sent = || Envoy::CannotSend("no filter in front writes metadata");
    vec![
        row(ID, "beside a good credential they do no harm", claimed(good()), allow()).envoy(not_sent()),
        row(ID, "alone they are none", claimed(without_credential()), no_credential("credential_missing"))
            .envoy(not_sent()),
    ]
}

fn connection() -> Vec<Row> {
    const ID: &str = "cve-2024-45410-identity-header-named-in-connection";
    let named = |good: Good| good.header("connection", "close, x-keybound-client");
    vec![
        row(ID, "a good request is allowed", named(good()), allow()),
        row(ID, "without a credential it is refused", named(without_credential()), no_credential("credential_missing")),
    ]
}
