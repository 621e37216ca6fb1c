//! What is asked, how often, and what counts as an answer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use tokio::task::LocalSet;

use super::server::{ISSUER, Office, Says, office, office_of, server};
use super::*;
use crate::decision::token::Outcome;

async fn local<T>(work: impl Future<Output = T>) -> T {
    let tasks = LocalSet::new();
    tokio::time::timeout(Duration::from_secs(30), tasks.run_until(work)).await.expect("an end")
}

fn word(answer: Option<&Introspection>) -> Option<Outcome> {
    answer.map(Introspection::outcome)
}

#[tokio::test]
async fn in_04_a_stampede_of_one_token_is_one_call() {
    local(async {
        let (server, port) = server().await;
        let office = office(port, "");
        let answers = join_all((0..100).map(|_| office.ask("the one token"))).await;
        assert!(answers.iter().all(|answer| word(answer.as_ref()) == Some(Outcome::Active)));
        assert_eq!(server.calls(), 1);
        assert_eq!((office.counted("active"), office.counted("joined")), (1, 99));
        // Now it is remembered.
        office.ask("the one token").await.unwrap();
        assert_eq!((server.calls(), office.counted("remembered")), (1, 1));
        // Another token is another question.
        office.ask("another token").await.unwrap();
        assert_eq!(server.calls(), 2);
        let metrics = office.metrics.text();
        for name in ["in_flight{", "duration_seconds_bucket{", "duration_seconds_count{"] {
            let line = format!("keybound_introspection_{name}issuer=\"{ISSUER}\"");
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
    })
    .await;
}

#[tokio::test]
async fn in_04_with_no_life_every_request_is_asked_about() {
    local(async {
        let (server, port) = server().await;
        let office = office(port, ", cache_seconds: 0, negative_cache_seconds: 0");
        for calls in 1..4 {
            office.ask("token").await.unwrap();
            assert_eq!(server.calls(), calls);
        }
        server.say(Says::json(r#"{"active":false}"#));
        for calls in 4..6 {
            assert_eq!(word(office.ask("token").await.as_ref()), Some(Outcome::Inactive));
            assert_eq!(server.calls(), calls);
        }
    })
    .await;
}

#[tokio::test]
async fn in_04_a_call_goes_on_when_the_check_has_given_up() {
    local(async {
        let (server, port) = server().await;
        let office = office(port, "");
        server.may_answer.forget_permits(1_000_000);
        tokio::select! {
            _ = office.ask("token") => panic!("nobody has answered"),
            () = server.called.notified() => {}
        }
        // Nobody waits any more; who comes now joins.
        let again = office.ask("token");
        server.may_answer.add_permits(1);
        assert_eq!(word(again.await.as_ref()), Some(Outcome::Active));
        assert_eq!(server.calls(), 1);
    })
    .await;
}

/// What a token is told with that the server answers so.
async fn asked(says: Says) -> (Option<Outcome>, Office) {
    let (server, port) = server().await;
    let office = office(port, ", timeout_milliseconds: 2000");
    server.say(says);
    let first = office.ask("token").await;
    // It is not remembered: the next answer counts.
    server.say(Says::json(said(&json!({}), crate::edge::clock::now())));
    if first.is_none() {
        assert_eq!(word(office.ask("token").await.as_ref()), Some(Outcome::Active));
        assert_eq!(office.counted("failed"), 1);
    }
    (word(first.as_ref()), office)
}

#[tokio::test]
async fn in_06_only_status_200_with_json_is_an_answer() {
    local(async {
        let good = Says::json(said(&json!({}), crate::edge::clock::now()));
        let status = |status: u16| Says { status, ..good.clone() };
        let kind = |kind: &'static str| Says { kind, ..good.clone() };
        for answer in [good.clone(), kind("Application/JSON; charset=utf-8")] {
            assert_eq!(asked(answer).await.0, Some(Outcome::Active));
        }
        let (_, other) = server().await;
        let redirect = Says { status: 307, location: Some(format!("http://127.0.0.1:{other}/")), ..good.clone() };
        let mut none = vec![redirect, kind("text/html"), kind("application/jwt"), kind("text/json")];
        none.extend([201, 204, 400, 401, 403, 404, 429, 500, 503].map(status));
        none.extend(["", "[]", "true", "{", "<html>"].map(Says::json));
        none.push(Says::json(r#"{"active":true,"active":true}"#));
        none.push(Says::json(format!("{}{}", good.body, " ".repeat(65_536))));
        for answer in none {
            let told = format!("{} {} {:.20}", answer.status, answer.kind, answer.body);
            assert_eq!(asked(answer).await.0, None, "{told}");
        }
    })
    .await;
}

#[tokio::test]
async fn in_06_a_server_that_is_late_or_gone_is_no_answer() {
    local(async {
        let (server, port) = server().await;
        let late = office(port, ", timeout_milliseconds: 50");
        server.may_answer.forget_permits(1_000_000);
        assert!(late.ask("token").await.is_none());
        assert_eq!((server.calls(), late.counted("failed")), (1, 1));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = listener.local_addr().unwrap().port();
        drop(listener);
        let gone = office(gone, "");
        for number in 0..20 {
            assert!(gone.ask(&format!("token {number}")).await.is_none());
        }
        // After five it is left alone.
        assert_eq!((gone.counted("failed"), gone.counted("backing_off")), (5, 15));
    })
    .await;
}

#[tokio::test]
async fn in_04_what_is_over_the_budget_is_refused_at_once() {
    local(async {
        let (server, port) = server().await;
        let office = office(port, ", max_per_second: 10, max_in_flight: 100");
        let answers = join_all((0..400).map(|number| {
            let office = &office;
            async move { office.ask(&format!("token {number}")).await }
        }));
        let answered = answers.await.iter().filter(|answer| answer.is_some()).count();
        // A tenth of a second brings one more.
        assert!((10..=30).contains(&answered) && server.calls() == answered, "{answered}");
        assert_eq!(office.counted("over_budget"), 400 - answered);
    })
    .await;
}

#[tokio::test]
async fn in_04_an_issuer_that_is_slow_holds_up_so_many_checks_and_no_more() {
    local(async {
        let (slow, slow_port) = server().await;
        let (_quick, quick_port) = server().await;
        slow.may_answer.forget_permits(1_000_000);
        let section = |port: u16| {
            format!(
                "url: \"http://127.0.0.1:{port}/\", client_id: keybound, auth: {{ client_secret_basic: secret }}, \
                 max_waiting: 5, timeout_milliseconds: 10000"
            )
        };
        let other = "https://other.test";
        let office = office_of(&[(ISSUER, section(slow_port)), (other, section(quick_port))]);
        let tokens: Vec<_> = (0..20).map(|number| format!("token {number}")).collect();
        let mut waiting = Box::pin(join_all(tokens.iter().map(|token| office.ask(token))));
        tokio::select! {
            _ = &mut waiting => panic!("nobody has answered"),
            () = slow.called.notified() => {}
        }
        assert_eq!(office.counted("over_budget"), 15);
        assert_eq!(word(office.ask_of(other, "token").await.as_ref()), Some(Outcome::Active));
        slow.may_answer.add_permits(5);
        assert_eq!(waiting.await.iter().filter(|answer| answer.is_some()).count(), 5);
        // Nobody else is asked, and an issuer without a section is none to ask.
        assert!(office.ask_of("https://stranger.test", "token").await.is_none());
    })
    .await;
}

#[tokio::test]
async fn in_05_the_secret_goes_by_header_or_by_body_and_the_token_by_body_alone() {
    local(async {
        let (server, port) = server().await;
        let by = |auth: &str| {
            let section = format!("url: \"http://127.0.0.1:{port}/x\", client_id: \"key bound:1\", auth: {{ {auth} }}");
            office_of(&[(ISSUER, section)])
        };
        let token = "aZ09-._~+/==";
        let usual = [("token".to_owned(), token.to_owned()), ("token_type_hint".to_owned(), "access_token".to_owned())];
        by("client_secret_basic: secret").ask(token).await.unwrap();
        assert_eq!(server.form(), usual);
        // RFC 6749 §2.3.1: both are encoded first.
        let basic = format!("Basic {}", STANDARD.encode("key%20bound%3A1:s3cr3t%20of%3Aus"));
        assert_eq!(server.header("authorization"), Some(basic));
        assert_eq!(server.header("accept").as_deref(), Some("application/json"));
        assert_eq!(server.header("content-type").as_deref(), Some("application/x-www-form-urlencoded"));

        by("client_secret_post: secret").ask(token).await.unwrap();
        let fields = [("client_id", "key bound:1"), ("client_secret", "s3cr3t of:us")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(server.form(), [&usual[..], &fields[..]].concat());
        assert_eq!(server.header("authorization"), None);
    })
    .await;
}

#[test]
fn in_05_credentials_are_read_again_and_broken_ones_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "first").unwrap();
    let section = "url: https://as.test/introspect, client_id: keybound, auth: { client_secret_post: secret }";
    let issuer = format!(
        "  - {{ issuer: \"{ISSUER}\", audiences: [a], max_lifetime_seconds: 600, introspection: {{ {section} }} }}\n"
    );
    let config = config(directory.path(), &issuer);
    let mut callers = Callers::open(&config).ok().unwrap();
    let caller = callers.all.first_mut().unwrap();
    let auth = caller.rules().auth.clone();
    let mut renewed = || caller.renew(caller::Files::read(&auth)).map_err(|problem| problem.what);
    assert_eq!(renewed(), Ok(false));
    std::fs::write(&secret, "second\n").unwrap();
    assert_eq!((renewed(), renewed()), (Ok(true), Ok(false)));
    for bad in ["", "\n", "two\nlines", "a\0b"] {
        std::fs::write(&secret, bad).unwrap();
        let why = renewed().unwrap_err();
        assert!(why.contains("no client secret") && !why.contains("lines"), "{why}");
    }
    std::fs::remove_file(&secret).unwrap();
    assert!(renewed().is_err(), "told once");
    assert_eq!(renewed(), Ok(false));
    std::fs::write(&secret, "second\n").unwrap();
    assert_eq!(renewed(), Ok(true));
    // A start is strict.
    std::fs::write(&secret, "").unwrap();
    assert_eq!(Callers::open(&config).err().unwrap().len(), 1);
}
