//! The section `introspection` of an issuer.

use super::super::{AssertionAlgorithm, ClientAuth, KeySource};
use super::{Config, Problem, assert_taken, change, parse, row};

const KEYS: &str = "keys: { file: as-jwks.json }";
const GOOD: &str = "url: https://as.example.com/introspect, client_id: us, auth: { client_secret_basic: secret }";

fn with(section: &str) -> String {
    format!("{KEYS}\n    introspection: {{ {section} }}")
}

/// Refuses one change to the good section and takes it without.
fn refuse(from: &str, to: &str, what: &str, remedy: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    row(KEYS, &with(&GOOD.replace(from, to)), what, remedy, &with(GOOD));
}

fn taken(section: &str) -> Config {
    assert_taken(KEYS, &with(section))
}

#[test]
fn a_section_says_where_and_as_whom_once() {
    let url = "url: https://as.example.com/introspect, ";
    let place = |section: &str| format!("{KEYS}\n    introspection: ^{{ {section} }}");
    let nowhere = place(&GOOD.replace(url, ""));
    row(KEYS, &nowhere, "does not say where", "exactly one of", &with(GOOD));
    let twice = place(&GOOD.replace(url, "discovery: true, url: https://as.example.com/x, "));
    row(KEYS, &twice, "says two places", "exactly one of", &with(&GOOD.replace(url, "discovery: true, ")));
    refuse("client_id: us", "client_id: ^''", "is an empty text", "write a value");
    refuse("client_id: us", "client_id: ^'é'", "no client id", "RFC 6749");
    refuse("https://as.example.com/introspect", "^http://as.example.com/introspect", "is not https", "https://");
    refuse("https://as.example.com/introspect", "^https://169.254.169.254/", "metadata address", "");
    refuse("https://as.example.com/introspect", "^https://us:word@as.example.com/", "user name", "leave out");
    let auth = "auth: { client_secret_basic: secret }";
    refuse(auth, "auth: ^{}", "does not say one way", "exactly one of");
    refuse(auth, "auth: ^{ client_secret_basic: a, client_secret_post: b }", "does not say one way", "exactly one of");
    refuse(auth, "auth: { ^none: a }", "unknown key `none`", "");
    refuse(auth, "auth: { client_secret_basic: secret }, cache_seconds: ^301", "out of range", "from 0 to 300");
    refuse(auth, "auth: { client_secret_basic: secret }, negative_cache_seconds: ^61", "out of range", "from 0 to 60");
    refuse(auth, "auth: { client_secret_basic: secret }, timeout_milliseconds: ^0", "out of range", "from 50");
}

#[test]
fn values_and_defaults_arrive_as_they_are() {
    let config = taken(GOOD);
    let introspection = config.issuers[0].introspection.clone().unwrap();
    assert_eq!(introspection.url.unwrap().as_str(), "https://as.example.com/introspect");
    assert_eq!(introspection.auth, ClientAuth::SecretBasic("secret".into()));
    assert_eq!((introspection.cache_seconds, introspection.negative_cache_seconds), (30, 5));
    assert_eq!((introspection.timeout_milliseconds, introspection.max_in_flight), (1_000, 64));
    assert_eq!((introspection.max_per_second, introspection.max_waiting), (500, 512));
    assert!(config.issuers[1].introspection.is_none());
    let jwt = "private_key_jwt: { key: k.pem, key_id: one, algorithm: RS256, audience: 'https://x.test' }";
    let auth = taken(&GOOD.replace("client_secret_basic: secret", jwt)).issuers[0].introspection.clone().unwrap().auth;
    let ClientAuth::PrivateKeyJwt(jwt) = auth else { panic!("{auth:?}") };
    assert_eq!((jwt.key_id.as_deref(), jwt.algorithm), (Some("one"), Some(AssertionAlgorithm::Rs256)));
    assert_eq!((jwt.key.to_str(), jwt.audience.as_deref()), (Some("k.pem"), Some("https://x.test")));
    let tls = "tls_client_auth: { certificate: c.pem, key: k.pem }";
    let auth = taken(&GOOD.replace("client_secret_basic: secret", tls)).issuers[0].introspection.clone().unwrap().auth;
    assert_eq!(auth, ClientAuth::Tls { certificate: "c.pem".into(), key: "k.pem".into() });
}

#[test]
fn an_issuer_that_is_asked_needs_no_keys() {
    let alone = format!("introspection: {{ {GOOD} }}");
    assert_eq!(assert_taken(KEYS, &alone).issuers[0].keys, KeySource::Nowhere);
    let source = change(KEYS, "expiry_skew_seconds: 0").0;
    let told = |source: &str| -> Vec<Problem> {
        let problems = parse("keybound.yaml", source).unwrap_err();
        problems.into_iter().filter(Problem::is_error).collect()
    };
    let [problem] = &told(&source)[..] else { panic!("{:?}", told(&source)) };
    assert!(problem.what.contains("`keys` is missing, and so is `introspection`"), "{problem}");
    row(KEYS, &format!("{alone}\n    required: ^true"), "no keys to wait for", "leave `required` out", &alone);
}

#[test]
fn checks_that_wait_leave_room_for_others() {
    let waiting = |count: usize| {
        let (source, _) = change(KEYS, &with(&format!("{GOOD}, max_waiting: {count}")));
        parse("keybound.yaml", &source)
    };
    assert!(waiting(1_023).is_ok());
    let problems = waiting(1_024).unwrap_err();
    assert!(problems.iter().any(|problem| problem.what.contains("nobody else would have room")), "{problems:?}");
}
