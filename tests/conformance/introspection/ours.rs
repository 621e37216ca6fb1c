//! What an answer excuses us of: nothing. Dates, audience, proof and policy are ours to judge, each time; and what can be judged
//! without the issuer is judged before it is asked.

use serde_json::json;

use crate::expect::{
    allow, bearer_binding, bearer_token, binding, fault, no_credential, nonce_required, observed, policy, proof,
    proof_missing, token,
};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::{
    NOW, good, good_at, good_bearer, good_opaque, good_opaque_at, good_opaque_bearer, good_opaque_mtls,
    good_opaque_nonce, keys,
};

pub fn rows() -> Vec<Row> {
    [judged_here(), in_03(), in_04(), before_asking(), lenient(), shape()].concat()
}

fn judged_here() -> Vec<Row> {
    let told = |sentence: &str, name: &'static str, value: serde_json::Value, code: &'static str| {
        row("IN-02", sentence, good_opaque().token(|token| token.claims[name] = value), token(code))
    };
    vec![
        told("active and expired is refused", "exp", json!(NOW), "token_expired"),
        told("active and not valid yet is refused", "nbf", json!(NOW + 11), "token_not_yet_valid"),
        told("active and issued ahead is refused", "iat", json!(NOW + 11), "token_not_yet_valid"),
        told("active for longer than the issuer may is refused", "exp", json!(NOW + 3_600), "token_lifetime_exceeded"),
        told(
            "active for another audience is refused",
            "aud",
            json!("https://other.example.com"),
            "token_audience_mismatch",
        ),
        row(
            "IN-02",
            "one second before it expires it is allowed",
            good_opaque().token(|token| token.claims["exp"] = json!(NOW + 1)),
            allow(),
        ),
        row(
            "IN-02",
            "active without the scope is refused",
            good_opaque().token(|token| token.without("scope")),
            crate::expect::Expect::challenged(
                policy("scope_insufficient"),
                &[
                    r#"DPoP algs="ES256 PS256 EdDSA Ed25519", error="insufficient_scope", error_description="The request is not permitted", scope="items.read""#,
                ],
            ),
        ),
        row(
            "IN-02",
            "what policies forbid for a claim of the answer is refused",
            good_opaque().token(|token| token.claims["groups"] = json!(["suspended"])),
            policy("policy_forbidden"),
        ),
        row(
            "IN-02",
            "active and bound to nothing is refused where proof is demanded",
            good_opaque_mtls().token(|token| token.without("cnf")),
            bearer_binding("binding_missing"),
        ),
        row(
            "IN-02",
            "active with `cnf` that nobody can check is refused",
            good_opaque_bearer().token(|token| token.claims["cnf"] = json!({})),
            bearer_binding("binding_method_unknown"),
        ),
    ]
}

/// The same answer, later: what it says of its end is held against our clock each time.
fn in_03() -> Vec<Row> {
    let later = |seconds: i64| good_opaque().proof(move |proof| proof.claims["iat"] = json!(NOW + seconds));
    vec![
        row("IN-03", "an answer that was good is not when the token has expired", good_opaque(), allow())
            .wait(289)
            .then(later(289), allow())
            .wait(1)
            .then(later(290), token("token_expired")),
    ]
}

fn in_04() -> Vec<Row> {
    vec![
        row("IN-04", "the same proof again is refused, whoever vouched for the token", good_opaque(), allow())
            .again(proof("proof_replayed")),
        row("IN-04", "the same certificate again is allowed", good_opaque_mtls(), allow()).again(allow()),
        row(
            "IN-04",
            "a proof for another token is refused, though both are active",
            good_opaque().proof(|proof| proof.hash_with(|_| crate::support::sha256("other"))),
            proof("proof_token_mismatch"),
        ),
        row(
            "IN-04",
            "as Bearer a DPoP-bound token is refused",
            good_opaque().scheme("Bearer").without("dpop"),
            bearer_binding("binding_scheme_mismatch"),
        ),
        row(
            "IN-04",
            "an unbound token with a proof is refused",
            good_opaque().token(|token| {
                token.without("cnf");
                token.claims["token_type"] = json!("Bearer");
            }),
            binding("binding_scheme_mismatch"),
        ),
    ]
}

/// The issuer does not answer in any of these, and nobody notices.
fn before_asking() -> Vec<Row> {
    let first =
        |sentence: &str, request: crate::support::Good, expect| row("IN-04", sentence, request.unanswered(), expect);
    vec![
        first("without a proof nobody is asked", good_opaque().without("dpop"), proof_missing()),
        first("with two proofs nobody is asked", good_opaque().and_header("dpop", "a.b.c"), proof("proof_duplicated")),
        first(
            "with a proof for another method nobody is asked",
            good_opaque().proof(|proof| proof.claims["htm"] = json!("PUT")),
            proof("proof_method_mismatch"),
        ),
        first(
            "with a proof that is too old nobody is asked",
            good_opaque().proof(|proof| proof.claims["iat"] = json!(NOW - 61)),
            proof("proof_stale"),
        ),
        first(
            "with a proof whose signature is wrong nobody is asked",
            good_opaque().proof(|proof| proof.signed_by(&keys().stranger, "ES256")),
            proof("proof_signature_invalid"),
        ),
        first(
            "without a nonce where one is wanted nobody is asked",
            good_opaque_nonce().proof(|proof| proof.without("nonce")),
            nonce_required(),
        ),
        row("IN-04", "with a nonce of ours it is allowed", good_opaque_nonce(), allow()),
        first(
            "without a token nobody is asked",
            good_opaque().without("authorization"),
            no_credential("credential_missing"),
        ),
        first("with a good proof the issuer is asked", good_opaque(), fault("fault_introspection_unavailable")),
    ]
}

fn lenient() -> Vec<Row> {
    let lenient = || good_opaque_at(host::OPAQUE_OBSERVE);
    let bad = || lenient().proof(|proof| proof.claims["htm"] = json!("PUT"));
    vec![
        row("IN-02", "in observe mode a proven sender is allowed", lenient(), allow()),
        row("IN-02", "in observe mode a bad proof is let pass, once the token is known", bad(), observed()),
        row(
            "IN-02",
            "in observe mode a bad proof with an inactive token is refused for the token",
            bad().token(|token| token.claims["active"] = json!(false)),
            token("token_inactive"),
        ),
        row(
            "IN-02",
            "in observe mode a forged proof is refused",
            lenient().proof(|proof| proof.signed_by(&keys().stranger, "ES256")),
            proof("proof_signature_invalid"),
        ),
        row(
            "IN-06",
            "in observe mode nobody passes unread",
            lenient().unanswered(),
            fault("fault_introspection_unavailable"),
        ),
    ]
}

/// What is opaque: all but three parts with a JSON header.
fn shape() -> Vec<Row> {
    let text = |text: &'static str| good_opaque().opaque_text(text);
    vec![
        row("IN-02", "a JWT at this API is read here, and its issuer is not asked", good_at(host::OPAQUE), allow()),
        row(
            "IN-02",
            "a forged JWT is not shown to the issuer",
            good_at(host::OPAQUE).token(|token| token.signed_by(&keys().stranger, "ES256")),
            token("token_signature_invalid"),
        ),
        row("IN-02", "a text with two dots that is no JWT is opaque", text("a.b.c"), allow()),
        row("IN-02", "a text of all that a token may be is opaque", text("aZ09-._~+/=="), allow()),
        row(
            "IN-02",
            "a text that has the shape of a JWT is none if it cannot be read here",
            text("eyJhIjoxfQ.eyJiIjoyfQ.AQ"),
            token("token_malformed"),
        ),
        row(
            "IN-02",
            "an opaque token is refused where nobody is asked",
            good_bearer().header("authorization", "Bearer opaque"),
            bearer_token("token_malformed"),
        ),
        row("IN-02", "so it is with a proof", good().header("authorization", "DPoP opaque"), token("token_malformed"))
            .envoy(Envoy::Same),
    ]
}
