//! No token, proof, key or certificate is written anywhere. Every lab is searched when a test is done with it; here the search
//! itself is shown to find, and what ends up in an error is searched too.

use crate::lab::{must_be_free_of_secrets, secrets, visit};
use crate::requests::{dpop, mtls};
use crate::send::Direct;
use crate::send::direct::framed;
use crate::support::Encoding;
use crate::support::wire::encode;

#[tokio::test]
async fn the_search_finds_what_it_is_for() {
    let lab = visit();
    let request = mtls().build();
    let answer = lab.raw.send(&request).await;
    let reached = answer.allowed();
    // The API was given the token, so what it saw holds a secret.
    let token = reached.header("authorization").expect("a token");
    for text in [token, &token[40..], &token[60..110], &request.certificate.unwrap().encoded()[300..420]] {
        assert!(secrets::find(format!("before {text} after").as_bytes()).is_some());
    }
    assert!(secrets::find(format!("{:?}", answer.decision).as_bytes()).is_none());
    assert!(secrets::count() > 100);
}

#[tokio::test]
async fn broken_credentials_are_quoted_nowhere() {
    let lab = visit();
    let spoiled = |text: Vec<u8>| [&text[..text.len() - 30], b"!?", &text[text.len() - 30..]].concat();
    for request in [
        dpop().edit_header("authorization", spoiled).build(),
        dpop().edit_header("dpop", spoiled).build(),
        dpop().token(|token| token.edit_claims(|text| text.replace('}', ""))).build(),
        dpop().path("/nowhere").build(),
        dpop().host("nowhere.example.com").build(),
        mtls().without_certificate().build(),
    ] {
        let answer = lab.raw.send(&request).await;
        assert!(answer.reached.is_none(), "{}", answer.code());
        must_be_free_of_secrets("the body", &answer.response.body);
        for (name, value) in &answer.response.headers {
            must_be_free_of_secrets(name, value.as_bytes());
        }
        must_be_free_of_secrets("the log line", answer.log_line().to_string().as_bytes());
    }
    // A message that cannot be decoded holds whole credentials.
    let direct = Direct::tcp(lab.lab.ports.check).await;
    let message = encode(&dpop().build(), Encoding::Raw);
    let broken = [&message[..], &[0xFF; 3]].concat();
    direct.call(&[], framed(0, &broken)).await.denied("request_malformed", 400);
}
