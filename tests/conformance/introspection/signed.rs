//! JWTs whose issuer is asked too: verified here first, and the answer must say the same.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, fault, proof, token};
use crate::row::{Row, row};
use crate::support::issuers::{SECOND, SERVER};
use crate::support::{NOW, good_asked, keys};

pub fn rows() -> Vec<Row> {
    [said(), agrees(), contradicts(), first_here()].concat()
}

fn said() -> Vec<Row> {
    let active = |value: Value| {
        let told = value.to_string();
        let request = good_asked().answered(move |answer| answer["active"] = value);
        row("IN-01", format!("a good JWT of which `active` is {told}"), request, token("token_inactive"))
    };
    vec![
        row("IN-01", "a good JWT that its issuer says is active", good_asked(), allow()),
        active(json!(false)),
        active(json!("true")),
        active(json!(null)),
        row(
            "IN-06",
            "a good JWT without an answer",
            good_asked().unanswered(),
            fault("fault_introspection_unavailable"),
        ),
        row(
            "IN-06",
            "a good JWT with an answer that is none",
            good_asked().answered_text("[]"),
            fault("fault_introspection_unavailable"),
        ),
    ]
}

fn told(sentence: &str, name: &'static str, value: Value, expect: Expect) -> Row {
    row("IN-02", format!("a JWT and {sentence}"), good_asked().answered(move |answer| answer[name] = value), expect)
}

fn agrees() -> Vec<Row> {
    let jkt = keys().client.thumbprint();
    vec![
        told("the same `iss`", "iss", json!(SERVER), allow()),
        told("the same `sub`", "sub", json!("robot"), allow()),
        told("the same client", "client_id", json!("robot"), allow()),
        told("the same `exp`", "exp", json!(NOW + 290), allow()),
        told("the same `cnf`", "cnf", json!({ "jkt": jkt }), allow()),
        told("the fitting `token_type`", "token_type", json!("DPoP"), allow()),
        told("fewer scopes, which are the JWT's to say", "scope", json!("nothing"), allow()),
    ]
}

fn contradicts() -> Vec<Row> {
    let inactive = || token("token_inactive");
    let malformed = || token("token_claim_malformed");
    let other = || token("token_type_unexpected");
    vec![
        told("another `iss`", "iss", json!(SECOND), inactive()),
        told("another `sub`", "sub", json!("root"), inactive()),
        told("another `jti`, as an answer about another token has", "jti", json!("of another token"), inactive()),
        told("another client", "client_id", json!("other-robot"), inactive()),
        told("an earlier `exp`", "exp", json!(NOW + 100), inactive()),
        told("a later `exp`", "exp", json!(NOW + 291), inactive()),
        told("another key in `cnf`", "cnf", json!({"jkt": keys().stranger.thumbprint()}), inactive()),
        told("an empty `cnf`", "cnf", json!({}), inactive()),
        told("`cnf` of null", "cnf", json!(null), inactive()),
        told("`cnf.jkt` that is no thumbprint", "cnf", json!({"jkt": "x"}), malformed()),
        told("`sub` that is no string", "sub", json!(1), malformed()),
        told("`exp` that is no date", "exp", json!("soon"), malformed()),
        told("`token_type` Bearer, though it is bound to a proof key", "token_type", json!("Bearer"), other()),
        told("another `token_type`", "token_type", json!("N_A"), other()),
        told("`token_use` of a refresh token", "token_use", json!("refresh"), other()),
    ]
}

/// Whatever the issuer would say, nobody asks it.
fn first_here() -> Vec<Row> {
    let first =
        |sentence: &str, request: crate::support::Good, expect| row("IN-02", sentence, request.unanswered(), expect);
    vec![
        first(
            "a forged JWT is refused before its issuer is asked",
            good_asked().token(|token| token.signed_by(&keys().stranger, "ES256")),
            token("token_signature_invalid"),
        ),
        first(
            "an expired JWT is refused before its issuer is asked",
            good_asked().token(|token| token.claims["exp"] = json!(NOW)),
            token("token_expired"),
        ),
        first(
            "a JWT for another audience is refused before its issuer is asked",
            good_asked().token(|token| token.claims["aud"] = json!("https://other.example.com")),
            token("token_audience_mismatch"),
        ),
        row(
            "IN-04",
            "a JWT that is active needs its proof all the same",
            good_asked().proof(|proof| proof.claims["htm"] = json!("PUT")),
            proof("proof_method_mismatch"),
        ),
        row("IN-04", "a JWT that is active, with the same proof again", good_asked(), allow())
            .again(proof("proof_replayed")),
    ]
}
