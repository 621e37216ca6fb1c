//! Every kind of JWT in every place: each has the claims of the place too, and is refused but for its own.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, bearer_token, proof, token};
use crate::row::{Row, row};
use crate::support::issuers::{LEGACY, SERVER};
use crate::support::{Jws, NOW, good, good_legacy};

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
        ("client assertion", Some("client-authentication+jwt"), json!({"iss": "robot"})),
        ("client assertion of the old kind", Some("JWT"), json!({"iss": "robot", "aud": SERVER})),
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
        let as_token = match kind {
            "access token" => allow(),
            // The issuer is looked at first: this one's is a client.
            _ if kind.starts_with("client assertion") => token("token_issuer_unknown"),
            _ => token("token_type_unexpected"),
        };
        let as_proof = if kind == "DPoP proof" { allow() } else { proof("proof_type_unexpected") };
        rows.push(row("JB-11", format!("{kind}, in the place of an access token"), good().token(become_it), as_token));
        rows.push(row("JB-11", format!("{kind}, in the place of a proof"), good().proof(become_it), as_proof));
    }
    [rows, legacy()].concat()
}

/// An issuer that writes `typ: JWT` into everything: its access tokens have an audience that nothing else of it has.
fn legacy() -> Vec<Row> {
    let of = |kind: &str, expect: Expect, change: fn(&mut Jws)| {
        row(
            "JB-11",
            format!("{kind}, in the place of a legacy issuer's access token"),
            good_legacy().token(change),
            expect,
        )
    };
    let elsewhere = || bearer_token("token_audience_mismatch");
    let other_type = || bearer_token("token_type_unexpected");
    vec![
        of("access token", allow(), |_| {}),
        of("ID token", elsewhere(), |token| {
            token.claims["aud"] = json!("legacy-robot");
            token.claims["nonce"] = json!("x");
        }),
        of("client assertion", elsewhere(), |token| token.claims["aud"] = json!(LEGACY)),
        of("token for the issuer's own user info", elsewhere(), |token| token.claims["aud"] = json!([LEGACY])),
        of("logout token", other_type(), |token| token.header["typ"] = json!("logout+jwt")),
        of("security event", other_type(), |token| token.header["typ"] = json!("secevent+jwt")),
        of("DPoP proof", other_type(), |token| token.header["typ"] = json!("dpop+jwt")),
        of("token without a type", other_type(), |token| token.without_header("typ")),
    ]
}
