#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;

use tempfile::TempDir;

use super::*;

const CONFIG: &str = "\
listeners: { check: [{ name: edge, address: 127.0.0.1:0 }] }
bundle: { directory: policies }
issuers: [{ issuer: https://as.test, keys: { file: keys.json }, audiences: [a], max_lifetime_seconds: 300 }]
";
const KEY: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
/// As small as a bundle can be.
const BUNDLE: [(&str, &str); 5] = [
    (
        "schema.cedarschema",
        "entity Client = { issuer: String, client_id: String, registered: Bool, kind: String, purposes: Set<String> };
entity Anonymous;
entity Api = { owner: String, sensitivity: String };
action \"items.read\" appliesTo {
  principal: Client, resource: Api, context: { http: { method: String, host: String }, now: datetime },
};
",
    ),
    ("policies.cedar", "@id(\"all\") @reason(\"all\") permit (principal, action == Action::\"items.read\", resource);"),
    (
        "apis.yaml",
        "apis:
  - id: one
    owner: a
    sensitivity: low
    hosts: { a.example.com: \"https://a.example.com\" }
    issuers: [\"https://as.test\"]
    proof: dpop
    clients: any
    operations: [{ action: items.read, method: GET, path: /items, scopes: [read] }]
",
    ),
    ("clients.yaml", "clients: []\n"),
    (
        "guardrails.cedar",
        "@id(\"none\") @reason(\"none\") forbid (principal, action, resource) when { resource.sensitivity == \"high\" };",
    ),
];

/// A directory with a config, its keys and its bundle.
fn written(config: &str, keys: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("keybound.yaml"), config).unwrap();
    fs::write(path.join("keys.json"), keys).unwrap();
    fs::create_dir(path.join("policies")).unwrap();
    for (name, text) in BUNDLE {
        fs::write(path.join("policies").join(name), text).unwrap();
    }
    directory
}

fn keys(keys: &[&str]) -> String {
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

fn said(directory: &TempDir) -> String {
    let mut out = Vec::new();
    run(&directory.path().join("keybound.yaml"), &mut out).unwrap();
    let said = String::from_utf8(out).unwrap();
    said.replace(&directory.path().display().to_string(), "here")
}

#[test]
fn one_is_not_counted_as_several() {
    let directory = written(CONFIG, &keys(&[&format!("{{{KEY},\"kid\":\"a\"}}")]));
    let told = said(&directory);
    assert!(told.starts_with("ok: 1 issuer, 1 API, bundle "), "{told}");
}

#[test]
fn what_is_missing_is_shown_where_it_is_named() {
    let good = keys(&[&format!("{{{KEY},\"kid\":\"a\"}}")]);
    let tls = "address: 127.0.0.1:0, tls: { certificate: a.crt, key: a.key }";
    let with_tls = CONFIG.replace("address: 127.0.0.1:0", tls);
    for (config, file, place) in [
        (CONFIG, "keys.json", "here/keybound.yaml:3:52"),
        (CONFIG, "policies", "here/keybound.yaml:2:22"),
        (with_tls.as_str(), "a.crt", "here/keybound.yaml:1:78"),
    ] {
        let directory = written(config, &good);
        let path = directory.path().join(file);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() {
            fs::remove_file(path).unwrap();
        }
        let told = said(&directory);
        let expected = format!("--> {place}\n");
        assert!(told.contains(&expected) && told.contains(&format!("here/{file}: ")), "{told}");
        assert!(told.contains(" | ") && told.ends_with("\n1 error\n"), "{told}");
    }
}

#[test]
fn a_directory_that_will_keep_no_keys_is_told_of() {
    let config = format!("{CONFIG}jwks: {{ cache_directory: cache }}\n");
    let directory = written(&config, &keys(&[&format!("{{{KEY},\"kid\":\"a\"}}")]));
    let told = said(&directory);
    assert!(told.contains("warning: here/cache: this is no directory") && told.contains("yaml:4:26"), "{told}");
    fs::create_dir(directory.path().join("cache")).unwrap();
    assert!(said(&directory).starts_with("ok: "));
}

#[test]
fn an_unread_bundle_is_told_of() {
    let directory = written(&CONFIG.replace("address", "adress"), "");
    fs::write(directory.path().join("policies/apis.yaml"), "broken").unwrap();
    let told = said(&directory);
    assert!(told.contains("\nthe bundle was not read: mend here/keybound.yaml first\n"), "{told}");
    assert!(!told.contains("apis.yaml"), "{told}");
    // A bundle that was read is not told of so, whatever is wrong with it.
    let directory = written(CONFIG, &keys(&[]));
    let told = said(&directory);
    assert!(told.contains("keys.json") && !told.contains("was not read"), "{told}");
}

#[test]
fn keys_that_are_no_use_are_told_of_one_by_one() {
    let named = |kid: &str, more: &str| format!("{{{KEY},\"kid\":\"{kid}\"{more}}}");
    let set = [
        named("good", ""),
        format!("{{{KEY}}}"),
        named("mine", ",\"d\":\"AQ\""),
        named("enc", ",\"use\":\"enc\""),
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"kid\":\"curve\"}".to_owned(),
    ];
    let told = said(&written(CONFIG, &keys(&set.each_ref().map(String::as_str))));
    assert!(told.contains("ok: 1 issuer"), "{told}");
    for expected in [
        "warning: keys[1] has no `kid`",
        "warning: keys[2] (kid \"mine\") holds a private key: the issuer's secret is exposed",
        "warning: keys[3] (kid \"enc\") is not for signatures",
        "warning: keys[4] (kid \"curve\") has a `crv` that is not supported",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_eq!(told.matches("--> here/keys.json:1:1").count(), 4, "{told}");
    let told = said(&written(CONFIG, &keys(&[&named("mine", ",\"d\":\"AQ\"")])));
    let refused = "error: no key of this JWK Set can verify a token: keys[0] (kid \"mine\") holds a private key";
    assert!(told.contains(refused), "{told}");
}
