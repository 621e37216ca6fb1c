//! `profile: fapi2`: fewer algorithms, nonces unless an API says otherwise, and no request that a thief could repeat.

use serde_json::json;

use crate::lab::{Edge, Lab, Plan, visit};
use crate::requests::{ITEMS, bearer_at, dpop, mtls};
use crate::send::Answer;
use crate::support::issuers::{KID, KID_ED25519, KID_P384, KID_RSA};
use crate::support::{Good, SigningKey, keys};

fn strict(name: &str) -> Lab {
    Lab::ready(name, &Plan { sections: "profile: fapi2\n".to_owned(), ..Plan::default() })
}

/// Asks for a nonce and sends the request with it.
async fn with_nonce(edge: &Edge, good: Good) -> Answer {
    let asked = edge.send(&dpop().build()).await;
    let nonce = asked.denied("proof_nonce_required", 401).one("dpop-nonce").expect("a nonce").to_owned();
    edge.send(&good.proof(|proof| proof.claims["nonce"] = json!(nonce)).build()).await
}

/// The good request, its token signed otherwise.
fn issued(kid: &str, key: &'static SigningKey, algorithm: &'static str) -> Good {
    dpop().token(|token| {
        token.header["kid"] = json!(kid);
        token.header["alg"] = json!(algorithm);
        token.signed_by(key, algorithm);
    })
}

/// The good request, its proof signed otherwise.
fn proven(key: &'static SigningKey, algorithm: &'static str) -> Good {
    let named = dpop().token(|token| token.claims["cnf"] = json!({"jkt": key.thumbprint()}));
    named.proof(|proof| {
        proof.header["jwk"] = key.jwk();
        proof.header["alg"] = json!(algorithm);
        proof.signed_by(key, algorithm);
    })
}

#[tokio::test]
async fn fapi2_takes_its_algorithms_and_no_other() {
    let lab = strict("fapi2-algorithms");
    let edge = lab.edge();
    for (kid, key, algorithm) in [
        (KID, &keys().server, "ES256"),
        (KID_RSA, &keys().server_rsa, "PS256"),
        (KID_ED25519, &keys().server_ed25519, "EdDSA"),
        (KID_ED25519, &keys().server_ed25519, "Ed25519"),
    ] {
        with_nonce(&edge, issued(kid, key, algorithm)).await.allowed();
    }
    for (kid, key, algorithm) in [(KID_RSA, &keys().server_rsa, "RS256"), (KID_P384, &keys().server_p384, "ES384")] {
        with_nonce(&edge, issued(kid, key, algorithm)).await.denied("token_algorithm_forbidden", 401);
        // It is the profile that refuses them.
        visit().raw.send(&issued(kid, key, algorithm).build()).await.allowed();
    }
    for (key, algorithm) in
        [(&keys().client_rsa, "PS256"), (&keys().client_ed25519, "EdDSA"), (&keys().client, "ES256")]
    {
        with_nonce(&edge, proven(key, algorithm)).await.allowed();
    }
    for (key, algorithm) in [(&keys().client_rsa, "RS256"), (&keys().client_p384, "ES384")] {
        with_nonce(&edge, proven(key, algorithm)).await.denied("proof_algorithm_forbidden", 401);
    }
}

#[tokio::test]
async fn fapi2_asks_for_a_sender_and_for_a_nonce() {
    let lab = strict("fapi2-senders");
    let edge = lab.edge();
    edge.send(&mtls().build()).await.allowed();
    edge.send(&mtls().without_certificate().build()).await.denied("certificate_missing", 401);
    // A token that is bound to nothing, and a bound one without its proof.
    edge.send(&bearer_at(ITEMS).build()).await.denied("binding_missing", 401);
    edge.send(&dpop().scheme("Bearer").without("dpop").build()).await.denied("binding_scheme_mismatch", 401);
    // No API of this inventory says a word of nonces.
    visit().raw.send(&dpop().build()).await.allowed();
    edge.send(&dpop().build()).await.denied("proof_nonce_required", 401);
    with_nonce(&edge, dpop()).await.allowed();
}
