//! Observe mode and exceptions: who is let pass gains nothing else by it.

use serde_json::json;

use crate::lab::visit;
use crate::requests::{ENDED, ITEMS, OBSERVED, TRIAL, bearer_at, dpop, dpop_at, excepted};
use crate::support::inventory::EXCEPTED;
use crate::support::keys;

#[tokio::test]
async fn an_observed_failure_passes_without_an_identity() {
    let lab = visit();
    for edge in [&lab.raw, &lab.joined] {
        let copy = dpop_at(OBSERVED).scheme("Bearer").without("dpop").header("x-keybound-client", "root");
        let answer = edge.send(&copy.and_header("X-Keybound-Subject", "root").build()).await;
        assert_eq!(answer.passed("observed").identity(), []);
        assert_eq!(answer.decision["would_be"], "binding_scheme_mismatch");
        assert_eq!(answer.decision["mode"], "observe");
        for name in ["client", "issuer"] {
            assert_eq!(answer.decision.get(name), None, "{answer:?}");
            assert_eq!(answer.log_line().get(name), None, "{answer:?}");
        }
        // Who would be refused is told, as who nobody is.
        assert_eq!(answer.decision["unproven_client"], "robot");
        assert_eq!(
            (&answer.log_line()["unproven_client"], &answer.log_line()["message"]),
            (&json!("robot"), &json!("observed"))
        );
    }
}

#[tokio::test]
async fn the_owner_is_served_as_the_owner_while_others_are_observed() {
    let lab = visit();
    let answer = lab.raw.send(&dpop_at(OBSERVED).build()).await;
    assert_eq!(answer.allowed().header("x-keybound-client"), Some("robot"));
    assert_eq!(answer.decision.get("would_be"), None);
}

#[tokio::test]
async fn failing_on_purpose_gains_nothing_that_policy_would_refuse() {
    let lab = visit();
    let failing = || dpop_at(OBSERVED).scheme("Bearer").without("dpop");
    lab.raw.send(&failing().method("DELETE").build()).await.denied("policy_guardrail", 403);
    let suspended = failing().token(|token| token.claims["groups"] = json!(["suspended"]));
    lab.raw.send(&suspended.build()).await.denied("policy_forbidden", 403);
    lab.raw.send(&failing().method("POST").path("/items").build()).await.denied("scope_insufficient", 403);
    let stranger = failing().method("POST").path("/items").token(|token| {
        token.claims["client_id"] = json!("stranger");
        token.claims["scope"] = json!("items.read items.write");
    });
    lab.raw.send(&stranger.build()).await.denied("policy_not_permitted", 403);
    let answer = lab.raw.send(&failing().path("/elsewhere").build()).await;
    answer.denied("operation_unknown", 403);
    assert!(answer.decision.get("api").is_some(), "the host has one API");
    // Under the id that Envoy gave the request.
    assert!(answer.log_line()["request_id"].as_str().is_some_and(|id| id.len() == 36), "{answer:?}");
}

#[tokio::test]
async fn other_classes_and_forgeries_are_never_observed() {
    let lab = visit();
    lab.raw.send(&bearer_at(OBSERVED).without("authorization").build()).await.denied("credential_missing", 401);
    let expired = dpop_at(OBSERVED).token(|token| token.claims["exp"] = json!(1));
    lab.raw.send(&expired.build()).await.denied("token_expired", 401);
    let forged = dpop_at(OBSERVED).token(|token| token.signed_by(&keys().stranger, "ES256"));
    lab.raw.send(&forged.build()).await.denied("token_signature_invalid", 401);
    let forged = dpop_at(OBSERVED).proof(|proof| proof.signed_by(&keys().stranger, "ES256"));
    lab.raw.send(&forged.build()).await.denied("proof_signature_invalid", 401);
}

#[tokio::test]
async fn where_everything_is_observed_guardrails_and_forgeries_are_not() {
    let lab = visit();
    let nobody = || bearer_at(TRIAL).without("authorization").header("x-keybound-client", "root");
    let expired = dpop_at(TRIAL).token(|token| token.claims["exp"] = json!(1));
    let stranger = dpop_at(TRIAL).token(|token| token.claims["client_id"] = json!("stranger"));
    for (good, would_be) in [
        (nobody(), "credential_missing"),
        (expired, "token_expired"),
        (stranger, "client_unknown"),
        (dpop_at(TRIAL), "policy_not_permitted"),
    ] {
        let answer = lab.raw.send(&good.build()).await;
        assert_eq!(answer.passed("observed").identity(), []);
        assert_eq!(answer.decision["would_be"], would_be, "{answer:?}");
    }
    lab.raw.send(&nobody().method("DELETE").build()).await.denied("policy_guardrail", 403);
    lab.raw.send(&dpop_at(TRIAL).method("DELETE").build()).await.denied("policy_guardrail", 403);
    lab.raw.send(&nobody().path("/elsewhere").build()).await.denied("operation_unknown", 403);
    let forged = dpop_at(TRIAL).token(|token| token.signed_by(&keys().stranger, "ES256"));
    lab.raw.send(&forged.build()).await.denied("token_signature_invalid", 401);
}

#[tokio::test]
async fn a_replay_is_observed_without_an_identity() {
    let lab = visit();
    let request = dpop_at(OBSERVED).build();
    lab.raw.send(&request).await.allowed();
    let answer = lab.raw.send(&request).await;
    assert_eq!(answer.passed("observed").identity(), []);
    assert_eq!(answer.decision["would_be"], "proof_replayed");
}

#[tokio::test]
async fn an_exception_lets_its_client_pass_and_is_counted() {
    let lab = visit();
    let labels = [("api", "items"), ("waives", "proof")];
    let before = lab.lab.metric("keybound_exceptions_used_total", &labels);
    let answer = lab.raw.send(&excepted().build()).await;
    let told = answer.allowed().identity();
    assert!(
        told.contains(&("x-keybound-client", EXCEPTED)) && told.contains(&("x-keybound-proof", "none")),
        "{told:?}"
    );
    assert_eq!(answer.decision["waived"], json!(["proof"]));
    assert_eq!(answer.log_line()["waived"], "proof");
    assert!(lab.lab.metric("keybound_exceptions_used_total", &labels) >= before + 1.0);
}

#[tokio::test]
async fn an_exception_waives_the_demand_and_no_check() {
    let lab = visit();
    let stolen = dpop().token(|token| token.claims["client_id"] = json!(EXCEPTED)).scheme("Bearer").without("dpop");
    lab.raw.send(&stolen.build()).await.denied("binding_scheme_mismatch", 401);
    let delete = excepted().method("DELETE");
    lab.raw.send(&delete.build()).await.denied("policy_guardrail", 403);
}

#[tokio::test]
async fn an_exception_ends_by_itself() {
    let lab = visit();
    let ended = bearer_at(ITEMS).token(|token| token.claims["client_id"] = json!(ENDED));
    lab.raw.send(&ended.build()).await.denied("binding_missing", 401);
    // It was told at the start.
    let log = std::fs::read_to_string(lab.lab.log()).unwrap();
    assert!(log.contains(&format!("the exception for `{ENDED}` has ended")), "nothing is told of it");
}
