#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;

#[test]
fn an_exposed_secret_is_not_written_to_disk() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let ed = |kid: &str| serde_json::json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
    let mut private = ed("b");
    private.as_object_mut().unwrap().insert("d".to_owned(), "secret".into());
    let symmetric = serde_json::json!({"kty": "oct", "k": "secret"});
    let document = serde_json::json!({"keys": [symmetric, ed("a"), private, ed("c")]}).to_string();
    let ring = Keyring::parse(document.as_bytes()).ok().unwrap();
    let kept = without(document.as_bytes(), &secrets(&ring)).unwrap();
    assert_eq!(kept, serde_json::json!({"keys": [ed("a"), ed("c")]}));
    assert_eq!(Keyring::parse(kept.to_string().as_bytes()).ok().unwrap().len(), ring.len());
}
