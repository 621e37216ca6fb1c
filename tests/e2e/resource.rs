//! The protected resource's metadata (RFC 9728): for anybody, without a token.

use serde_json::{Value, json};

use crate::lab::{told, visit};
use crate::requests::{ITEMS, bearer_at};

const PATH: &str = "/.well-known/oauth-protected-resource";

fn expected() -> Value {
    json!({
        "resource": "https://rs.example.com",
        "authorization_servers": ["https://as.example.com"],
        "scopes_supported": ["items.read"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "Ed25519", "EdDSA", "PS256"],
        "dpop_bound_access_tokens_required": false,
        "tls_client_certificate_bound_access_tokens": true,
    })
}

#[tokio::test]
async fn it_is_answered_through_envoy_without_a_token() {
    let lab = visit();
    let request = bearer_at(ITEMS).without("authorization").path(PATH).build();
    let answer = lab.raw.send(&request).await;
    assert_eq!((answer.code(), answer.response.status), ("answered", 200), "{answer:?}");
    assert_eq!(answer.response.one("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_slice::<Value>(&answer.response.body).unwrap(), expected());
    assert!(answer.reached.is_none(), "{answer:?}");
    // Only reading it is offered.
    let write = bearer_at(ITEMS).without("authorization").path(PATH).method("PUT").build();
    lab.raw.send(&write).await.denied("operation_unknown", 403);
}

#[tokio::test]
async fn it_is_answered_on_the_public_listener() {
    let lab = visit();
    let port = lab.lab.ports.public;
    let (status, head, body) = told::get(port, ITEMS, PATH).expect("a listener");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected());
    assert_eq!(told::get(port, "unknown.example.com", PATH).expect("a listener").0, 404);
    assert_eq!(told::get(port, ITEMS, "/metrics").expect("a listener").0, 404);
}
