#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Instant;

use http::header::AUTHORIZATION;

use super::*;
use crate::config;
use crate::edge::revocations::list::RevocationList;
use crate::telemetry::metrics::Metrics;

const SOC: &str = "soc-0123456789abcdef0123456789abcdef";
const READER: &str = "reader-0123456789abcdef0123456789abcdef";
const CONFIG: &str = "\
listeners:
  check: [{ name: edge, address: 127.0.0.1:0 }]
  admin: { address: 127.0.0.1:0, tls: { certificate: a, key: b, client_ca: c } }
bundle: { directory: policies }
issuers:
  - { issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }
  - { issuer: https://ever.test, keys: { discovery: true }, audiences: [a] }
admin:
  callers:
    - { name: soc, bearer_file: soc, may: [read, revoke, cancel] }
    - { name: reader, bearer_file: reader, may: [read] }
    - { name: robot, certificate: spiffe://x.test/robot, may: [revoke] }
";

fn api() -> (Admin, Arc<RevocationList>) {
    let config = config::parse("keybound.yaml", CONFIG).unwrap().0;
    let list = Arc::new(RevocationList::new([]));
    let metrics = Arc::new(Metrics::new().unwrap());
    let revocations = Arc::new(Revocations::open(Arc::clone(&list), None, metrics).unwrap());
    let bearers = Bearers::default();
    let hashes =
        [("soc", SOC), ("reader", READER)].map(|(name, text)| (name.to_owned(), bearer(text.as_bytes()).unwrap()));
    bearers.store(Arc::new(BTreeMap::from(hashes)));
    (Admin::new(&config, bearers, revocations), list)
}

/// Asks, and reads status and document.
async fn ask(admin: &Admin, who: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {who}"));
    answered(admin, &Peer::default(), request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await
}

async fn answered(admin: &Admin, peer: &Peer, request: Request<Full<Bytes>>) -> (u16, Value) {
    let response = admin.answer(peer, request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn post(admin: &Admin, body: &Value) -> (u16, Value) {
    ask(admin, SOC, "POST", PATH, &body.to_string()).await
}

fn subject(sub: &str) -> Value {
    json!({ "target": { "kind": "subject", "issuer": "https://as.test", "sub": sub }, "reason": "stolen" })
}

const ID: &str = "000102030405060708090a0b0c0d0e0f";

#[tokio::test]
async fn a_revocation_is_asked_shown_and_taken_back() {
    let (admin, list) = api();
    let (status, told) = post(&admin, &subject("a")).await;
    assert_eq!((status, list.len()), (201, 1), "{told}");
    let entry = &told["entry"];
    assert_eq!((&told["state"], &told["stored"]), (&json!("in_force"), &json!(true)));
    assert_eq!((&entry["source"], &entry["asked_by"]), (&json!("admin"), &json!("soc")));
    assert!(entry["not_issued_after"].is_string() && entry.get("expires_at").is_none(), "who goes on: {told}");
    let path = format!("{PATH}/{}", entry["id"].as_str().unwrap());
    assert_eq!(ask(&admin, READER, "GET", &path, "").await, (200, told.clone()));
    let (status, refused) = ask(&admin, READER, "DELETE", &path, r#"{"reason":"found"}"#).await;
    assert_eq!((status, list.len()), (403, 1), "{refused}");
    for _ in 0..2 {
        let (status, told) = ask(&admin, SOC, "DELETE", &path, r#"{"reason":"found","case":"INC-1"}"#).await;
        assert_eq!((status, &told["state"], list.len()), (200, &json!("cancelled"), 0), "{told}");
        assert_eq!((&told["cancel"]["reason"], &told["cancel"]["asked_by"]), (&json!("found"), &json!("soc")));
    }
    let (status, told) = ask(&admin, SOC, "GET", &format!("{PATH}/{ID}"), "").await;
    assert_eq!(status, 404, "{told}");
    assert_eq!(ask(&admin, SOC, "DELETE", &format!("{PATH}/{ID}"), r#"{"reason":"x"}"#).await.0, 404);
}

#[tokio::test]
async fn asking_again_is_asking_once() {
    let (admin, list) = api();
    let mut one = subject("a");
    one["id"] = json!(ID);
    let (status, first) = post(&admin, &one).await;
    assert_eq!(status, 201);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(post(&admin, &one).await, (200, first), "with the time of the first ask");
    let mut other = subject("b");
    other["id"] = json!(ID);
    let (status, told) = post(&admin, &other).await;
    assert_eq!((status, list.len()), (409, 1), "{told}");
    // By another caller it is another ask.
    let peer = Peer { uris: vec!["spiffe://x.test/robot".to_owned()], ..Peer::default() };
    let by_robot = Request::builder().method("POST").uri(PATH).body(Full::new(Bytes::from(one.to_string()))).unwrap();
    assert_eq!(answered(&admin, &peer, by_robot).await.0, 409);
    ask(&admin, SOC, "DELETE", &format!("{PATH}/{ID}"), r#"{"reason":"found"}"#).await;
    let (status, told) = post(&admin, &one).await;
    assert_eq!((status, list.len()), (409, 0), "nobody may think that it is revoked: {told}");
    assert!(told["detail"].as_str().unwrap().contains("not revoked"), "{told}");
}

#[tokio::test]
async fn what_is_in_force_is_not_said_to_be_not_revoked_when_the_journal_cannot_be_read() {
    let (admin, list) = api();
    let asked = async |id: &str, sub: &str| {
        let mut one = subject(sub);
        one["id"] = json!(id);
        let (status, told) = post(&admin, &one).await;
        (status, told["in_force"].clone())
    };
    let taken_back = ID.replace('0', "1");
    assert_eq!((asked(ID, "a").await.0, asked(&taken_back, "b").await.0), (201, 201));
    ask(&admin, SOC, "DELETE", &format!("{PATH}/{taken_back}"), r#"{"reason":"found"}"#).await;
    admin.revocations.close().await;
    assert_eq!(ask(&admin, SOC, "GET", &format!("{PATH}/{ID}"), "").await.0, 503);
    assert_eq!(asked(ID, "a").await, (503, json!([ID])));
    assert_eq!((asked(ID, "c").await.0, asked(&taken_back, "b").await.0, list.len()), (409, 409, 1));
    // News bites all the same, and is known when it is asked again.
    let news = ID.replace('0', "2");
    for _ in 0..2 {
        assert_eq!((asked(&news, "d").await, list.len()), ((503, json!([news])), 2));
    }
}

#[tokio::test]
async fn what_is_left_out_depends_on_what_is_named() {
    let (admin, _) = api();
    let asked =
        async |target: Value| post(&admin, &json!({ "target": target, "reason": "x" })).await.1["entry"].clone();
    let token = asked(json!({ "kind": "token", "issuer": "https://as.test", "jti": "a" })).await;
    let life = when::millis_of(token["expires_at"].as_str().unwrap()).unwrap()
        - when::millis_of(token["asked_at"].as_str().unwrap()).unwrap();
    assert!((86_519_000..=86_520_000).contains(&life), "{token}");
    let ever = asked(json!({ "kind": "token", "issuer": "https://ever.test", "jti": "a" })).await;
    assert_eq!(ever.get("expires_at"), None, "{ever}");
    let client = asked(json!({ "kind": "client", "issuer": "https://as.test", "client_id": "a" })).await;
    assert_eq!((client.get("expires_at"), client.get("not_issued_after")), (None, None), "{client}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_what_would_be_right() {
    let (admin, list) = api();
    let with = |name: &str, value: Value| {
        let mut body = subject("a");
        body[name] = value;
        body.to_string()
    };
    let token = json!({ "kind": "token", "issuer": "https://as.test", "jti": "a" });
    let ever = json!({ "kind": "token", "issuer": "https://ever.test", "jti": "a" });
    let ending = |target: &Value, at: &str| json!({ "target": target, "reason": "x", "expires_at": at }).to_string();
    let good = subject("a").to_string();
    let twice = good.replacen("\"reason\"", "\"reason\":\"x\",\"reason\"", 1);
    let member = good.replacen("\"sub\"", "\"sub\":\"b\",\"sub\"", 1);
    for (body, status, what) in [
        (String::new(), 400, "EOF"),
        ("{".to_owned(), 400, "EOF"),
        ("[]".to_owned(), 422, "0 entries"),
        ("{}".to_owned(), 422, "missing field"),
        (twice, 422, "duplicate field `reason`"),
        (member, 422, "duplicate field `sub`"),
        (with("more", json!(1)), 422, "unknown field `more`"),
        (with("id", json!("x")), 422, "not an id"),
        (with("reason", json!("")), 422, "`reason` is empty"),
        (with("reason", json!("x".repeat(513))), 422, "`reason` has 513 bytes"),
        (with("case", json!("x".repeat(129))), 422, "`case` has 129 bytes"),
        (with("target", json!({ "kind": "all" })), 422, "unknown variant `all`"),
        (with("target", json!({ "kind": "issuer", "issuer": "https://as.tset" })), 422, "no token of this issuer"),
        (with("target", json!({ "kind": "certificate", "x5t#S256": "AA" })), 422, "43 characters"),
        (with("target", json!({ "kind": "certificate_serial", "issuer": "CN=a", "serial": "0A" })), 422, "serial"),
        (with("expires_at", json!("2020-01-01T00:00:00Z")), 422, "`expires_at` is before"),
        (with("expires_at", json!("tomorrow")), 422, "not a time"),
        (with("reported_at", json!("2999-01-01T00:00:00Z")), 422, "in the future"),
        (ending(&token, &when::text_of_millis(clock::millis() + 3_600_000)), 422, "`expires_at` is before"),
        (ending(&ever, "2999-01-01T00:00:00Z"), 422, "live for ever"),
        (with("case", json!("x".repeat(BODY_BYTES))), 413, "too large"),
        (format!("[{}]", vec!["0"; MANY_BYTES].join(",")), 413, "too large"),
        (format!("{}1{}", "[".repeat(200), "]".repeat(200)), 422, "invalid type: sequence"),
    ] {
        let (answered, told) = ask(&admin, SOC, "POST", PATH, &body).await;
        let short: String = body.chars().take(200).collect();
        assert_eq!(answered, status, "{short}: {told}");
        assert!(told["detail"].as_str().unwrap().contains(what), "{short}: {told}");
        assert!(!told["remedy"].as_str().unwrap().is_empty(), "{told}");
    }
    let (_, told) = ask(&admin, SOC, "POST", PATH, &with("target", json!({ "kind": "issuer", "issuer": "x" }))).await;
    assert!(told["remedy"].as_str().unwrap().contains("https://as.test, https://ever.test"), "{told}");
    assert_eq!(list.len(), 0, "nothing was taken");
}

#[tokio::test]
async fn many_are_all_taken_or_none() {
    let (admin, list) = api();
    let many = |count: usize| (0..count).map(|number| subject(&number.to_string())).collect::<Vec<_>>();
    let mut bad = many(3);
    bad[2]["reason"] = json!("");
    let (status, told) = post(&admin, &json!(bad)).await;
    assert_eq!((status, &told["index"], list.len()), (422, &json!(2), 0), "{told}");
    let mut same = many(2);
    same[0]["id"] = json!(ID);
    same[1]["id"] = json!(ID);
    assert_eq!(post(&admin, &json!(same)).await.0, 422);
    assert_eq!(post(&admin, &json!(many(MANY + 1))).await.0, 422);
    let (status, told) = post(&admin, &json!(many(MANY))).await;
    assert_eq!((status, told.as_array().unwrap().len(), list.len()), (201, MANY, MANY));
    let (mut seen, mut after) = (0, String::new());
    loop {
        let (status, page) = ask(&admin, READER, "GET", &format!("{PATH}?kind=subject&limit=300{after}"), "").await;
        assert_eq!(status, 200, "{page}");
        seen += page["entries"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, MANY);
    let of = async |query: &str| ask(&admin, READER, "GET", &format!("{PATH}?{query}"), "").await;
    assert_eq!(of("kind=client").await.1["entries"], json!([]));
    assert_eq!(of("issuer=https%3A%2F%2Fas.test&limit=1").await.1["entries"].as_array().unwrap().len(), 1);
    for query in ["kind=all", "limit=0", "limit=1001", "after=x", "colour=red", "limit=1&limit=2"] {
        assert_eq!(of(query).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn nobody_is_let_in_who_does_not_show_who_it_is() {
    let (admin, list) = api();
    let body = || Full::new(Bytes::from(subject("a").to_string()));
    let request = |fields: &[String]| {
        let empty = Request::builder().method("POST").uri(PATH);
        let all = fields.iter().fold(empty, |request, field| request.header(AUTHORIZATION, field));
        all.body(body()).unwrap()
    };
    let good = format!("Bearer {SOC}");
    let shown: [Vec<String>; 8] = [
        vec![],
        vec!["Bearer ".to_owned()],
        vec![format!("Bearer {SOC}x")],
        vec![format!("Bearer {}", SOC.get(1..).unwrap())],
        vec![format!("Basic {SOC}")],
        vec![SOC.to_owned()],
        vec![format!("Bearer  {SOC}")],
        vec![good.clone(), good.clone()],
    ];
    for fields in shown {
        let (status, told) = answered(&admin, &Peer::default(), request(&fields)).await;
        assert_eq!(status, 401, "{fields:?}: {told}");
        assert!(!told.to_string().contains("soc-0123"), "{told}");
    }
    let named = |uris: &[&str], dns_names: &[&str]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Peer { uris: owned(uris), dns_names: owned(dns_names), ..Peer::default() }
    };
    let (robot, stranger) = ("spiffe://x.test/robot", "spiffe://x.test/stranger");
    assert_eq!(answered(&admin, &named(&[stranger], &[]), request(&[])).await.0, 401);
    assert_eq!(answered(&admin, &named(&[], &[robot]), request(&[])).await.0, 401, "a DNS name that reads like a URI");
    assert_eq!(answered(&admin, &named(&[robot], &[]), request(&["Bearer x".to_owned()])).await.0, 401);
    assert_eq!(list.len(), 0);
    assert_eq!(answered(&admin, &named(&[robot], &[]), request(&[])).await.0, 201);
    assert_eq!(answered(&admin, &Peer::default(), request(&[good.replace("Bearer", "bearer")])).await.0, 201);
    let (status, told) = answered(&admin, &named(&[robot], &[]), Request::get(PATH).body(body()).unwrap()).await;
    assert_eq!((status, &told["detail"]), (403, &json!("you may not read")));
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/v1/revocationsx", 404), ("GET", "/v1/revocations/x", 404), ("PUT", PATH, 405)]
    {
        assert_eq!(ask(&admin, SOC, method, path, "").await.0, status, "{method} {path}");
    }
}

#[tokio::test]
async fn ten_thousand_guesses_hold_up_nobody_who_may_call() {
    let (admin, list) = api();
    let guesses = (0..10_000).map(|number| {
        let guess = format!("{number:040}");
        let admin = &admin;
        async move { ask(admin, &guess, "GET", PATH, "").await.0 }
    });
    let begun = Instant::now();
    let right = async {
        let status = post(&admin, &subject("a")).await.0;
        (status, begun.elapsed())
    };
    let (answers, (status, took)) = tokio::join!(futures_util::future::join_all(guesses), right);
    assert_eq!((status, list.len()), (201, 1));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let count = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(401), count(429)), (32, 9_968), "some are held up, the rest is refused at once");
}
