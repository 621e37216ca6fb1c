//! The bundle, the route's word, the memory of spent proofs, policies, public operations, the registry.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message as _;
use serde_json::json;

use crate::expect::{
    Expect, allow, bearer_binding, bearer_token, client, fault, no_credential, policy, proof, public, request, route,
    token, too_many,
};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::{Good, NOW, Setting, good, good_at, good_bearer, keys};

pub fn rows() -> Vec<Row> {
    [kb_01(), kb_02(), kb_03_share(), kb_03_full(), kb_04(), kb_05(), kb_06()].concat()
}

fn kb_01() -> Vec<Row> {
    let missing = || fault("fault_bundle_missing");
    let without = |good: Good| good.moved_under(Setting::WithoutBundle);
    vec![
        row("KB-01", "until a bundle has been loaded every request is refused", without(good()), missing()),
        row("KB-01", "and so is one that presents nothing", without(good()).without("authorization"), missing()),
        row(
            "KB-01",
            "and so is one to a public operation",
            without(good()).path("/health").without("authorization").without("dpop"),
            missing(),
        ),
        row("KB-01", "with the bundle it is judged", good(), allow()),
    ]
}

/// The route names the API once more. Protobuf joins the messages of one field that stands twice.
fn named_again(good: Good, api: &'static str) -> Good {
    good.bytes(move |bytes| {
        let context_extensions = HashMap::from([("api".to_owned(), api.to_owned())]);
        let attributes = AttributeContext { context_extensions, ..AttributeContext::default() };
        [bytes, CheckRequest { attributes: Some(attributes) }.encode_to_vec()].concat()
    })
}

fn kb_02() -> Vec<Row> {
    let own = |sentence: &str, good: Good, expect: Expect| {
        row("KB-02", sentence, good, expect).envoy(Envoy::CannotSend("Envoy writes it once"))
    };
    let repeated = || request("request_header_repeated");
    vec![
        row("KB-02", "a route that names the API is allowed", good().api_hint("items"), allow()),
        own(
            "one that names two APIs is refused, though one of them is right",
            named_again(good().api_hint("items"), "open"),
            repeated(),
        ),
        own("and one that names the API twice", named_again(good().api_hint("items"), "items"), repeated()),
    ]
}

fn of(id: &str) -> Good {
    good().token(|token| token.claims["client_id"] = json!(id))
}

fn kb_03_share() -> Vec<Row> {
    let share = || too_many("proof_share_exceeded");
    let later = || good().proof(|proof| proof.claims["iat"] = json!(NOW + 199));
    vec![
        row("KB-03", "a client may fill its share of the memory and no more", good(), allow())
            .room(10, 20)
            .then(good(), allow())
            .then(good(), share()),
        row("KB-03", "another client has a share of its own", good(), allow())
            .room(10, 20)
            .then(good(), allow())
            .then(good(), share())
            .then(of("other-robot"), allow()),
        row("KB-03", "the share comes back when the proofs could not pass any more", good(), allow())
            .room(10, 10)
            .then(good(), share())
            .wait(200)
            .then(later(), allow()),
        row(
            "KB-03",
            "a proof that fails another check takes no room",
            good().proof(|proof| proof.claims["iat"] = json!(NOW - 61)),
            proof("proof_stale"),
        )
        .room(10, 10)
        .then(good(), allow())
        .then(good(), share()),
        row("KB-03", "a token without a proof takes no room", good(), allow())
            .room(10, 10)
            .then(good(), share())
            .then(good_bearer(), allow()),
    ]
}

fn kb_03_full() -> Vec<Row> {
    let full = || fault("fault_spent_store_full");
    vec![
        row("KB-03", "a full memory forgets nothing: what is new is refused", good(), allow())
            .room(2, 100)
            .then(of("other-robot"), allow())
            .then(of("third-robot"), full()),
        row("KB-03", "and what is old is still a replay", good(), allow())
            .room(1, 100)
            .again(proof("proof_replayed"))
            .then(good(), full()),
        row("KB-03", "an API in observe mode refuses it too", good_at(host::OBSERVE), allow())
            .room(1, 100)
            .then(good_at(host::OBSERVE), full()),
    ]
}

fn kb_04() -> Vec<Row> {
    let roles = |good: Good, roles: &'static [&'static str]| good.token(|token| token.claims["roles"] = json!(roles));
    let audit = || good().path("/items/7/audit");
    let errored = || fault("fault_policy_errored");
    vec![
        row("KB-04", "what a policy permits is allowed", good(), allow()),
        row(
            "KB-04",
            "an action that no policy permits is refused",
            good().path("/items/7/history"),
            policy("policy_not_permitted"),
        ),
        row("KB-04", "a policy that errors denies, though another one permits", audit(), errored()),
        row("KB-04", "where it does not error the request is allowed", roles(audit(), &["staff"]), allow()),
        row("KB-04", "and where it forbids, refused", roles(audit(), &["guest"]), policy("policy_forbidden")),
        row(
            "KB-04",
            "a claim of another type than the schema's does not reach the policies",
            audit().token(|token| token.claims["roles"] = json!("staff")),
            token("token_claim_malformed"),
        ),
        row("KB-04", "a guardrail forbids what is permitted", good().method("DELETE"), policy("policy_guardrail")),
    ]
}

fn kb_05() -> Vec<Row> {
    let health = |good: Good| good.path("/health");
    let bare = || health(good()).without("authorization").without("dpop");
    vec![
        row("KB-05", "a public operation takes no credential", bare(), public()),
        row("KB-05", "nor does it mind a good one", health(good()), public()),
        row(
            "KB-05",
            "a bad credential is not the same as none",
            health(good()).token(|token| token.signed_by(&keys().stranger, "ES256")),
            token("token_signature_invalid"),
        ),
        row(
            "KB-05",
            "an expired token is refused",
            health(good()).token(|token| token.claims["exp"] = json!(NOW)),
            token("token_expired"),
        ),
        row(
            "KB-05",
            "an unbound token is refused where the API demands a proof",
            health(good()).without("dpop").scheme("Bearer").token(|token| token.without("cnf")),
            bearer_binding("binding_missing"),
        ),
        row("KB-05", "a proof alone is no credential", health(good()).without("authorization"), public()),
        row("KB-05", "a replayed proof is refused", health(good()), public()).again(proof("proof_replayed")),
        row("KB-05", "a guardrail forbids a public operation", bare().method("DELETE"), policy("policy_guardrail")),
        row("KB-05", "the operation is public, not its path", bare().path("/health/deep"), route("operation_unknown")),
        row(
            "KB-05",
            "nor the API",
            good().without("authorization").without("dpop"),
            no_credential("credential_missing"),
        ),
        row(
            "KB-05",
            "with Bearer the challenge is Bearer's",
            health(good_bearer()).token(|token| token.claims["exp"] = json!(NOW)),
            bearer_token("token_expired"),
        ),
    ]
}

fn kb_06() -> Vec<Row> {
    let of = |id: &'static str| good_at(host::REGISTERED).token(|token| token.claims["client_id"] = json!(id));
    vec![
        row("KB-06", "a registered client is allowed where registration is demanded", of("robot"), allow()),
        row("KB-06", "another one is refused", of("other-robot"), client("client_unknown")),
        row("KB-06", "a registration ends", of("retired-robot"), client("client_expired")),
        row(
            "KB-06",
            "before the binding is judged: a client that is unknown cannot try keys",
            of("other-robot").without("dpop"),
            client("client_unknown"),
        ),
    ]
}
