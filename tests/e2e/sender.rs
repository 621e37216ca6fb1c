//! Who sent it: a good owner passes, a thief does not, whatever the thief adds or leaves out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keybound::edge::clock;
use serde_json::json;

use crate::lab::files::NONCE_LIFETIME;
use crate::lab::{Lab, Plan, visit};
use crate::requests::{ITEMS, bearer_at, dpop, dpop_at, dpop_with_nonce, mtls};
use crate::send::{Answer, http1};
use crate::support::{SigningKey, keys, pki};

/// RFC 9728 §5.1.
const METADATA: &str = r#"resource_metadata="https://rs.example.com/.well-known/oauth-protected-resource""#;
const ALGORITHMS: &str = r#"algs="ES256 PS256 EdDSA Ed25519""#;

/// What the API is told about the client of most tokens.
#[track_caller]
fn told(answer: &Answer, proof: &str) {
    let identity = [
        ("x-keybound-client", "robot"),
        ("x-keybound-issuer", "https://as.example.com"),
        ("x-keybound-proof", proof),
        ("x-keybound-subject", "robot"),
    ];
    assert_eq!(answer.allowed().identity(), identity, "{answer:?}");
}

#[tokio::test]
async fn the_owner_of_a_dpop_key_passes_and_the_api_is_told_who_it_is() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let request = dpop().build();
        let answer = edge.send(&request).await;
        told(&answer, "dpop");
        let reached = answer.allowed();
        assert_eq!((reached.method.as_str(), reached.path.as_str()), ("GET", "/items/7"));
        // The API may want to see them itself; `strip_credentials` is off here.
        let sent = |name: &str| {
            String::from_utf8_lossy(&request.headers.iter().find(|header| header.0 == name).unwrap().1).into_owned()
        };
        assert_eq!(reached.header("authorization"), Some(sent("authorization").as_str()));
        assert_eq!(reached.header("dpop"), Some(sent("dpop").as_str()));
        assert_eq!(answer.decision["api"], "items");
        assert_eq!(answer.decision["action"], "items.read");
        assert_eq!(answer.decision["policies"], json!(["items-read"]));
        assert_eq!(answer.response.one("dpop-nonce"), None);
    }
}

#[tokio::test]
async fn the_owner_of_a_certificate_passes() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        told(&edge.send(&mtls().build()).await, "mtls");
    }
}

#[tokio::test]
async fn forged_identity_headers_are_overwritten() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let forged = ["issuer", "client", "subject", "proof", "decision"].into_iter().fold(dpop(), |good, name| {
            // Twice, and in another case too.
            good.and_header(&format!("x-keybound-{name}"), "root").and_header(&format!("X-Keybound-{name}"), "admin")
        });
        told(&edge.send(&forged.build()).await, "dpop");
    }
}

#[tokio::test]
async fn forged_identity_headers_are_removed_where_there_is_no_identity() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let anonymous = bearer_at(ITEMS).path("/health").without("authorization").header("dpop", "stray");
        let anonymous = anonymous.header("x-keybound-client", "root").and_header("X-Keybound-Subject", "admin");
        let answer = edge.send(&anonymous.build()).await;
        let reached = answer.passed("public");
        assert_eq!(reached.identity(), []);
        assert_eq!((reached.header("authorization"), reached.header("dpop")), (None, None), "{reached:?}");
    }
}

#[tokio::test]
async fn a_header_alias_with_underscores_never_reaches_the_api() {
    let lab = visit();
    lab.raw.send(&dpop().header("x_keybound_client", "root").build()).await.stopped_by_envoy(400);
}

#[tokio::test]
async fn a_bad_token_on_a_public_operation_is_not_the_same_as_none() {
    let lab = visit();
    let expired = dpop().token(|token| token.claims["exp"] = json!(1)).path("/health");
    lab.raw.send(&expired.build()).await.denied("token_expired", 401);
    // Its owner is served, anonymously.
    assert_eq!(lab.raw.send(&dpop().path("/health").build()).await.passed("public").identity(), []);
}

#[tokio::test]
async fn credentials_are_stripped_where_the_operator_says_so() {
    let lab = Lab::ready("strip", &Plan { strip_credentials: true, ..Plan::default() });
    let edge = lab.edge();
    for request in [dpop().build(), mtls().build()] {
        let answer = edge.send(&request).await;
        let reached = answer.allowed();
        assert_eq!((reached.header("authorization"), reached.header("dpop")), (None, None), "{reached:?}");
        assert_eq!(reached.header("x-keybound-client"), Some("robot"));
    }
}

#[tokio::test]
async fn a_stolen_copy_without_the_key_is_denied() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        // The DPoP-bound token as a bearer token, without its proof, with the thief's own proof.
        edge.send(&dpop().scheme("Bearer").without("dpop").build()).await.denied("binding_scheme_mismatch", 401);
        edge.send(&dpop().scheme("Bearer").build()).await.denied("binding_scheme_mismatch", 401);
        edge.send(&dpop().without("dpop").build()).await.denied("proof_missing", 400);
        let thief = SigningKey::p256().leak();
        let own_proof = dpop().proof(|proof| {
            proof.header["jwk"] = thief.jwk();
            proof.signed_by(thief, "ES256");
        });
        edge.send(&own_proof.build()).await.denied("proof_key_mismatch", 401);
        let forged = dpop().proof(|proof| proof.signed_by(&keys().stranger, "ES256"));
        edge.send(&forged.build()).await.denied("proof_signature_invalid", 401);
        // A token that names no key at all.
        edge.send(&bearer_at(ITEMS).build()).await.denied("binding_missing", 401);
    }
}

#[tokio::test]
async fn a_certificate_bound_token_needs_its_certificate() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        edge.send(&mtls().without_certificate().build()).await.denied("certificate_missing", 401);
        edge.send(&mtls().certificate(&pki().other).build()).await.denied("certificate_mismatch", 401);
        // The same key, another certificate: the token names the certificate.
        edge.send(&mtls().certificate(&pki().renewed).build()).await.denied("certificate_mismatch", 401);
        // What a header says of it counts for nothing.
        let header = format!("Hash={};Cert=\"{}\"", pki().client.hash(), pki().client.encoded());
        let named = mtls().without_certificate().header("x-forwarded-client-cert", header);
        let named = named.header("client-cert", pki().client.byte_sequence());
        edge.send(&named.build()).await.denied("certificate_missing", 401);
    }
}

#[tokio::test]
async fn what_a_client_says_of_its_certificate_never_reaches_the_api() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let xfcc = format!("Hash={}", pki().client.hash());
        let saying = dpop().header("X-Forwarded-Client-Cert", &xfcc).and_header("x-forwarded-client-cert", xfcc);
        let saying = saying.header("Client-Cert", pki().client.byte_sequence());
        let saying = saying.header("Client-Cert-Chain", pki().other.byte_sequence());
        let answer = edge.send(&saying.build()).await;
        let reached = answer.allowed();
        for name in ["x-forwarded-client-cert", "client-cert", "client-cert-chain"] {
            assert_eq!(reached.header(name), None, "{reached:?}");
        }
    }
}

#[tokio::test]
async fn envoy_ends_the_handshake_with_a_certificate_of_nobody() {
    let lab = visit();
    let request = format!("GET /health HTTP/1.1\r\nhost: {ITEMS}\r\n\r\n");
    let said = async |leaf| http1::first_words(lab.raw.port, ITEMS, Some(leaf), request.as_bytes()).await;
    assert!(said(&pki().client).await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(said(&pki().rogue).await, b"");
    assert_eq!(said(&pki().expired).await, b"");
}

#[tokio::test]
async fn no_token_is_told_both_ways_in_as_two_fields() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let answer = edge.send(&bearer_at(ITEMS).without("authorization").build()).await;
        let response = answer.denied("credential_missing", 401);
        let challenges = [format!("Bearer {METADATA}"), format!("DPoP {ALGORITHMS}, {METADATA}")];
        assert_eq!(response.all("www-authenticate"), challenges);
        assert_eq!(response.one("access-control-expose-headers"), Some("WWW-Authenticate, DPoP-Nonce"));
    }
}

#[tokio::test]
async fn the_error_stands_on_the_scheme_that_was_used() {
    let lab = visit();
    let answer = lab.raw.send(&mtls().without_certificate().build()).await;
    let error = r#"error="invalid_token", error_description="The sender did not prove possession of the key of the access token""#;
    let challenges = [format!("Bearer {error}, {METADATA}"), format!("DPoP {ALGORITHMS}, {METADATA}")];
    assert_eq!(answer.denied("certificate_missing", 401).all("www-authenticate"), challenges);
}

#[tokio::test]
async fn connection_cannot_strip_the_credential_and_pass() {
    let lab = visit();
    let hidden = dpop().header("connection", "close, authorization, dpop");
    lab.raw.send(&hidden.build()).await.denied("credential_missing", 401);
}

#[tokio::test]
async fn a_nonce_is_asked_for_and_given() {
    let lab = visit();
    let ask = lab.raw.send(&dpop_at("nonce.example.com").build()).await;
    let response = ask.denied("proof_nonce_required", 401);
    assert_eq!(response.one("cache-control"), Some("no-store"));
    assert!(response.all("www-authenticate")[1].contains(r#"error="use_dpop_nonce""#), "{ask:?}");
    let nonce = response.one("dpop-nonce").expect("a nonce").to_owned();
    let again = dpop_at("nonce.example.com").proof(|proof| proof.claims["nonce"] = json!(nonce)).build();
    let answer = lab.raw.send(&again).await;
    answer.allowed();
    // A nonce in its early life serves on.
    assert_eq!(answer.response.one("dpop-nonce"), None);
}

#[tokio::test]
async fn a_nonce_late_in_its_life_is_replaced_on_success() {
    let lab = visit();
    // Nonces from before the start are refused, so it must have been up for half of a nonce's life.
    let minted = lab.lab.ready_at.load(Ordering::Acquire).max(clock::now() - NONCE_LIFETIME + 5);
    let late = minted + NONCE_LIFETIME / 2 + 1;
    tokio::time::sleep(Duration::from_secs((late - clock::now()).max(0).unsigned_abs())).await;
    let answer = lab.raw.send(&dpop_with_nonce(minted).build()).await;
    answer.allowed();
    assert_eq!(answer.response.one("cache-control"), Some("no-store"));
    let nonce = answer.response.one("dpop-nonce").expect("a nonce").to_owned();
    let with_it = dpop_at("nonce.example.com").proof(|proof| proof.claims["nonce"] = json!(nonce)).build();
    lab.raw.send(&with_it).await.allowed();
}

#[tokio::test]
async fn policy_has_the_last_word() {
    let lab = visit();
    let suspended = dpop().token(|token| token.claims["groups"] = json!(["suspended"]));
    let answer = lab.raw.send(&suspended.build()).await;
    answer.denied("policy_forbidden", 403);
    assert_eq!(answer.decision["reason"], "suspended clients may do nothing");
    lab.raw.send(&dpop().method("DELETE").build()).await.denied("policy_guardrail", 403);
    // Only registered robots may create.
    lab.raw.send(&dpop().method("POST").path("/items").build()).await.allowed();
    let stranger = dpop().method("POST").path("/items").token(|token| token.claims["client_id"] = json!("stranger"));
    lab.raw.send(&stranger.build()).await.denied("policy_not_permitted", 403);
    let unscoped = dpop().token(|token| token.claims["scope"] = json!("items.list"));
    lab.raw.send(&unscoped.build()).await.denied("scope_insufficient", 403);
}
