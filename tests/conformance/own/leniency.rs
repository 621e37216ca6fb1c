//! Observe mode and exceptions: what passes, and above all what does not.

use serde_json::{Value, json};

use crate::expect::{
    Expect, allow, bearer_binding, bearer_token, binding, client, fault, no_credential, observed, policy, proof,
    proof_missing, request, route, token,
};
use crate::row::{Row, row};
use crate::support::inventory::{EXCEPTED, host};
use crate::support::{Good, NOW, good_at, good_second_at, keys, pki};

pub fn rows() -> Vec<Row> {
    [kb_07(), kb_07_stands(), kb_08(), kb_08_stands(), kb_09(), kb_09_stands(), kb_09_lifetime()].concat()
}

fn short_of_scope() -> Expect {
    policy("scope_insufficient")
        .challenged(&["DPoP algs=\"ES256 PS256 EdDSA Ed25519\", error=\"insufficient_scope\", \
         error_description=\"The request is not permitted\", scope=\"items.read\""])
}

fn suspended(good: Good) -> Good {
    claim(good, "groups", json!(["suspended"]))
}

fn claim(good: Good, name: &'static str, value: Value) -> Good {
    good.token(|token| token.claims[name] = value)
}

/// The token is bound to nothing and comes without a proof.
fn unbound(good: Good) -> Good {
    good.without("dpop").scheme("Bearer").token(|token| token.without("cnf"))
}

fn forged(good: Good) -> Good {
    good.token(|token| token.signed_by(&keys().stranger, "ES256"))
}

/// The API relaxes the class `binding`.
fn kb_07() -> Vec<Row> {
    let good = || good_at(host::OBSERVE);
    let seen = |sentence: &str, good: Good| row("KB-07", sentence, good, observed());
    let stale = good().proof(|proof| proof.claims["iat"] = json!(NOW - 61));
    vec![
        row("KB-07", "where binding is observed a proven sender is allowed", good(), allow()),
        seen("no proof beside a bound token passes, observed", good().without("dpop")),
        seen("an unbound token passes, observed", unbound(good())),
        seen("a bound token as Bearer passes, observed", good().scheme("Bearer")),
        seen("a proof that is too old passes, observed", stale),
        seen(
            "the proof of another key passes, observed",
            claim(good(), "cnf", json!({"jkt": keys().stranger.thumbprint()})),
        ),
        seen("an unknown kind of binding passes, observed", claim(good(), "cnf", json!({"kid": "1"}))),
        seen("another certificate passes, observed", {
            let bound = claim(good(), "cnf", json!({"x5t#S256": pki().client.thumbprint()}));
            bound.without("dpop").scheme("Bearer").certificate(&pki().other)
        }),
        row("KB-07", "a replay passes, observed", good(), allow()).again(observed()),
        row("KB-07", "a client above its share passes, observed", good(), allow())
            .room(10, 10)
            .then(good(), observed()),
    ]
}

fn kb_07_stands() -> Vec<Row> {
    let good = || good_at(host::OBSERVE);
    let bare = || good().without("dpop");
    let stands = |sentence: &str, good: Good, expect: Expect| row("KB-07", sentence, good, expect);
    vec![
        stands(
            "a forged proof is refused all the same",
            good().proof(|p| p.signed_by(&keys().stranger, "ES256")),
            proof("proof_signature_invalid"),
        ),
        stands(
            "a proof with a private key in it is refused",
            good().proof(|p| p.header["jwk"]["d"] = json!("AQ")),
            proof("proof_key_forbidden"),
        ),
        stands(
            "a proof with `alg` none is refused",
            good().proof(|p| p.header["alg"] = json!("none")),
            proof("proof_algorithm_forbidden"),
        ),
        stands("a forged token is refused", forged(bare()), token("token_signature_invalid")),
        stands("an expired token is refused", claim(bare(), "exp", json!(NOW)), token("token_expired")),
        stands(
            "a token for another audience is refused",
            claim(bare(), "aud", json!("other")),
            token("token_audience_mismatch"),
        ),
        stands(
            "a client whose registration has ended is refused",
            claim(bare(), "client_id", json!("retired-robot")),
            client("client_expired"),
        ),
        stands("a scope that is short is refused", claim(bare(), "scope", json!("items.list")), short_of_scope()),
        stands("what a policy forbids is refused", suspended(bare()), policy("policy_forbidden")),
        stands("what no policy permits is refused", bare().path("/items/7/history"), policy("policy_not_permitted")),
        stands("what a guardrail forbids is refused", bare().method("DELETE"), policy("policy_guardrail")),
        stands("a policy that errors denies", bare().path("/items/7/audit"), fault("fault_policy_errored")),
        stands("no credential is refused", bare().without("authorization"), no_credential("credential_missing")),
        stands(
            "a request that can be read in two ways is refused",
            bare().header("x-http-method-override", "DELETE"),
            request("request_method_override"),
        ),
    ]
}

/// The API relaxes every class from `credential` to `policy`.
fn kb_08() -> Vec<Row> {
    let good = || good_at(host::LENIENT);
    let seen = |sentence: &str, good: Good| row("KB-08", sentence, good, observed());
    let ids = |good: Good, id: &str| good.token(|token| token.claims["client_id"] = json!(id));
    vec![
        row("KB-08", "where all is observed a good request is allowed", good(), allow()),
        seen("no credential passes, observed", good().without("authorization").without("dpop")),
        seen("another scheme passes, observed", good().header("authorization", "Basic Og==")),
        seen("two tokens pass, observed", good().header("authorization", "Bearer a,Bearer b")),
        seen("what is no token passes, observed", good().header("authorization", "Bearer abc")),
        seen("an expired token passes, observed", claim(good(), "exp", json!(NOW))),
        seen("a token for another audience passes, observed", claim(good(), "aud", json!("other"))),
        seen("a token of another issuer passes, observed", claim(good(), "iss", json!("https://nobody.example.com"))),
        seen("a client that is not registered passes, observed", ids(good(), "other-robot")),
        seen("and one whose registration has ended", ids(good(), "retired-robot")),
        seen("an unbound token passes, observed", unbound(good())),
        seen("a scope that is short passes, observed", claim(good(), "scope", json!("items.list"))),
        seen("what a policy forbids passes, observed", suspended(good())),
        seen("what no policy permits passes, observed", good().path("/items/7/history")),
        seen("several at once pass, observed", suspended(unbound(ids(good(), "other-robot")))),
    ]
}

fn kb_08_stands() -> Vec<Row> {
    let good = || good_at(host::LENIENT);
    let bare = || good().without("authorization").without("dpop");
    let stands = |sentence: &str, good: Good, expect: Expect| row("KB-08", sentence, good, expect);
    let guardrail = || policy("policy_guardrail");
    vec![
        stands("a guardrail forbids what has no credential", bare().method("DELETE"), guardrail()),
        stands("and what has a bad one", claim(good().method("DELETE"), "exp", json!(NOW)), guardrail()),
        stands("and what is not proven", unbound(good().method("DELETE")), guardrail()),
        stands("and what is short of a scope", claim(good().method("DELETE"), "scope", json!("")), guardrail()),
        stands("a forged token is refused all the same", forged(good()), token("token_signature_invalid")),
        stands(
            "a token with a key that nobody has is refused",
            good().token(|t| t.header["kid"] = json!("other")),
            token("token_key_unknown"),
        ),
        stands(
            "a token with `alg` none is refused",
            good().token(|t| t.header["alg"] = json!("none")),
            token("token_algorithm_forbidden"),
        ),
        stands(
            "a token with `crit` is refused",
            good().token(|t| t.header["crit"] = json!(["exp"])),
            token("token_critical_header"),
        ),
        stands(
            "a forged proof is refused",
            good().proof(|p| p.signed_by(&keys().stranger, "ES256")),
            proof("proof_signature_invalid"),
        ),
        stands("a policy that errors denies", good().path("/items/7/audit"), fault("fault_policy_errored")),
        stands(
            "a method override is refused",
            bare().header("x-http-method-override", "DELETE"),
            request("request_method_override"),
        ),
        stands("an unknown operation is refused", bare().raw_path("/other"), route("operation_unknown")),
    ]
}

/// The excepted client at the API that accepts two issuers.
fn excepted(good: Good) -> Good {
    good.token(|token| {
        token.claims["client_id"] = json!(EXCEPTED);
        token.claims["exp"] = json!(NOW + 900);
    })
}

fn kb_09() -> Vec<Row> {
    let good = || good_at(host::EXCEPTION);
    let missing = || bearer_binding("binding_missing");
    vec![
        row("KB-09", "an exception lets one client send an unbound token", excepted(unbound(good())), allow()),
        row("KB-09", "another client may not", claim(unbound(good()), "client_id", json!("other-robot")), missing()),
        row(
            "KB-09",
            "nor the client of the same id at another issuer",
            claim(unbound(good_second_at(host::EXCEPTION)), "azp", json!(EXCEPTED)),
            missing(),
        ),
        row(
            "KB-09",
            "nor at another API",
            excepted(unbound(good_at(host::SHORT))).token(|t| t.claims["exp"] = json!(NOW + 290)),
            missing(),
        ),
        row("KB-09", "the exception ends by itself", excepted(unbound(good())), allow())
            .wait(59)
            .again(allow())
            .wait(1)
            .again(missing()),
        row("KB-09", "the client may prove itself before it must", excepted(good()), allow())
            .again(proof("proof_replayed")),
    ]
}

fn kb_09_stands() -> Vec<Row> {
    let excepted = || excepted(good_at(host::EXCEPTION));
    let bare = || unbound(excepted());
    let certificate = || json!({"x5t#S256": pki().client.thumbprint()});
    let by_certificate = || claim(excepted().without("dpop").scheme("Bearer"), "cnf", certificate());
    vec![
        row(
            "KB-09",
            "a token that is bound to a certificate needs it, exception or not",
            by_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            "KB-09",
            "with another certificate it is refused",
            by_certificate().certificate(&pki().other),
            bearer_binding("certificate_mismatch"),
        ),
        row("KB-09", "with its own it is allowed", by_certificate().certificate(&pki().client), allow()),
        row("KB-09", "a DPoP-bound token needs its proof", excepted().without("dpop"), proof_missing()),
        row("KB-09", "and the scheme DPoP", excepted().scheme("Bearer"), bearer_binding("binding_scheme_mismatch")),
        row(
            "KB-09",
            "and the key that it names",
            claim(excepted(), "cnf", json!({"jkt": keys().stranger.thumbprint()})),
            binding("proof_key_mismatch"),
        ),
        row(
            "KB-09",
            "a `cnf` that cannot be checked is not the same as none",
            claim(bare(), "cnf", json!({"kid": "1"})),
            bearer_binding("binding_method_unknown"),
        ),
        row(
            "KB-09",
            "the token itself is judged as ever",
            claim(bare(), "exp", json!(NOW)),
            bearer_token("token_expired"),
        ),
        row("KB-09", "and so is what the client may do", bare().method("DELETE"), policy("policy_guardrail")),
    ]
}

fn kb_09_lifetime() -> Vec<Row> {
    let long = |id: &str| {
        good_at(host::SHORT).token(|token| {
            token.claims["client_id"] = json!(id);
            token.claims["exp"] = json!(NOW + 900);
        })
    };
    vec![
        row("KB-09", "an exception may waive the API's ceiling on lifetimes", long(EXCEPTED), allow()),
        row("KB-09", "for that client alone", long("other-robot"), token("token_lifetime_exceeded")),
        row(
            "KB-09",
            "not the issuer's ceiling",
            claim(long(EXCEPTED), "exp", json!(NOW + 3700)),
            token("token_lifetime_exceeded"),
        ),
        row("KB-09", "and no other demand", unbound(long(EXCEPTED)), bearer_binding("binding_missing")),
    ]
}
