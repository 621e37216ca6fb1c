//! What the issuer says of an opaque token: whether it is active, what it is, and answers that are none.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, bearer_token, fault, token};
use crate::row::{Row, row};
use crate::support::{good_opaque, good_opaque_bearer, good_opaque_mtls, keys, pki};

pub fn rows() -> Vec<Row> {
    [in_01(), in_02(), in_06(), in_07()].concat()
}

fn in_01() -> Vec<Row> {
    let says = |active: Value| {
        let told = active.to_string();
        let request = good_opaque().token(move |token| token.claims["active"] = active);
        row("IN-01", format!("`active` of {told} is not active"), request, token("token_inactive"))
    };
    vec![
        row("IN-01", "`active` of true is active", good_opaque(), allow()),
        row(
            "IN-01",
            "without `active` it is not active",
            good_opaque().token(|token| token.without("active")),
            token("token_inactive"),
        ),
        row(
            "IN-01",
            "`Active` is another member",
            good_opaque().token(|token| {
                token.without("active");
                token.claims["Active"] = json!(true);
            }),
            token("token_inactive"),
        ),
        row(
            "IN-01",
            "an answer of `active` alone says what inactive tokens are told with",
            good_opaque().answered_text(r#"{"active":false}"#),
            token("token_inactive"),
        ),
        says(json!(false)),
        says(json!("true")),
        says(json!(1)),
        says(json!(null)),
        says(json!([true])),
        says(json!({"active": true})),
    ]
}

/// One change to the answer.
fn told(sentence: &str, name: &'static str, value: Value, expect: Expect) -> Row {
    row("IN-02", sentence, good_opaque().token(|token| token.claims[name] = value), expect)
}

fn untold(name: &'static str, expect: Expect) -> Row {
    let sentence = format!("an active token without `{name}`");
    row("IN-02", sentence, good_opaque().token(|token| token.without(name)), expect)
}

fn in_02() -> Vec<Row> {
    let missing = || token("token_claim_missing");
    let malformed = || token("token_claim_malformed");
    let other = || token("token_type_unexpected");
    vec![
        untold("iss", allow()),
        untold("sub", allow()),
        untold("jti", allow()),
        untold("aud", missing()),
        untold("exp", missing()),
        untold("iat", missing()),
        untold("client_id", missing()),
        untold("token_type", missing()),
        told("another `iss` is refused", "iss", json!("https://second.example.com"), token("token_issuer_unknown")),
        told("`iss` that is no string is refused", "iss", json!(1), malformed()),
        told("`exp` as a string is refused", "exp", json!("1900000000"), malformed()),
        told("`iat` as a string is refused", "iat", json!("1700000000"), malformed()),
        told("`nbf` as a string is refused", "nbf", json!("1700000000"), malformed()),
        told("`aud` that is no text is refused", "aud", json!([1]), malformed()),
        told("`client_id` that is no string is refused", "client_id", json!(7), malformed()),
        told("an empty `sub` is refused", "sub", json!(""), malformed()),
        told("`scope` as an array is refused", "scope", json!(["items.read"]), malformed()),
        told("a declared claim of another type is refused", "groups", json!("staff"), malformed()),
        told("`cnf.jkt` that is no thumbprint is refused", "cnf", json!({"jkt": "x"}), malformed()),
        told("a refresh token by `token_use` is refused", "token_use", json!("refresh_token"), other()),
        told("an ID token by `token_use` is refused", "token_use", json!("id"), other()),
        told("a refresh token by `typ` is refused", "typ", json!("Refresh"), other()),
        told("an offline token by `typ` is refused", "typ", json!("Offline"), other()),
        told("an ID token by `typ` is refused", "typ", json!("ID"), other()),
        told("`typ` that is no string is refused", "typ", json!(1), malformed()),
        told("an access token by `token_use` is allowed", "token_use", json!("access_token"), allow()),
        told("an access token by `typ` is allowed", "typ", json!("Bearer"), allow()),
        told("members that nobody knows are ignored", "username", json!({"x": 1}), allow()),
    ]
}

fn in_06() -> Vec<Row> {
    let unavailable = || fault("fault_introspection_unavailable");
    let answer =
        |sentence: &str, text: Vec<u8>| row("IN-06", sentence, good_opaque().answered_text(text), unavailable());
    let twice = good_opaque().token(|token| token.add_to_claims(r#""active":true"#));
    let nested = good_opaque().token(|token| {
        token.edit_claims(|text| text.replacen(r#""jkt":"#, r#""jkt":"x","jkt":"#, 1));
    });
    vec![
        row("IN-06", "with an answer it is allowed", good_opaque(), allow()),
        row("IN-06", "without one nobody knows", good_opaque().unanswered(), unavailable()),
        row("IN-06", "the same as Bearer", good_opaque_bearer().unanswered(), unavailable()),
        row("IN-06", "an answer with a member twice is none", twice, unavailable()),
        row("IN-06", "an answer with a member of `cnf` twice is none", nested, unavailable()),
        answer("an empty answer is none", Vec::new()),
        answer("an array is none", b"[]".to_vec()),
        answer("a page is none", b"<html></html>".to_vec()),
        answer("`true` is none", b"true".to_vec()),
        answer("an answer and more after it is none", b"{\"active\":true} {}".to_vec()),
        answer("an answer that is no UTF-8 is none", b"{\"active\":true,\"x\":\"\xff\"}".to_vec()),
        answer("an answer that nests too deeply is none", deep().into_bytes()),
        answer("an answer that is too large is none", format!("{{\"x\":\"{}\"}}", "x".repeat(65_536)).into_bytes()),
    ]
}

fn deep() -> String {
    format!("{{\"active\":true,\"x\":{}{}}}", "[".repeat(9), "]".repeat(9))
}

/// `token_type` and `cnf` (RFC 9449 §6.2); see DP-30 too.
fn in_07() -> Vec<Row> {
    let other = || token("token_type_unexpected");
    let bearer_other = || bearer_token("token_type_unexpected");
    let typed = |value: Value| good_opaque().token(|token| token.claims["token_type"] = value);
    let of_bearer = |value: Value| good_opaque_bearer().token(|token| token.claims["token_type"] = value);
    vec![
        row("IN-07", "a DPoP-bound token of type DPoP is allowed", good_opaque(), allow()),
        row("IN-07", "a certificate-bound token of type Bearer is allowed", good_opaque_mtls(), allow()),
        row(
            "IN-07",
            "an unbound token of type Bearer is allowed where no proof is demanded",
            good_opaque_bearer(),
            allow(),
        ),
        row("IN-07", "`BEARER` is the same type", of_bearer(json!("BEARER")), allow()),
        row("IN-07", "an unbound token of type DPoP is refused", of_bearer(json!("DPoP")), bearer_other()),
        row("IN-07", "another type is refused", of_bearer(json!("N_A")), bearer_other()),
        row("IN-07", "what a refresh token is told with is refused", typed(json!("refresh_token")), other()),
        row("IN-07", "an empty type is refused", typed(json!("")), other()),
        row("IN-07", "a type that is no string is refused", typed(json!(["DPoP"])), token("token_claim_malformed")),
        row(
            "IN-07",
            "a certificate-bound token of type DPoP is refused",
            good_opaque_mtls().token(|token| token.claims["token_type"] = json!("DPoP")),
            bearer_other(),
        ),
        row(
            "IN-07",
            "bound to key and certificate, of type DPoP, with both is allowed",
            good_opaque()
                .token(|token| token.claims["cnf"]["x5t#S256"] = json!(pki().client.thumbprint()))
                .certificate(&pki().client),
            allow(),
        ),
        row(
            "IN-07",
            "`cnf.jkt` of another key is refused",
            good_opaque().token(|token| token.claims["cnf"] = json!({"jkt": keys().stranger.thumbprint()})),
            crate::expect::binding("proof_key_mismatch"),
        ),
    ]
}
