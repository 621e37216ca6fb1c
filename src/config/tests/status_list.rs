//! The section `status_list` of an issuer.

use super::super::KeySource;
use super::{Config, assert_taken, parse, row};
use crate::decision::jose::algorithm::Algorithm;
use crate::decision::status_list::{StatusPolicy, StatusRules};

const KEYS: &str = "keys: { file: as-jwks.json }";
const GOOD: &str = "hosts: [status.example.com]";

fn with(section: &str) -> String {
    format!("{KEYS}\n    status_list: {{ {section} }}")
}

/// Refuses one section and takes another.
fn refuse(section: &str, what: &str, remedy: &str, twin: &str) {
    row(KEYS, &with(section), what, remedy, &with(twin));
}

fn taken(section: &str) -> Config {
    assert_taken(KEYS, &with(section))
}

fn rules(config: &Config) -> StatusRules {
    let StatusPolicy::Checked(rules) = config.issuers[0].rules.status.clone() else { panic!("not checked") };
    rules
}

#[test]
fn hosts_are_what_uris_say_and_nothing_else() {
    let hosts = |hosts: &str| format!("hosts: [{hosts}]");
    for bad in [
        "https://status.example.com",
        "status.example.com/",
        "STATUS.example.com",
        "us@status.example.com",
        "status.example.com:0",
        "status.example.com:x",
        "status.example.com?x",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
    ] {
        refuse(&hosts(&format!("^'{bad}'")), "is no host", "in lower case", GOOD);
    }
    let config = taken(&hosts("status.example.com, 'status.example.com:8443', '[2001:db8::1]'"));
    let origins = ["https://status.example.com", "https://status.example.com:8443", "https://[2001:db8::1]"];
    assert_eq!(rules(&config).origins, origins);
    refuse("hosts: ^[]", "is empty", "", GOOD);
    let nowhere = format!("{KEYS}\n    status_list: ^{{ required: true }}");
    row(KEYS, &nowhere, "does not say where lists may be", "ignore: true", &with(GOOD));
}

#[test]
fn plain_http_is_for_loopback_where_a_laboratory_says_so() {
    let lab = |host: &str| {
        let text = format!("{KEYS}\n    allow_loopback_http: true\n    status_list: {{ hosts: ['{host}'] }}");
        rules(&assert_taken(KEYS, &text)).origins
    };
    assert_eq!(lab("127.0.0.1:8080"), ["https://127.0.0.1:8080", "http://127.0.0.1:8080"]);
    assert_eq!(lab("status.example.com"), ["https://status.example.com"]);
    assert_eq!(rules(&taken("hosts: ['127.0.0.1:8080']")).origins, ["https://127.0.0.1:8080"]);
}

#[test]
fn bounds_fit_each_other() {
    let more = |more: &str| format!("{GOOD}, {more}");
    refuse(&more("least_seconds: ^301"), "above `most_seconds`", "not above", &more("least_seconds: 300"));
    refuse(&more("max_mebibytes: ^4"), "one list could be larger", "max_mebibytes", &more("max_mebibytes: 5"));
    refuse(&more("least_seconds: ^0"), "out of range", "from 1 to 3600", GOOD);
    refuse(&more("negative_seconds: ^0"), "out of range", "from 1 to 60", GOOD);
    refuse(&more("max_kibibytes: ^16385"), "out of range", "from 1 to 16384", GOOD);
    refuse(&more("stale_seconds: ^86401"), "out of range", "from 0 to 86400", GOOD);
}

#[test]
fn values_and_defaults_arrive_as_they_are() {
    let config = taken(GOOD);
    let lists = config.issuers[0].status_lists.clone().unwrap();
    assert_eq!((lists.least_seconds, lists.most_seconds, lists.stale_seconds), (10, 300, 0));
    assert_eq!((lists.negative_seconds, lists.timeout_milliseconds), (5, 2_000));
    assert_eq!((lists.max_lists, lists.max_bytes), (64, 64 * 1024 * 1024));
    assert_eq!((lists.max_in_flight, lists.max_per_second, lists.max_waiting), (4, 10, 512));
    let rules = rules(&config);
    assert_eq!((rules.required, rules.signer, rules.most_bytes), (false, None, 4 * 1024 * 1024));
    assert_eq!(
        (config.issuers[1].rules.status.clone(), &config.issuers[1].status_lists),
        (StatusPolicy::Unchecked, &None)
    );
}

#[test]
fn somebody_else_may_sign_with_keys_of_its_own() {
    let signer = |more: &str| format!("{GOOD}, signer: {{ issuer: https://signer.test, {more} }}");
    let config = taken(&signer("keys: { file: status.json }, algorithms: [ES256]"));
    let of = rules(&config).signer.unwrap();
    assert_eq!(of.issuer, "https://signer.test");
    assert!(of.algorithms.contains(Algorithm::Es256) && !of.algorithms.contains(Algorithm::Ps256));
    let (name, keys) = config.issuers[0].status_signer().unwrap();
    assert_eq!((name, keys), ("status:https://as.example.com", &KeySource::File("status.json".into())));
    refuse(&signer("keys: ^{}"), "says nothing", "exactly one of", &signer("keys: { discovery: true }"));
    let plain = format!("{GOOD}, signer: {{ issuer: ^http://signer.test, keys: {{ discovery: true }} }}");
    refuse(&plain, "is not https", "https://", &signer("keys: { discovery: true }"));
}

#[test]
fn what_is_ignored_is_ignored_knowingly() {
    let source = super::change(KEYS, &with("ignore: true")).0;
    let (config, warnings) = parse("keybound.yaml", &source).unwrap();
    assert_eq!(config.issuers[0].rules.status, StatusPolicy::Ignored);
    assert!(config.issuers[0].status_lists.is_none());
    assert!(warnings.iter().any(|warning| warning.what.contains("nobody looks there")), "{warnings:#?}");
}

#[test]
fn who_signs_nothing_names_no_list() {
    let asked = "introspection: { discovery: true, client_id: us, auth: { client_secret_basic: s } }";
    let source = super::change(KEYS, &format!("{asked}\n    status_list: {{ hosts: [a.test] }}")).0;
    let problems = parse("keybound.yaml", &source).unwrap_err();
    assert!(problems.iter().any(|problem| problem.what.contains("no token of this issuer is signed")), "{problems:#?}");
}
