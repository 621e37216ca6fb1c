//! Opaque tokens: of a real authorization server, which is asked, revokes and dies; and of one that counts how often it is asked.

pub mod authority;
mod counting;

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use self::authority::Authority;
use self::counting::{Counting, GOOD};
use crate::lab::files::{Plan, bundle, issuer};
use crate::lab::{Lab, place};
use crate::requests::{ISSUER, dpop, opaque_dpop, opaque_mtls};
use crate::send::Direct;
use crate::support::issuers::AUDIENCE;
use crate::support::{Encoding, fresh_id, keys};

/// Answers count for a second; two more on a busy machine.
const CACHE: Duration = Duration::from_secs(3);

/// A keybound with an API whose opaque tokens this issuer is asked about.
pub fn plan(name: &str, introspection: &str) -> Plan {
    let mut files = bundle();
    let apis = files.get_mut("apis.yaml").expect("an inventory");
    let opaque = format!(
        "  - id: opaque
    owner: items-team
    sensitivity: medium
    hosts: {{ opaque.example.com: \"https://opaque.example.com\" }}
    issuers: [\"{name}\"]
    introspection: {{ issuer: \"{name}\" }}
    proof: required
    clients: any
    operations:
      - {{ method: GET, path: \"/items/{{item_id}}\", action: items.read, scopes: [items.read] }}
"
    );
    apis.push_str(&opaque);
    let signing = issuer(ISSUER, "file: \"{directory}/keys.json\"", "");
    let keys =
        if introspection.contains("signed:") { format!("keys: {{ url: \"{name}/jwks\" }}, ") } else { String::new() };
    let asked = format!(
        "  - {{ issuer: \"{name}\", audiences: [\"{AUDIENCE}\"], max_lifetime_seconds: 3600, allow_loopback_http: true, {keys}\
         introspection: {{ {introspection} }} }}\n"
    );
    Plan { issuers: signing + &asked, bundle: files, ..Plan::default() }
}

/// What a real server's tokens come to, where keybound is this client of it.
async fn story(name: &str, id: &str, auth: &str) {
    let directory = place::directory(name);
    let authority = Authority::start(&directory);
    let place = if id == "keybound-basic" { "discovery: true" } else { "url: \"@/token/introspection\"" };
    let place = place.replace('@', &authority.issuer);
    let section = format!("{place}, client_id: {id}, auth: {{ {auth} }}, cache_seconds: 1, negative_cache_seconds: 0");
    let mut plan = plan(&authority.issuer, &section);
    plan.sections += "jwks: { ca_file: as.crt, cooldown_seconds: 1 }\n";
    let lab = Lab::ready(name, &plan);
    let direct = Direct::tcp(lab.ports.check).await;
    let check = async |request| direct.check(&request, Encoding::Raw).await;

    let (token, bound) = (authority.token("robot").await, authority.token("mtls-robot").await);
    let begun = Instant::now();
    while check(opaque_dpop(&token).build()).await.slug != "allowed" {
        // Where the endpoint is discovered, it may not be known yet; and the first call signs and shakes hands.
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", check(opaque_dpop(&token).build()).await.slug);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    check(opaque_mtls(&bound).build()).await.allowed();
    // What is active is not yet proven.
    check(opaque_mtls(&bound).without_certificate().build()).await.denied("certificate_missing", 401);
    check(opaque_dpop(&token).scheme("Bearer").without("dpop").build()).await.denied("binding_scheme_mismatch", 401);
    let stranger = opaque_dpop(&token).proof(|proof| {
        proof.header["jwk"] = keys().stranger.jwk();
        proof.signed_by(&keys().stranger, "ES256");
    });
    check(stranger.build()).await.denied("proof_key_mismatch", 401);
    check(opaque_dpop(&fresh_id()).build()).await.denied("token_inactive", 401);

    authority.revoke("robot", &token).await;
    let revoked = Instant::now();
    loop {
        let judged = check(opaque_dpop(&token).build()).await;
        if judged.slug != "allowed" {
            judged.denied("token_inactive", 401);
            break;
        }
        assert!(revoked.elapsed() < CACHE, "a revoked token is still allowed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Others' tokens are as good as before; without their issuer nobody knows.
    check(opaque_mtls(&bound).build()).await.allowed();
    authority.kill();
    tokio::time::sleep(CACHE).await;
    for _ in 0..8 {
        check(opaque_mtls(&bound).build()).await.denied("fault_introspection_unavailable", 503);
    }
    check(dpop().build()).await.allowed();
    assert!(lab.is_ready(), "readiness does not depend on it");
    let counted = |outcome: &str| lab.metric("keybound_introspection_total", &[("outcome", outcome)]);
    assert!(counted("active") >= 2.0 && counted("inactive") >= 2.0 && counted("failed") >= 5.0);
}

#[tokio::test]
async fn opaque_tokens_of_a_real_server_are_good_until_they_are_revoked() {
    story("opaque-basic", "keybound-basic", "client_secret_basic: secret").await;
}

#[tokio::test]
async fn a_real_server_takes_our_signed_assertions() {
    story("opaque-jwt", "keybound-jwt", "private_key_jwt: { key: own.key }").await;
}

#[tokio::test]
async fn a_real_server_takes_our_certificate() {
    story("opaque-tls", "keybound-tls", "tls_client_auth: { certificate: caller.crt, key: caller.key }").await;
}

#[tokio::test]
async fn a_real_server_signs_its_answers() {
    let auth = "client_secret_basic: secret }, signed: { algorithms: [ES256]";
    story("opaque-signed", "keybound-signed", auth).await;
}

#[tokio::test]
async fn an_answer_that_is_not_signed_is_none_where_it_must_be() {
    let (lab, counting) = counted("opaque-unsigned", ", signed: {}");
    let direct = Direct::tcp(lab.ports.check).await;
    let token = format!("{GOOD}{}", fresh_id());
    let judged = direct.check(&opaque_dpop(&token).build(), Encoding::Raw).await;
    judged.denied("fault_introspection_unavailable", 503);
    assert_eq!(counting.calls(), 1, "it was asked");
}

/// A keybound that asks a server which counts.
fn counted(name: &str, more: &str) -> (Lab, Counting) {
    let counting = Counting::start();
    std::fs::write(place::directory(name).join("secret"), fresh_id()).expect("a written file");
    let url = format!("{}/introspect", counting.issuer());
    let section = format!("url: \"{url}\", client_id: us, auth: {{ client_secret_basic: secret }}{more}");
    (Lab::ready(name, &plan(&counting.issuer(), &section)), counting)
}

#[tokio::test]
async fn a_hundred_requests_with_one_token_are_one_call() {
    let (lab, counting) = counted("stampede", "");
    let direct = Direct::tcp(lab.ports.check).await;
    let token = format!("{GOOD}{}", fresh_id());
    let requests: Vec<_> = (0..100).map(|_| opaque_dpop(&token).build()).collect();
    for judged in join_all(requests.iter().map(|request| direct.check(request, Encoding::Raw))).await {
        judged.allowed();
    }
    assert_eq!(counting.calls(), 1);
    // Through a real Envoy too, and the API is told who it is.
    let edge = lab.edge();
    let answer = edge.send(&opaque_dpop(&token).build()).await;
    let reached = answer.allowed();
    assert_eq!(reached.header("x-keybound-client"), Some("robot"));
    assert_eq!(reached.header("x-keybound-issuer"), Some(counting.issuer().as_str()));
    edge.send(&requests[0]).await.denied("proof_replayed", 401);
    edge.send(&opaque_dpop(&fresh_id()).build()).await.denied("token_inactive", 401);
    // Another API does not show the token to anybody.
    let calls = counting.calls();
    edge.send(&dpop().opaque_text(token).build()).await.denied("token_malformed", 401);
    assert_eq!(counting.calls(), calls);
}

#[tokio::test]
async fn a_flood_of_random_tokens_is_no_flood_to_the_issuer_and_holds_up_nobody_else() {
    const FLOOD: usize = 10_000;
    let (lab, counting) = counted("opaque-flood", ", max_per_second: 20, max_in_flight: 4");
    let direct = Direct::tcp(lab.ports.check).await;
    let begun = Instant::now();
    let mut asked = 0;
    for _ in 0..FLOOD / 200 {
        let flood = (0..200).map(|_| {
            let direct = direct.clone();
            async move {
                let random = opaque_mtls(&fresh_id()).without_certificate().build();
                let judged = direct.check(&random, Encoding::Raw).await;
                match judged.slug.as_str() {
                    "token_inactive" => judged.denied("token_inactive", 401),
                    _ => judged.denied("fault_introspection_unavailable", 503),
                }
                usize::from(judged.slug == "token_inactive")
            }
        });
        asked += join_all(flood).await.into_iter().sum::<usize>();
        // A good client of another API is served meanwhile.
        direct.check(&dpop().build(), Encoding::Raw).await.allowed();
    }
    let seconds = begun.elapsed().as_secs() + 1;
    let calls = counting.calls();
    // A second's worth at once, and as many in each second.
    assert!(calls as u64 <= 20 * (seconds + 1), "{calls} calls in {seconds} s");
    assert_eq!(calls, asked, "who was not asked about is told so");
    // When it is over, the API's own clients are served again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    direct.check(&opaque_dpop(&format!("{GOOD}{}", fresh_id())).build(), Encoding::Raw).await.allowed();
    let counted = |outcome: &str| lab.metric("keybound_introspection_total", &[("outcome", outcome)]);
    assert!((counted("over_budget") + counted("inactive") - 10_000.0).abs() < 0.5);
    assert!(lab.is_ready());
}
