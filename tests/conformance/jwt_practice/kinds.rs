//! Every kind of JWT in every place: each has the claims of the place too, and is refused but for its own.

use serde_json::{Value, json};

use crate::expect::{allow, proof, token};
use crate::row::{Row, row};
use crate::support::{Jws, NOW, good};

/// A kind of JWT: what it is, its type, and the claims of its own.
fn kinds() -> Vec<(&'static str, Option<&'static str>, Value)> {
    let event = json!({"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}});
    vec![
        ("access token", Some("at+jwt"), json!({})),
        ("DPoP proof", Some("dpop+jwt"), json!({})),
        ("security event", Some("secevent+jwt"), json!({"events": event, "sub_id": {"format": "opaque", "id": "x"}})),
        ("introspection answer", Some("token-introspection+jwt"), json!({"token_introspection": {"active": true}})),
        (
            "status list",
            Some("statuslist+jwt"),
            json!({"status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}, "ttl": 300}),
        ),
        ("ID token", Some("JWT"), json!({"nonce": "x", "at_hash": "x", "auth_time": NOW - 5})),
        ("token without a type", None, json!({})),
        (
            "logout token",
            Some("logout+jwt"),
            json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ),
        ("transaction token", Some("txntoken+jwt"), json!({"txn": "x", "purp": "x"})),
        ("workload identity token", Some("wit+jwt"), json!({})),
        ("workload proof token", Some("wpt+jwt"), json!({"wth": "x"})),
        ("client attestation", Some("oauth-client-attestation+jwt"), json!({})),
        ("authorization request", Some("oauth-authz-req+jwt"), json!({"response_type": "code"})),
    ]
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, token_type, claims) in kinds() {
        let become_it = |jws: &mut Jws| {
            match token_type {
                Some(token_type) => jws.header["typ"] = json!(token_type),
                None => jws.without_header("typ"),
            }
            for (name, value) in claims.as_object().unwrap() {
                jws.claims[name] = value.clone();
            }
        };
        let as_token = if kind == "access token" { allow() } else { token("token_type_unexpected") };
        let as_proof = if kind == "DPoP proof" { allow() } else { proof("proof_type_unexpected") };
        rows.push(row("JB-11", format!("{kind}, in the place of an access token"), good().token(become_it), as_token));
        rows.push(row("JB-11", format!("{kind}, in the place of a proof"), good().proof(become_it), as_proof));
    }
    rows
}
