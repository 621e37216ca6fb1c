#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod introspection;
mod status_list;
use super::*;
use crate::decision::certificate::{CertificateSource, ChainTrust};
use crate::decision::token::TokenType;
use crate::problem::{Place, Severity};

const GOOD: &str = "\
listeners:
  check:
    - name: edge
      address: 127.0.0.1:9191
    - name: inner
      address: unix:/run/keybound/inner.sock
  probes: 127.0.0.1:9192
bundle:
  directory: policies
  poll_seconds: 2
issuers:
  - issuer: https://as.example.com
    keys: { file: as-jwks.json }
    audiences: [https://api.example.com]
    max_lifetime_seconds: 600
  - issuer: https://login.example.org
    keys: { url: https://login.example.org/jwks }
    audiences: [https://other.example.com]
    max_lifetime_seconds: 3600
";

/// The good file with one change; `^` marks where the problem must be reported.
fn change(from: &str, to: &str) -> (String, Option<(usize, usize)>) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from:?} must be in the good file once");
    let marked = GOOD.replace(from, to);
    let place = marked.find('^').map(|offset| {
        let before = &marked[..offset];
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|each| *each != '\n').count() + 1)
    });
    (marked.replace('^', ""), place)
}

/// Refuses `refused` with exactly one error at its `^`, and takes `allowed`.
fn row(from: &str, refused: &str, what: &str, remedy: &str, allowed: &str) {
    let (source, place) = change(from, refused);
    let problems = parse("keybound.yaml", &source).expect_err(refused);
    let errors: Vec<_> = problems.iter().filter(|problem| problem.is_error()).collect();
    assert_eq!(errors.len(), 1, "{refused}: {problems:#?}");
    let error = errors[0];
    assert_eq!(Some((error.place.line, error.place.column)), place, "{error}");
    assert!(error.what.contains(what) && error.remedy.contains(remedy), "{error}");
    assert_taken(from, allowed);
}

fn assert_taken(from: &str, to: &str) -> Config {
    parse("keybound.yaml", &change(from, to).0).unwrap_or_else(|problems| panic!("{to}: {problems:#?}")).0
}

fn warnings(from: &str, to: &str) -> Vec<Problem> {
    let (source, place) = change(from, to);
    let (_, warnings) = parse("keybound.yaml", &source).expect(to);
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
    if let Some(place) = place {
        assert!(warnings.iter().any(|warning| (warning.place.line, warning.place.column) == place), "{warnings:#?}");
    }
    warnings
}

#[test]
fn a_problem_has_line_column_source_line_and_remedy() {
    let source = GOOD.replace("poll_seconds: 2", "poll_second: 2");
    let problems = parse("etc/keybound.yaml", &source).unwrap_err();
    let expected = Problem {
        severity: Severity::Error,
        place: Place { file: "etc/keybound.yaml".to_owned(), line: 10, column: 3 },
        what: "unknown key `poll_second` in `bundle`".to_owned(),
        remedy: "did you mean `poll_seconds`?".to_owned(),
        source_line: Some("  poll_second: 2".to_owned()),
    };
    assert_eq!(problems, [expected]);
}

#[test]
fn keys_types_ranges_and_choices_are_checked() {
    let poll = "poll_seconds: 2";
    row(poll, "poll_seconds: ^0", "is 0, out of range", "from 1 to 60", "poll_seconds: 1");
    row(poll, "poll_seconds: ^61", "is 61, out of range", "from 1 to 60", "poll_seconds: 60");
    row(poll, "poll_seconds: ^99999999999999999999", "too many digits", "from 1 to 60", poll);
    row(poll, "poll_seconds: ^1.5", "a fraction", "from 1 to 60", "poll_seconds: 15");
    row(poll, "poll_seconds: ^'2'", "text, not a whole number", "from 1 to 60", poll);
    row(poll, "poll_seconds: 2\n  ^poll_seconds: 3", "here twice", "keep one", poll);
    row(
        poll,
        "poll_seconds: 2\n  ^frequency: 3",
        "unknown key `frequency`",
        "known here: directory, poll_seconds",
        poll,
    );
    row("bundle:\n", "^<<: {}\nbundle:\n", "unknown key `<<`", "", "bundle:\n");
    row(
        "bundle:\n",
        "log: { level: ^warning }\nbundle:\n",
        "not a value",
        "error, warn, info, debug",
        "log: { level: warn }\nbundle:\n",
    );
    row("bundle:\n", "log^: \nbundle:\n", "`log` is nothing", "leave the key out", "log: {}\nbundle:\n");
    row(
        "bundle:\n",
        "profile: ^FAPI2\nbundle:\n",
        "not a value of `profile`",
        "default, fapi2",
        "profile: fapi2\nbundle:\n",
    );
    row(
        "bundle:\n",
        "metadata: { enabled: ^yes }\nbundle:\n",
        "text, not true or false",
        "true or false",
        "metadata: { enabled: true }\nbundle:\n",
    );
    let jwks = |age: &str| format!("jwks: {{ refresh_seconds: 600, max_age_seconds: {age} }}\nbundle:\n");
    row("bundle:\n", &jwks("^599"), "too old", "refresh_seconds", &jwks("600"));
    row("name: edge", "name: ^1", "a whole number, not text", "quotes", "name: '1'");
    row("directory: policies", "directory: ^''", "empty text", "write a value", "directory: .");
    row(
        "audiences: [https://api.example.com]",
        "audiences: ^[]",
        "`audiences` is empty",
        "at least one",
        "audiences: [a]",
    );
    let file = "  - issuer: https://as.example.com\n    keys: { file: as-jwks.json }\n";
    row(file, "  - ^issuer: https://as.example.com\n", "`keys` is missing", "exactly one of", file);
}

#[test]
fn an_empty_file_is_told_so() {
    let problems = parse("keybound.yaml", "# nothing\n").unwrap_err();
    assert_eq!(problems[0].what, "the file is nothing, not a mapping of keys");
}

#[test]
fn listeners_have_names_and_addresses_of_their_own() {
    row("name: inner", "name: ^edge", "two listeners are named `edge`", "its own name", "name: edge-2");
    row("name: inner", "name: ^In_ner", "no listener name", "`a-z`", "name: in-ner");
    row(
        "probes: 127.0.0.1:9192",
        "probes: ^127.0.0.1:9191",
        "taken by another",
        "its own address",
        "probes: 127.0.0.2:9191",
    );
    row(
        "probes: 127.0.0.1:9192",
        "probes: ^0.0.0.0:9191",
        "taken by another",
        "its own address",
        "probes: 0.0.0.0:9192",
    );
    row("probes: 127.0.0.1:9192", "probes: ^unix:/a.sock", "Unix socket", "IP address", "probes: '[::1]:9192'");
    let (inner, edge) = ("address: unix:/run/keybound/inner.sock", "address: 127.0.0.1:9191");
    row(
        inner,
        "address: ^localhost:9193",
        "no address to listen on",
        "IP address and a port",
        "address: 127.0.0.1:9193",
    );
    row(inner, "address: ^'unix:'", "no address to listen on", "unix:/path", "address: unix:/x");
    let tls = "address: 0.0.0.0:9191\n      tls: { certificate: a, key: b";
    row(
        edge,
        &format!("{tls}, callers: ^[\"spiffe://x/y\"] }}"),
        "without `client_ca`",
        "add `client_ca`",
        &format!("{tls}, client_ca: c, callers: [\"spiffe://x/y\"] }}"),
    );
    row(
        edge,
        &format!("{tls}, client_ca: c, callers: ^[] }}"),
        "is empty",
        "at least one",
        &format!("{tls}, client_ca: c }}"),
    );
}

#[test]
fn an_issuer_is_an_https_url_and_here_once() {
    let issuer = "issuer: https://login.example.org\n";
    row(issuer, "issuer: ^https://as.example.com\n", "is here twice", "keep one", "issuer: https://as.example.com/\n");
    row(
        issuer,
        "issuer: ^https://login.example.org?a=b\n",
        "has a query",
        "leave out `?`",
        "issuer: https://login.example.org/a\n",
    );
    row(issuer, "issuer: ^'https://login.example.org#a'\n", "has a fragment", "leave out `#`", issuer);
    row(issuer, "issuer: ^http://login.example.org\n", "is not https", "https://", issuer);
    row(issuer, "issuer: ^login.example.org\n", "is no URL", "absolute", issuer);
    let loopback = "issuer: http://127.0.0.1:8080\n    allow_loopback_http: true\n";
    row(issuer, "issuer: ^http://127.0.0.1:8080\n", "is not https", "allow_loopback_http", loopback);
    row(
        issuer,
        "allow_loopback_http: true\n    issuer: ^http://10.0.0.1\n",
        "is not https",
        "loopback hosts only",
        loopback,
    );
}

#[test]
fn keys_come_from_one_place_that_may_be_fetched() {
    let keys = "keys: { url: https://login.example.org/jwks }";
    row(keys, "keys: ^{}", "says nothing", "exactly one", "keys: { discovery: true }");
    row(keys, "keys: ^{ discovery: false }", "says nothing", "exactly one", keys);
    row(keys, "keys: ^{ file: a, url: https://a }", "more than one", "exactly one", "keys: { file: a }");
    let lab = "keys: { url: http://localhost:80/jwks }\n    allow_loopback_http: true";
    row(keys, "keys: { url: ^http://localhost:80/jwks }", "is not https", "allow_loopback_http", lab);
    for forbidden in [
        "https://169.254.169.254/latest",
        "https://2852039166/",
        "https://0xa9.0xfe.0xa9.0xfe/",
        "https://[::ffff:169.254.1.1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
    ] {
        let refused = format!("keys: {{ url: ^\"{forbidden}\" }}");
        row(keys, &refused, "link-local or cloud metadata", "serves keys", "keys: { url: https://10.0.0.1/jwks }");
    }
}

#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    for (from, to) in [
        ("issuer: https://login.example.org\n", "issuer: ^https://anna:hunter2@login.example.org\n"),
        ("directory: policies", "directory: ^\"-----BEGIN\\nhunter2\""),
    ] {
        row(from, to, "", "", from);
        let problems = parse("keybound.yaml", &change(from, to).0).unwrap_err();
        assert!(!format!("{problems:?}{}", problems[0]).contains("hunter2"));
    }
}

#[test]
fn algorithms_are_known_and_inside_the_profile() {
    let keys = "keys: { file: as-jwks.json }";
    let with = |list: &str| format!("{keys}\n    algorithms: {list}");
    row(keys, &with("[ES256, ^HS256]"), "`HS256` is not a value", "ES256, ES384, PS256", &with("[ES256, RS256]"));
    row(keys, &with("[^none]"), "`none` is not a value", "ES256", &with("[Ed25519]"));
    let fapi2 = |list: &str| format!("profile: fapi2\nproofs: {{ algorithms: {list} }}\nbundle:\n");
    row("bundle:\n", &fapi2("[ES256, ^ES384]"), "outside profile fapi2", "ES256, PS256, EdDSA", &fapi2("[ES256]"));
    let config = assert_taken("bundle:\n", "profile: fapi2\nbundle:\n");
    assert_eq!(config.issuers[0].rules.algorithms, AlgorithmSet::new(&AlgorithmSet::FAPI2));
    let config = assert_taken("bundle:\n", "proofs: { algorithms: [ES384] }\nbundle:\n");
    assert_eq!(config.issuers[0].rules.algorithms, AlgorithmSet::new(&AlgorithmSet::TOKENS));
    assert_eq!(config.proofs.rules.algorithms, AlgorithmSet::new(&[Algorithm::Es384]));
}

#[test]
fn the_certificate_has_one_source_and_one_who_vouches_for_it() {
    let section = |text: &str| format!("certificate: {{ {text} }}\nbundle:\n");
    for (refused, what, remedy, allowed) in [
        ("xfcc: ^{}", "not the source", "`source: xfcc`", "source: xfcc, xfcc: {}"),
        (
            "source: xfcc, client_cert: ^{}",
            "not the source",
            "`source: client_cert`",
            "source: client_cert, client_cert: {}",
        ),
        (
            "source: xfcc, xfcc: { hop: ^2 }",
            "can be forged",
            "trusted_hops",
            "source: xfcc, xfcc: { hop: 2, trusted_hops: [a] }",
        ),
        ("source: xfcc, xfcc: { hop: ^9 }", "out of range", "from 1 to 8", "source: xfcc, xfcc: { hop: 1 }"),
        (
            "source: xfcc, chain_verified_by: ^keybound",
            "no `trust_bundle`",
            "add",
            "source: xfcc, chain_verified_by: keybound, trust_bundle: a",
        ),
        (
            "source: xfcc, trust_bundle: ^a",
            "not used",
            "chain_verified_by: keybound",
            "source: xfcc, chain_verified_by: envoy",
        ),
        ("chain_verified_by: ^envoy", "no certificate whose chain", "`source`", "chain_verified_by: nobody"),
    ] {
        row("bundle:\n", &section(refused), what, remedy, &section(allowed));
    }
}

#[test]
fn identity_headers_can_be_set_and_removed_and_mean_nothing_else() {
    let headers = |text: &str| format!("upstream: {{ identity_headers: {{ {text} }} }}\nbundle:\n");
    for (refused, what, remedy) in [
        ("client: ^X-Client", "cannot be an identity header", "`a-z`"),
        ("client: ^x_client", "cannot be an identity header", "underscore"),
        ("client: ^':path'", "cannot be an identity header", "`a-z`"),
        ("client: ^host", "means something else", "x-keybound-client"),
        ("client: ^authorization", "means something else", "x-keybound-client"),
        ("proof: ^dpop", "means something else", "x-keybound-proof"),
        ("client: ^te", "means something else", "x-keybound-client"),
        ("client: ^x-forwarded-client-cert", "means something else", "x-keybound-client"),
        ("subject: ^x-keybound-client", "used for two things", "its own header"),
    ] {
        row("bundle:\n", &headers(refused), what, remedy, &headers("client: x-client, proof: null"));
    }
    let config = assert_taken("bundle:\n", &headers("client: x-client, proof: null"));
    let headers = config.upstream.identity_headers;
    assert_eq!((headers.client.as_deref(), headers.proof), (Some("x-client"), None));
    assert_eq!(headers.issuer.as_deref(), Some("x-keybound-issuer"));
}

#[test]
fn a_legacy_issuer_has_audiences_of_its_own() {
    let audiences = "audiences: [https://other.example.com]";
    let legacy = |list: &str| format!("audiences: {list}\n    legacy_jwt_type: true");
    row(
        audiences,
        &legacy("[a, ^https://api.example.com]"),
        "also one of `https://as.example.com`",
        "of its own",
        &legacy("[a]"),
    );
    let warnings = warnings(audiences, "audiences: [a]\n    legacy_jwt_type: ^true");
    assert_eq!(warnings.len(), 1);
    assert_taken(audiences, "audiences: [https://api.example.com]");
    let config = assert_taken(audiences, &legacy("[a]"));
    assert_eq!(
        config.issuers.iter().map(|issuer| issuer.rules.token_type).collect::<Vec<_>>(),
        [TokenType::AtJwt, TokenType::LegacyJwt]
    );
}

#[test]
fn what_is_allowed_but_unwise_warns() {
    assert_eq!(warnings("bundle:\n", "bundle:\n"), []);
    let open = warnings("address: 127.0.0.1:9191", "address: ^0.0.0.0:9191");
    assert!(open[0].what.contains("without TLS"));
    assert_eq!(warnings("address: 127.0.0.1:9191", "address: '[::1]:9191'"), []);
    let long = warnings("max_lifetime_seconds: 3600", "max_lifetime_seconds: ^3601");
    assert!(long[0].what.contains("RFC 9449 §11.2"));
    let unbounded = warnings("    max_lifetime_seconds: 600\n", "");
    assert_eq!((unbounded[0].place.line, unbounded[0].place.column), (12, 13));
}

#[test]
fn everything_of_one_pass_is_found_at_once() {
    let source = GOOD
        .replace("poll_seconds: 2", "poll_seconds: 0")
        .replace("directory", "directry")
        .replace("name: edge", "name: 7")
        .replace("    audiences: [https://api.example.com]\n", "");
    let problems = parse("keybound.yaml", &source).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [3, 9, 10, 12], "{problems:#?}");

    let source = GOOD
        .replace("inner\n", "edge\n")
        .replace("127.0.0.1:9192", "127.0.0.1:9191")
        .replace("issuer: https://as.", "issuer: http://as.")
        .replace("{ url: https://login.example.org/jwks }", "{}");
    let problems = parse("keybound.yaml", &source).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|problem| problem.place.line).collect();
    assert_eq!(lines, [5, 7, 12, 17], "{problems:#?}");
}

#[test]
fn values_arrive_and_paths_belong_to_the_directory_of_the_file() {
    let source = GOOD.replace("bundle:\n", "certificate: { source: xfcc, xfcc: { hop: 2, trusted_hops: [a], by: b } }\nproofs: { nonce_key_files: [n, /abs] }\nbundle:\n");
    let (config, _) = parse("etc/keybound.yaml", &source).unwrap();
    assert_eq!(config.bundle.directory, PathBuf::from("etc/policies"));
    assert_eq!(config.issuers[0].keys, KeySource::File("etc/as-jwks.json".into()));
    assert_eq!(config.issuers[1].keys, KeySource::Url(Url::parse("https://login.example.org/jwks").unwrap()));
    assert_eq!(config.issuers[1].rules.max_lifetime_seconds, Some(3600));
    assert_eq!(config.proofs.nonce_key_files, [PathBuf::from("etc/n"), PathBuf::from("/abs")]);
    assert_eq!(config.listeners.check[1].address, ListenAddress::Unix("/run/keybound/inner.sock".into()));
    assert_eq!(config.listeners.probes, Some("127.0.0.1:9192".parse().unwrap()));
    assert_eq!(config.certificate.rules.chain, ChainTrust::Nobody);
    let CertificateSource::Xfcc(xfcc) = config.certificate.rules.source else { panic!("not xfcc") };
    assert_eq!((xfcc.hop, xfcc.trusted_hops, xfcc.by), (2, vec!["a".to_owned()], Some("b".to_owned())));
    let (config, _) = parse("keybound.yaml", GOOD).unwrap();
    assert_eq!(config.bundle.directory, PathBuf::from("policies"));
}
