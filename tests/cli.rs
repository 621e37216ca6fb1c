//! The commands as an operator runs them: `keybound check` on files that are good, and on each with one thing broken.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "tests"
)]

#[path = "cli/drill.rs"]
mod drill;
#[path = "cli/fleet.rs"]
mod fleet;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const CONFIG: &str = "\
listeners:
  check:
    - name: edge
      address: 127.0.0.1:0
bundle:
  directory: policies
issuers:
  - issuer: https://as.example.com
    keys: { file: keys.json }
    audiences: [https://api.example.com]
    max_lifetime_seconds: 300
  - issuer: https://partner-as.example.net
    keys: { file: keys.json }
    audiences: [https://partner-api.example.com]
    max_lifetime_seconds: 300
certificate:
  source: envoy_peer_certificate
  chain_verified_by: envoy
";

/// A directory with a good config, keys, and the shipped bundle, its dates moved so that they are always good.
fn good() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("keybound.yaml"), CONFIG).unwrap();
    fs::write(path.join("keys.json"), KEYS).unwrap();
    fs::create_dir(path.join("policies")).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let text = fs::read_to_string(entry.path()).unwrap();
            fs::write(path.join("policies").join(entry.file_name()), dated(&text)).unwrap();
        }
    }
    directory
}

/// Every `expires:` becomes a day that is a month ahead.
fn dated(text: &str) -> String {
    let ahead = time::OffsetDateTime::from(std::time::SystemTime::now()) + time::Duration::days(30);
    let date = ahead.date().to_string();
    let line = |line: &str| match line.split_once("expires: ") {
        Some((before, _)) => format!("{before}expires: {date}"),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

fn change(directory: &TempDir, file: &str, from: &str, to: &str) {
    let path = directory.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn keybound(directory: &TempDir, command: &str) -> Output {
    let mut keybound = Command::new(env!("CARGO_BIN_EXE_keybound"));
    keybound.args([command, "--config", "keybound.yaml"]).current_dir(directory.path()).output().unwrap()
}

#[test]
fn check_says_ok_to_the_shipped_example() {
    let output = keybound(&good(), "check");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ok: 2 issuers, 4 APIs"), "{said}");
}

/// What is broken, where (file, text, replacement), and the place and words that must be told.
const BROKEN: &[(&str, &str, &str, &str, &str)] = &[
    // The operator's file.
    ("keybound.yaml", "listeners:", "listener:", "keybound.yaml:1:1", "listener"),
    ("keybound.yaml", "name: edge", "name: Edge One", "keybound.yaml:3:13", "Edge One"),
    ("keybound.yaml", "127.0.0.1:0", "localhost", "keybound.yaml:4:16", "localhost"),
    ("keybound.yaml", "max_lifetime_seconds: 300", "max_lifetime_seconds: soon", "keybound.yaml:11:27", "soon"),
    ("keybound.yaml", "max_lifetime_seconds: 300", "max_lifetime_seconds: 0", "keybound.yaml:11:27", "0"),
    ("keybound.yaml", "{ file: keys.json }", "{ file: keys.json, discovery: true }", "keybound.yaml:9:", "exactly one"),
    (
        "keybound.yaml",
        "https://partner-as.example.net",
        "https://as.example.com",
        "keybound.yaml:12:13",
        "https://as.example.com",
    ),
    ("keybound.yaml", "[https://api.example.com]", "[]", "keybound.yaml:10:16", "audiences"),
    ("keybound.yaml", "envoy_peer_certificate", "peer", "keybound.yaml:17:11", "peer"),
    ("keybound.yaml", "chain_verified_by: envoy", "chain_verified_by: keybound", "keybound.yaml:18:", "trust_bundle"),
    ("keybound.yaml", "directory: policies", "directory: [", "keybound.yaml:", "help:"),
    ("keys.json", "\"kty\":\"OKP\"", "\"kty\":\"oct\"", "keys.json:1:1", "no key of this JWK Set"),
    ("keys.json", "{", "", "keys.json:1:7", "no JWK Set: from line 1, column 7 on it is not JSON"),
    ("keys.json", "\"keys\":", "\"key\":", "keys.json:1:1", "Wrap it: {\"keys\": [ … ]}"),
    ("policies/apis.yaml", "\n    owner:", "\n\towner:", "policies/apis.yaml:6:1", "indent with spaces"),
    // The bundle.
    ("policies/apis.yaml", "proof: required", "proof: requird", "policies/apis.yaml:", "requird"),
    ("policies/apis.yaml", "owner: payments-team", "ownr: payments-team", "policies/apis.yaml:", "ownr"),
    ("policies/apis.yaml", "https://as.example.com]", "https://nobody.example.com]", "policies/apis.yaml:", "nobody"),
    ("policies/apis.yaml", "action: payments.list", "action: payments.lst", "policies/apis.yaml:", "payments.lst"),
    ("policies/apis.yaml", "path: /payments,", "path: /payments//x,", "policies/apis.yaml:", "canonical"),
    (
        "policies/apis.yaml",
        "path: \"/payments/{payment_id}\"",
        "path: /payments/{payment_id}",
        "policies/apis.yaml:17:40",
        "quote a value that has { or } in it",
    ),
    ("policies/apis.yaml", "proof: mtls", "prof: mtls", "policies/apis.yaml:44:5", "did you mean `proof`?"),
    (
        "policies/apis.yaml",
        "accounts.example.com: https://accounts.example.com",
        "accounts.example.com: https://pay.example.com",
        "policies/apis.yaml:41:29",
        "API `payments` has the same origin for other hosts",
    ),
    (
        "policies/apis.yaml",
        "action: health, public: true",
        "action: ping, public: true",
        "policies/apis.yaml:19:47",
        "principal: [Client, Anonymous]",
    ),
    ("policies/clients.yaml", "kind: service", "kind: unregistered", "policies/clients.yaml:", "unregistered"),
    ("policies/clients.yaml", "expires: ", "expires: never # ", "policies/clients.yaml:", "never"),
    (
        "policies/schema.cedarschema",
        "type Token = {",
        "type Token = {\n  colour: String,",
        "policies/schema.cedarschema:",
        "colour",
    ),
    ("policies/payments.cedar", "@id(\"payments-read-by-purpose\")\n", "", "policies/payments.cedar:", "@id"),
    ("policies/payments.cedar", "context.token.age_seconds", "context.token.age", "policies/payments.cedar:", "age"),
    (
        "policies/payments.cedar",
        "context.token.age_seconds <= 120",
        "context.http.path.payout_id == \"7\"",
        "policies/payments.cedar:34:3",
        "declare `path: { payout_id: String }` in `http`",
    ),
    (
        "policies/payments.cedar",
        "action == Action::\"payouts.create\"",
        "action == Action::\"payouts.destroy\"",
        "policies/payments.cedar:",
        "declare it in schema.cedarschema, or remove the policy",
    ),
    (
        "policies/guardrails.cedar",
        "forbid (principal, action, resource)",
        "permit (principal, action, resource)",
        "policies/guardrails.cedar:",
        "forbid",
    ),
];

#[test]
fn check_names_the_place_and_the_remedy_of_everything_that_is_broken() {
    for (file, from, to, place, words) in BROKEN {
        let directory = good();
        change(&directory, file, from, to);
        let output = keybound(&directory, "check");
        let said = String::from_utf8(output.stdout).unwrap();
        let case = format!("{file}: `{from}` → `{to}`:\n{said}");
        assert_eq!(output.status.code(), Some(1), "{case}");
        for expected in [&format!("--> {place}"), *words, "help: ", "error: "] {
            assert!(said.contains(expected), "`{expected}` is missing: {case}");
        }
        let located = said.lines().filter_map(|line| line.trim().strip_prefix("--> "));
        for at in located {
            let numbers: Vec<_> = at.rsplitn(3, ':').take(2).map(str::parse::<usize>).collect();
            assert!(numbers.iter().all(|number| matches!(number, Ok(1..))), "{at} has no line and column: {case}");
        }
    }
}

#[test]
fn check_warns_of_what_forbids_nothing() {
    for (from, to, place, words) in [
        ("method != \"none\"", "method != \"nome\"", "10:86", "did you mean \"none\"?"),
        ("sensitivity == \"high\"", "sensitivity == \"High\"", "9:32", "did you mean \"high\"?"),
        ("kind == \"agent\"", "kind == \"agemt\"", "20:26", "did you mean \"agent\"?"),
        (
            "when { principal.kind",
            "when { context has certificate && principal.kind",
            "20:16",
            "cannot apply to a request without a client certificate",
        ),
    ] {
        let directory = good();
        change(&directory, "policies/guardrails.cedar", from, to);
        let output = keybound(&directory, "check");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{to}: {said}");
        for expected in ["warning: ", words, &format!("--> policies/guardrails.cedar:{place}")] {
            assert!(said.contains(expected), "`{expected}` is missing: {to}: {said}");
        }
    }
}

#[test]
fn a_policy_that_nests_without_end_is_refused_and_an_empty_file_of_guardrails_too() {
    for count in [3_000, 60_000] {
        let directory = good();
        let nested = format!("context{} == 1 && context.token.age_seconds", "[\"a\"]".repeat(count));
        change(&directory, "policies/payments.cedar", "context.token.age_seconds", &nested);
        let output = keybound(&directory, "check");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("--> policies/payments.cedar:34:") && said.contains("nests too deep"));
    }
    let directory = good();
    fs::write(directory.path().join("policies/guardrails.cedar"), "").unwrap();
    let output = keybound(&directory, "check");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--> policies/guardrails.cedar:1:1") && said.contains("is empty"), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    for file in
        ["keybound.yaml", "keys.json", "policies/apis.yaml", "policies/schema.cedarschema", "policies/guardrails.cedar"]
    {
        let directory = good();
        fs::remove_file(directory.path().join(file)).unwrap();
        let output = keybound(&directory, "check");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(file), "{file}: {said}");
    }
}

#[test]
fn serve_refuses_what_check_refuses() {
    let directory = good();
    change(&directory, "policies/apis.yaml", "proof: required", "proof: requird");
    let output = keybound(&directory, "serve");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--> policies/apis.yaml:"));
}

#[test]
fn an_address_that_cannot_be_had_is_told_as_configured_and_by_whom() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (from, to, told, remedy) in [
        (
            "address: 127.0.0.1:0".to_owned(),
            format!("address: {address}"),
            format!("`edge` cannot listen on {address}: "),
            "port 0",
        ),
        (
            "bundle:".to_owned(),
            format!("  probes: {address}\nbundle:"),
            format!("`probes` cannot listen on {address}: "),
            "port 0",
        ),
        (
            "address: 127.0.0.1:0".to_owned(),
            "address: unix:missing/a.sock".to_owned(),
            "`edge` cannot listen on unix:missing/a.sock: ".to_owned(),
            "make the directory",
        ),
    ] {
        let directory = good();
        change(&directory, "keybound.yaml", &from, &to);
        let output = keybound(&directory, "serve");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("error: listener {told}")), "{said}");
        let help = said.split("\n  help: ").last().unwrap();
        assert!(help.contains(remedy), "{said}");
    }
}

#[test]
fn the_schema_is_printed_as_json() {
    let output = Command::new(env!("CARGO_BIN_EXE_keybound")).args(["config", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["issuers"]["description"].is_string());
}

const ADMIN: &str = "\
admin: { callers: [{ name: soc, bearer_file: soc.bearer, may: [read, revoke] }] }
revocations: { journal: revocations }
";

/// A directory whose config has an admin listener.
fn good_admin() -> TempDir {
    let directory = good();
    change(&directory, "keybound.yaml", "bundle:", "  admin: { address: 127.0.0.1:0 }\nbundle:");
    fs::write(directory.path().join("keybound.yaml"), {
        fs::read_to_string(directory.path().join("keybound.yaml")).unwrap() + ADMIN
    })
    .unwrap();
    fs::write(directory.path().join("soc.bearer"), "0123456789abcdef0123456789abcdef\n").unwrap();
    directory
}

#[test]
fn check_reads_bearers_and_leaves_the_journal_alone() {
    let directory = good_admin();
    let output = keybound(&directory, "check");
    assert!(output.status.success(), "{}", String::from_utf8(output.stdout).unwrap());
    assert!(!directory.path().join("revocations").exists());
    for bearer in ["short", "0123456789abcdef 0123456789abcdef", ""] {
        fs::write(directory.path().join("soc.bearer"), bearer).unwrap();
        let said = String::from_utf8(keybound(&directory, "check").stdout).unwrap();
        assert!(said.contains("keybound.yaml:20:") && said.contains("holds no bearer"), "{said}");
        assert!(bearer.is_empty() || !said.contains(bearer), "{said}");
    }
}

#[test]
fn serve_refuses_to_start_without_what_was_revoked() {
    let directory = good_admin();
    fs::write(directory.path().join("revocations"), "these were ten thousand revocations").unwrap();
    let output = keybound(&directory, "serve");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().rev().take(2).collect::<Vec<_>>();
    assert!(last[1].contains("error: revocations.journal revocations: "), "{said}");
    assert!(last[0].contains("help: bring back a copy of the file"), "{said}");
    assert_eq!(
        fs::read_to_string(directory.path().join("revocations")).unwrap(),
        "these were ten thousand revocations"
    );
}

#[test]
fn revoke_asks_nobody_for_what_cannot_be_meant_and_never_shows_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (bearer, secret) = (file("bearer", "0123456789abcdef0123456789abcdef"), "eyJhbGciOiJub25lIn0secret");
    let token = file("token", secret);
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_keybound")).arg("revoke").args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let ask = ["--reason", "stolen", "--admin", &nobody, "--bearer-file", &bearer];
    let issuer = ["--issuer", "https://as.example.com"];
    for (arguments, code, told) in [
        (&["token", "--token-file", &token][..], 1, "does not say who issued it"),
        (&["token", "--jti", "a"], 2, "--issuer"),
        (&["proof-key", "--jkt", "short"], 1, "43 characters"),
        (&["certificate", "--certificate-file", &token], 1, "no certificate"),
        (&["subject", "--sub", "a", "--expires-at", "tomorrow", issuer[0], issuer[1]], 1, "--expires-at is no time"),
        (&["subject", "--sub", "a", "--id", "1", issuer[0], issuer[1]], 1, "is no id"),
        (&["everything"], 2, "unrecognized subcommand"),
    ] {
        let (status, said) = run(&[arguments, &ask].concat());
        assert_eq!(status, Some(code), "{said}");
        assert!(said.contains(told) && !said.contains(secret), "{said}");
    }
    let (status, said) = run(&[&["token", "--token-file", &token][..], &issuer, &ask].concat());
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("Connection refused") && said.contains("ask again with --id") && !said.contains(secret),
        "{said}"
    );
    let (status, said) = run(&["subject", "--issuer", "x", "--sub", "a", "--reason", "x", "--admin", &nobody]);
    assert!(status == Some(2) && said.contains("--bearer-file"), "{said}");
    let (_, said) = run(&["certificate-serial", "--help"]);
    assert!(said.contains("certificate_status_unknown"), "who reads the help is warned: {said}");
    assert!(run(&["--help"]).1.contains("WHICH ONE?"));
}
