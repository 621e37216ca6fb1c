//! Revocations that come while a check waits for an issuer, and names that are written in another way than they were revoked.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use keybound::edge::clock;
use serde_json::json;

use crate::introspection::plan;
use crate::lab::files::replace;
use crate::lab::{place, serve_in_background};
use crate::requests::{ISSUER, mtls, opaque_dpop};
use crate::revocation::Desk;
use crate::send::Direct;
use crate::support::issuers::AUDIENCE;
use crate::support::{Encoding, Good, Request, fresh_id, keys, sha256};

/// How long an issuer takes to answer: longer than a revocation does.
const SLOW: Duration = Duration::from_secs(1);

/// An issuer that vouches for every token, late.
fn slow_issuer() -> String {
    let answer = async || {
        tokio::time::sleep(SLOW).await;
        let now = clock::now();
        let said = json!({
            "active": true, "token_type": "DPoP", "client_id": "robot", "sub": "alice",
            "aud": AUDIENCE, "scope": "items.read", "iat": now, "exp": now + 300, "cnf": {"jkt": keys().client.thumbprint()},
        });
        ([("content-type", "application/json")], said.to_string())
    };
    format!("http://127.0.0.1:{}", serve_in_background(Router::new().route("/introspect", post(answer)), 0))
}

async fn judged(desk: &Desk, request: &Request) -> String {
    Direct::tcp(desk.lab.ports.check).await.check(request, Encoding::Raw).await.slug
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_while_an_issuer_is_asked_is_refused_when_it_answers() {
    let issuer = slow_issuer();
    let asked = "client_id: k, auth: { client_secret_basic: secret }, timeout_milliseconds: 3000, \
                 url: \"@/introspect\", cache_seconds: 1";
    let name = "meanwhile";
    replace(&place::directory(name).join("secret"), "secret");
    let desk = Desk::planned(name, plan(&issuer, &asked.replace('@', &issuer)));
    let edge = desk.lab.edge();
    edge.send(&opaque_dpop(&fresh_id()).build()).await.allowed();
    let token = fresh_id();
    let hash = sha256(&token);
    let jkt = keys().client.thumbprint();
    let kinds: [&[&str]; 4] = [
        &["token-hash", "--issuer", &issuer, "--sha256", &hash],
        &["subject", "--issuer", &issuer, "--sub", "alice"],
        &["client", "--issuer", &issuer, "--client-id", "robot"],
        &["proof-key", "--jkt", &jkt],
    ];
    for kind in kinds {
        // Nothing is remembered of the one before.
        let token = if kind[0] == "token-hash" { token.clone() } else { fresh_id() };
        let (begun, request) = (Instant::now(), opaque_dpop(&token).build());
        let check = async {
            let answer = edge.send(&request).await;
            (answer, begun.elapsed())
        };
        let revoke = async {
            tokio::time::sleep(SLOW / 5).await;
            let told = tokio::task::block_in_place(|| desk.done(&[kind, &["--reason", "an exercise"]].concat()));
            (told["entry"]["id"].as_str().expect("an id").to_owned(), begun.elapsed())
        };
        let ((answer, ended), (id, revoked)) = futures_util::join!(check, revoke);
        assert!(revoked < ended && ended > SLOW / 2, "{kind:?}: it did not wait: {revoked:?}, {ended:?}");
        answer.denied("token_revoked", 401);
        assert_eq!(answer.decision["revocation"], id.as_str(), "{kind:?}");
        desk.done(&["cancel", &id, "--reason", "the exercise is over"]);
    }
}

#[tokio::test]
async fn a_name_is_what_it_says_however_json_has_it_written() {
    let desk = Desk::open("names");
    let subject = |sub: &'static str| -> Good { mtls().token(move |token| token.claims["sub"] = json!(sub)) };
    let escaped = |from: &'static str, to: &'static str| {
        subject("al\u{ed}ce").token(move |token| token.edit_claims(move |text| text.replace(from, to))).build()
    };
    let written = [escaped("al\u{ed}ce", "al\\u00edce"), escaped("al\u{ed}ce", "\\u0061l\\u00EDc\\u0065")];
    for request in &written {
        assert_eq!(judged(&desk, request).await, "allowed");
    }
    desk.done(&["subject", "--issuer", ISSUER, "--sub", "al\u{ed}ce", "--reason", "an exercise"]);
    for request in &written {
        assert_eq!(judged(&desk, request).await, "token_revoked");
    }
    // Others are others: names are compared byte by byte, as RFC 7519 §4.1.2 has them.
    for other in ["ali\u{301}ce", "AL\u{cd}CE", "al\u{ed}ce ", "alice"] {
        assert_eq!(judged(&desk, &subject(other).build()).await, "allowed", "{other}");
    }
    // What is no string is no name that could not be revoked.
    let number = mtls().token(|token| token.claims["sub"] = json!(7)).build();
    assert_eq!(judged(&desk, &number).await, "token_claim_malformed");
    for name in ["sid", "jti"] {
        let empty = mtls().token(move |token| token.claims[name] = json!("")).build();
        assert_eq!(judged(&desk, &empty).await, "token_claim_malformed", "{name}");
    }
    // A token that does not name its key was verified with one all the same.
    let unnamed = || mtls().token(|token| token.without_header("kid")).build();
    assert_eq!(judged(&desk, &unnamed()).await, "allowed");
    desk.done(&["key", "--issuer", ISSUER, "--kid", crate::support::issuers::KID, "--reason", "an exercise"]);
    assert_eq!(judged(&desk, &unnamed()).await, "token_revoked");
}

#[tokio::test]
async fn a_key_that_is_published_under_two_names_is_revoked_by_either() {
    let desk = Desk::open("twin");
    let twins = [keys().server.jwk_as("old-name", &json!({})), keys().server.jwk_as("twin", &json!({"alg": "ES256"}))];
    let set = json!({ "keys": twins });
    replace(&desk.lab.directory.join("keys.json"), set.to_string());
    let of = |kid: Option<&'static str>| {
        let request = mtls().token(move |token| match kid {
            Some(kid) => token.header["kid"] = json!(kid),
            None => token.without_header("kid"),
        });
        request.build()
    };
    let begun = Instant::now();
    while judged(&desk, &of(Some("twin"))).await != "allowed" {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new keys are not served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    desk.done(&["key", "--issuer", ISSUER, "--kid", "twin", "--reason", "leaked"]);
    for kid in [Some("twin"), Some("old-name"), None] {
        assert_eq!(judged(&desk, &of(kid)).await, "token_revoked", "{kid:?}");
    }
}
