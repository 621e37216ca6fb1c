//! A proof is good once.

use serde_json::json;

use crate::expect::{allow, fault, nonce_required, proof, request, too_many};
use crate::row::{Envoy, Row, row};
use crate::support::setting::nonce;
use crate::support::{Good, NOW, fresh_id, good, good_nonce, good_with, keys};

pub fn rows() -> Vec<Row> {
    [dp_40(), dp_40_loss(), dp_41(), dp_41_room(), dp_42(), dp_43()].concat()
}

/// The good request with a proof of this `jti`.
fn identified(good: Good, id: &str) -> Good {
    good.proof(|proof| proof.claims["jti"] = json!(id))
}

/// The good request made this many seconds later.
fn later(good: Good, seconds: i64) -> Good {
    good.proof(|proof| {
        proof.claims["iat"] = json!(NOW + seconds);
        proof.claims["jti"] = json!(fresh_id());
    })
}

fn dp_40() -> Vec<Row> {
    let replayed = || proof("proof_replayed");
    let id = fresh_id();
    vec![
        row("DP-40", "the same proof twice: once", good(), allow()).again(replayed()).again(replayed()),
        row("DP-40", "the same `jti` by the same key in another proof: once", identified(good(), &id), allow())
            .then(identified(good(), &id).proof(|p| p.claims["iat"] = json!(NOW)), replayed()),
        row("DP-40", "two proofs: both", good(), allow()).then(good(), allow()),
        row("DP-40", "the same proof at the end of its life: once", good(), allow()).wait(59).again(replayed()),
        row("DP-40", "the same proof after its life is stale", good(), allow()).wait(60).again(proof("proof_stale")),
    ]
}

fn dp_40_loss() -> Vec<Row> {
    let predates = || proof("proof_predates_memory");
    let with = |minted: i64| {
        good_nonce().proof(|proof| {
            proof.claims["nonce"] = json!(nonce("nonce", minted));
            proof.claims["jti"] = json!(fresh_id());
        })
    };
    vec![
        row("DP-40", "once the memory is lost, a proof that may have been spent before is refused", good(), allow())
            .forget()
            .again(predates()),
        row(
            "DP-40",
            "once the memory is lost, so is a proof that may be older than its `iat`",
            later(good(), 10),
            allow(),
        )
        .forget()
        .then(later(good(), 10), predates()),
        row("DP-40", "a proof made after the loss, and the skew, is allowed", later(good(), 0), allow())
            .forget()
            .wait(11)
            .then(later(good(), 11), allow()),
        row("DP-40", "with nonces, a nonce minted before the loss is asked to be replaced", with(NOW - 10), allow())
            .forget()
            .then(with(NOW - 10), nonce_required()),
        row("DP-40", "with nonces, a nonce minted after the loss, and the skew, is allowed", with(NOW - 10), allow())
            .forget()
            .wait(1)
            .then(with(NOW - 10), nonce_required())
            .with_nonce(anew, nonce_required())
            .wait(10)
            .then(with(NOW - 10), nonce_required())
            .with_nonce(anew, allow()),
    ]
}

/// The good request with this nonce.
fn anew(nonce: &str) -> Good {
    good_nonce().proof(|proof| proof.claims["nonce"] = json!(nonce))
}

fn dp_41() -> Vec<Row> {
    let sized = |bytes: usize| identified(good(), &"j".repeat(bytes));
    vec![
        row("DP-41", "a `jti` of 256 bytes is allowed", sized(256), allow()),
        row("DP-41", "a `jti` of 257 bytes is refused", sized(257), proof("proof_malformed")),
        row("DP-41", "a `jti` of 1 KiB is refused", sized(1024), proof("proof_malformed")),
        row(
            "DP-41",
            "a `jti` of 1 MiB is refused with the request",
            sized(1024 * 1024),
            request("request_limit_exceeded"),
        )
        .envoy(Envoy::Stops(431)),
    ]
}

fn dp_41_room() -> Vec<Row> {
    let of = |id: &str| good().token(|token| token.claims["client_id"] = json!(id));
    let exceeded = || too_many("proof_share_exceeded");
    let first = || identified(good(), "first");
    vec![
        row("DP-41", "a client that has filled its share is refused, and others are served", good(), allow())
            .room(10, 20)
            .then(good(), allow())
            .then(good(), exceeded())
            .then(of("other-robot"), allow())
            .then(good(), exceeded()),
        row("DP-41", "a client that has filled its share still cannot replay", first(), allow())
            .room(10, 10)
            .then(first(), proof("proof_replayed"))
            .then(good(), exceeded()),
        row("DP-41", "a full memory refuses, and forgets nothing that could still be replayed", first(), allow())
            .room(2, 100)
            .then(good(), allow())
            .then(good(), fault("fault_spent_store_full"))
            .then(first(), proof("proof_replayed")),
    ]
}

fn dp_42() -> Vec<Row> {
    let id = fresh_id();
    let ed25519 = || good_with(&keys().client_ed25519, "EdDSA");
    let respelled = identified(good(), &id).proof(|p| p.claims["htu"] = json!("HTTPS://RS.example.com:443/items/7?x"));
    vec![
        row("DP-42", "the same `jti` by another key is another proof", identified(good(), &id), allow())
            .then(identified(ed25519(), &id), allow()),
        row(
            "DP-42",
            "the same proof at another enforcement point in series is not a replay",
            identified(good(), &id),
            allow(),
        )
        .then(identified(good(), &id).point("sidecar"), allow()),
        row("DP-42", "a `jti` is spent however `htu` is spelled", identified(good(), &id), allow())
            .then(respelled, proof("proof_replayed")),
        row(
            "DP-42",
            "a `jti` is spent for every URI: the key is (point, `jkt`, `jti`)",
            identified(good(), &id),
            allow(),
        )
        .then(identified(good().path("/items/8"), &id), proof("proof_replayed")),
    ]
}

fn dp_43() -> Vec<Row> {
    let id = fresh_id();
    let spoil = |sentence: &str, bad: Good, code: &'static str| {
        row("DP-43", sentence, identified(bad, &id), proof(code)).then(identified(good(), &id), allow())
    };
    vec![
        spoil(
            "a proof with a forged signature does not spend its `jti`",
            good().proof(|p| p.signed_by(&keys().stranger, "ES256")),
            "proof_signature_invalid",
        ),
        spoil(
            "nor does one for another method",
            good().proof(|p| p.claims["htm"] = json!("PUT")),
            "proof_method_mismatch",
        ),
        spoil(
            "nor does one for another token",
            good().proof(|p| p.hash_with(|_| crate::support::sha256("other"))),
            "proof_token_mismatch",
        ),
    ]
}
