#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use super::*;
use crate::config;
use crate::decision::jose::base64url_of;
use crate::decision::revocation::Revocations as _;
use crate::decision::revocation::{Bearer, Kind};
use crate::decision::token::Keyring;
use crate::edge::revocations::list::RevocationList;

const SECRET: &str = "Bearer 0123456789abcdef0123456789abcdef";
const CONFIG: &str = "\
listeners:
  check: [{ name: edge, address: 127.0.0.1:0 }]
  events: { address: 127.0.0.1:0 }
bundle: { directory: policies }
issuers:
  - { issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }
  - { issuer: https://ever.test, keys: { discovery: true }, audiences: [a] }
revocations:
  transmitters:
    - { name: idp, issuer: https://idp.test, audience: us, keys: { file: a }, may_revoke_for: [https://as.test, https://ever.test] }
    - { name: secret, issuer: https://secret.test, audience: us, keys: { file: a }, may_revoke_for: [https://as.test], authorization_file: s }
    - { name: polled, issuer: https://polled.test, audience: us, keys: { file: a }, may_revoke_for: [https://as.test], poll: { url: https://polled.test/poll, authorization_file: s } }
    - { name: fetched, issuer: https://fetched.test, audience: us, keys: { discovery: true }, may_revoke_for: [https://as.test] }
";

pub(super) fn receiver() -> (Receiver, Arc<RevocationList>, Arc<Metrics>) {
    let config = config::parse("keybound.yaml", CONFIG).unwrap().0;
    let (list, metrics) = (Arc::new(RevocationList::new([])), Arc::new(Metrics::new().unwrap()));
    let revocations = Arc::new(Revocations::open(Arc::clone(&list), None, Arc::clone(&metrics)).unwrap());
    let x = base64url_of(key(1).public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x}]}).to_string();
    let ring = Arc::new(Keyring::parse(set.as_bytes()).ok().unwrap());
    let with_keys =
        |each: &config::Transmitter| Transmitter { rules: Arc::clone(&each.rules), keys: Some(Arc::clone(&ring)) };
    let all = config.transmitters.iter().map(with_keys).collect();
    let authorizations = BTreeMap::from([("secret".to_owned(), authorization(SECRET.as_bytes()).unwrap())]);
    let transmitters = Arc::new(ArcSwap::from_pointee(Transmitters { all, authorizations }));
    let wanted = Wanted::default();
    (Receiver::new(&config, transmitters, revocations, wanted, Arc::clone(&metrics)), list, metrics)
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// A good SET with these claims in the place of its own.
fn set_of(changes: Value) -> (Value, Value) {
    let event = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    let subject = json!({"format": "iss_sub", "iss": "https://as.test", "sub": "alice"});
    let mut claims = json!({
        "iss": "https://idp.test", "aud": "us", "iat": clock::now(), "jti": "1", "sub_id": subject, "events": {event: {}},
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    (json!({"typ": "secevent+jwt", "alg": "EdDSA", "kid": "a"}), claims)
}

fn signed((header, claims): &(Value, Value), key: &Ed25519KeyPair) -> String {
    let part = |value: &Value| base64url_of(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    format!("{input}.{}", base64url_of(key.sign(input.as_bytes()).as_ref()))
}

fn set(changes: Value) -> String {
    signed(&set_of(changes), &key(1))
}

/// The same, of a key that has this `kid`.
pub(super) fn set_as(kid: &str, changes: Value) -> String {
    let (mut header, claims) = set_of(changes);
    header["kid"] = json!(kid);
    signed(&(header, claims), &key(1))
}

async fn push(receiver: &Receiver, body: String, headers: &[(header::HeaderName, &str)]) -> (u16, String) {
    let request = Request::post(PATH);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
    answered(receiver, request.body(Full::new(Bytes::from(body))).unwrap()).await
}

async fn answered(receiver: &Receiver, request: Request<Full<Bytes>>) -> (u16, String) {
    let response = receiver.answer(&Peer::default(), request).await;
    let status = response.status().as_u16();
    if status != 202 {
        assert_eq!(response.headers()[header::CONTENT_LANGUAGE], "en");
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn pushed(receiver: &Receiver, changes: Value) -> (u16, String) {
    push(receiver, set(changes), &[(CONTENT_TYPE, MEDIA_TYPE)]).await
}

fn code((status, body): &(u16, String)) -> (u16, String) {
    let told: Value = serde_json::from_str(body).unwrap();
    assert!(!told["description"].as_str().unwrap().is_empty());
    (*status, told["err"].as_str().unwrap_or_default().to_owned())
}

fn is_revoked(list: &RevocationList, target: &Target, issued: i64) -> bool {
    list.find(&target.name(), &Bearer { issued, skew_seconds: 0, now: clock::now() }).is_some()
}

fn alice() -> Target {
    Target::Subject { issuer: "https://as.test".to_owned(), sub: "alice".to_owned() }
}

#[tokio::test]
async fn ss_01_06_an_event_revokes_once_what_was_issued_until_it_happened() {
    let (receiver, list, metrics) = receiver();
    let at = clock::now() - 100;
    let event = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    let changes = || json!({"iat": at, "events": {event: {"event_timestamp": at - 10}}});
    for _ in 0..3 {
        assert_eq!(pushed(&receiver, changes()).await, (202, String::new()));
        assert_eq!(list.len(), 1);
    }
    assert!(is_revoked(&list, &alice(), at - 10) && !is_revoked(&list, &alice(), at - 9));
    let entry = receiver.revocations.page(None, 10, None, None).await.unwrap().0;
    let entry = &entry[0].stored.entry;
    assert_eq!(
        (entry.source.as_str(), entry.reason.as_str(), entry.case.as_deref()),
        ("ssf:idp", "session-revoked", Some("1"))
    );
    assert_eq!((entry.reported_at, entry.asked_at), ((at - 10) * 1_000, at * 1_000));
    assert_eq!(entry.expires_at, Some(at + KEPT_SECONDS));
    let text = metrics.text();
    let line = |outcome: &str| format!("event=\"session-revoked\",outcome=\"{outcome}\",transmitter=\"idp\"}}");
    assert!(
        text.contains(&format!("{} 1", line("revoked"))) && text.contains(&format!("{} 2", line("known"))),
        "{text}"
    );
}

#[tokio::test]
async fn ss_06_a_jti_of_another_event_is_refused_and_the_first_stays() {
    let (receiver, list, _) = receiver();
    assert_eq!(pushed(&receiver, json!({})).await.0, 202);
    let bob = json!({"format": "iss_sub", "iss": "https://as.test", "sub": "bob"});
    let again = pushed(&receiver, json!({"sub_id": bob})).await;
    assert_eq!((code(&again), list.len()), ((400, "invalid_request".to_owned()), 1));
    // The same event, with other times: known, and not an error that the transmitter could do something about.
    let later = pushed(&receiver, json!({"iat": clock::now() - 5})).await;
    assert_eq!((later.0, list.len()), (202, 1));
}

#[tokio::test]
async fn an_entry_ends_when_no_token_can_be_alive_if_tokens_end() {
    let (receiver, _, _) = receiver();
    let subject = |issuer: &str| json!({"format": "jwt_id", "iss": issuer, "jti": "t"});
    for (jti, issuer) in [("1", "https://as.test"), ("2", "https://ever.test")] {
        assert_eq!(pushed(&receiver, json!({"jti": jti, "sub_id": subject(issuer)})).await.0, 202);
    }
    let (entries, _) = receiver.revocations.page(None, 10, Some(Kind::Token), None).await.unwrap();
    let ends = |issuer: &str| {
        let of = entries.iter().find(|told| told.stored.entry.target.issuer() == Some(issuer)).unwrap();
        (of.stored.entry.expires_at.is_some(), of.stored.entry.not_issued_after)
    };
    assert_eq!((ends("https://as.test"), ends("https://ever.test")), ((true, None), (false, None)));
}

#[tokio::test]
async fn an_event_comes_the_way_that_config_says_and_is_its_transmitters_own() {
    let (receiver, list, _) = receiver();
    let polled = json!({"iss": "https://polled.test"});
    assert_eq!(code(&pushed(&receiver, polled.clone()).await), (400, "authentication_failed".to_owned()));
    let others = receiver.fetched("polled", set(json!({})).as_bytes()).await;
    assert_eq!((others.acknowledged(), list.len()), (Some(Err(ErrorCode::InvalidIssuer)), 0));
    let nobodys = receiver.fetched("nobody", set(json!({})).as_bytes()).await;
    assert_eq!(nobodys.acknowledged(), Some(Err(ErrorCode::InvalidIssuer)));
    let own = receiver.fetched("polled", set(polled).as_bytes()).await;
    assert_eq!((own.acknowledged(), list.len()), (Some(Ok(())), 1));
    assert_eq!(Answer::later("").acknowledged(), None, "it comes again");
}

#[tokio::test]
async fn ss_02_what_is_wrong_is_told_with_its_code_and_revokes_nothing() {
    let (receiver, list, _) = receiver();
    let elsewhere = json!({"format": "iss_sub", "iss": "https://elsewhere.test", "sub": "alice"});
    for (changes, told) in [
        (json!({"aud": "them"}), "invalid_audience"),
        (json!({"iss": "https://as.test"}), "invalid_issuer"),
        (json!({"sub_id": elsewhere}), "access_denied"),
        (json!({"exp": clock::now() + 60}), "invalid_request"),
    ] {
        let answer = pushed(&receiver, changes).await;
        assert_eq!(code(&answer), (400, told.to_owned()));
    }
    let content = [(CONTENT_TYPE, MEDIA_TYPE)];
    let forged = push(&receiver, signed(&set_of(json!({})), &key(2)), &content).await;
    assert_eq!(code(&forged), (400, "invalid_key".to_owned()));
    for body in [String::new(), "{}".to_owned(), "\0".repeat(100)] {
        assert_eq!(code(&push(&receiver, body, &content).await), (400, "invalid_request".to_owned()));
    }
    assert_eq!(code(&push(&receiver, "x".repeat(SET_BYTES + 1), &content).await).0, 413);
    for other in [&[][..], &[(CONTENT_TYPE, "application/jwt")], &[content[0].clone(), content[0].clone()]] {
        assert_eq!(code(&push(&receiver, set(json!({})), other).await).0, 415);
    }
    let request = |method: &str, path: &str| Request::builder().method(method).uri(path).body(Full::default()).unwrap();
    assert_eq!(code(&answered(&receiver, request("GET", PATH)).await).0, 405);
    assert_eq!(code(&answered(&receiver, request("POST", "/")).await).0, 404);
    assert_eq!(list.len(), 0);
    // A key that is fetched may have been renewed.
    let mut unknown = set_of(json!({"iss": "https://fetched.test"}));
    unknown.0["kid"] = json!("new");
    assert_eq!(push(&receiver, signed(&unknown, &key(1)), &content).await.0, 503);
    unknown.1["iss"] = json!("https://idp.test");
    assert_eq!(code(&push(&receiver, signed(&unknown, &key(1)), &content).await), (400, "invalid_key".to_owned()));
    assert_eq!(
        push(&receiver, set(json!({})), &[(CONTENT_TYPE, "Application/SecEvent+JWT; charset=utf-8")]).await.0,
        202
    );
}

#[tokio::test]
async fn ss_13_a_transmitter_shows_the_header_that_was_agreed_upon() {
    let (receiver, list, _) = receiver();
    let changes = || json!({"iss": "https://secret.test"});
    let content = (CONTENT_TYPE, MEDIA_TYPE);
    let long = format!("{SECRET}x");
    for shown in [vec![], vec![""], vec![&SECRET[1..]], vec![&long], vec![SECRET, SECRET]] {
        let mut headers = vec![content.clone()];
        headers.extend(shown.into_iter().map(|value| (AUTHORIZATION, value)));
        let answer = push(&receiver, set(changes()), &headers).await;
        assert_eq!((code(&answer), list.len()), ((400, "authentication_failed".to_owned()), 0));
    }
    assert_eq!(push(&receiver, set(changes()), &[content, (AUTHORIZATION, SECRET)]).await.0, 202);
    // Nobody else needs one.
    assert_eq!(pushed(&receiver, json!({})).await.0, 202);
    for bad in ["", "short", "Bearer 0123456789\u{7f}abcdef", &"x".repeat(1_025)] {
        assert!(authorization(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn ss_12_what_revokes_nothing_is_counted_and_answered_202() {
    let (receiver, list, metrics) = receiver();
    let uri = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    let opaque = json!({"format": "opaque", "id": "stream"});
    let verification = json!({"jti": "v", "sub_id": opaque, "events": {uri: {"state": "x"}}});
    assert_eq!(pushed(&receiver, verification).await, (202, String::new()));
    assert_eq!(pushed(&receiver, json!({"jti": "o", "sub_id": opaque})).await, (202, String::new()));
    assert_eq!(list.len(), 0);
    let text = metrics.text();
    assert!(text.contains("event=\"verification\",outcome=\"recorded\",transmitter=\"idp\"} 1"), "{text}");
    assert!(text.contains("event=\"session-revoked\",outcome=\"unheeded\",transmitter=\"idp\"} 1"), "{text}");
}

#[tokio::test]
async fn a_thousand_junk_events_hold_up_nobody_whose_are_good() {
    let (receiver, list, _) = receiver();
    let junk = (0..1_000).map(|number| push(&receiver, format!("{number}.x.y"), &[(CONTENT_TYPE, MEDIA_TYPE)]));
    let begun = Instant::now();
    let good = async {
        let status = pushed(&receiver, json!({})).await.0;
        (status, begun.elapsed())
    };
    let (junk, (status, took)) = tokio::join!(futures_util::future::join_all(junk), good);
    assert_eq!((status, list.len()), (202, 1));
    assert!(took < Duration::from_secs(2), "{took:?}");
    let count = |status: u16| junk.iter().filter(|answer| answer.0 == status).count();
    assert_eq!((count(400), count(429)), (HELD, 1_000 - HELD), "some are held up, the rest is refused at once");
}

#[tokio::test]
async fn ss_01_what_is_not_stored_bites_and_is_asked_for_again() {
    let (receiver, list, metrics) = receiver();
    // From now on nothing is stored.
    receiver.revocations.close().await;
    for _ in 0..2 {
        let (status, body) = pushed(&receiver, json!({})).await;
        assert_eq!((status, list.len()), (503, 1), "{body}");
    }
    assert!(is_revoked(&list, &alice(), clock::now() - 100));
    let line = "event=\"session-revoked\",outcome=\"not_stored\",transmitter=\"idp\"} 2";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}
