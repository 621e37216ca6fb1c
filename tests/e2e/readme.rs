//! The README's way to an API of one's own, followed to the letter: what it says to write is taken, and serves.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::lab::{Lab, Plan, files, place};
use crate::requests::dpop_at;
use crate::support::Good;
use crate::support::issuers::{SERVER, named_keys};

const README: &str = include_str!("../../README.md");
/// The API of the README.
const HOST: &str = "pay.example.com";

/// The code blocks in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fenced = README.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The files that it says to write, by the name that each has in its first line.
fn written() -> BTreeMap<&'static str, &'static str> {
    let named = |block: &'static str, mark: &str| {
        let name = block.lines().next()?.strip_prefix(mark)?.trim();
        name.starts_with("mine/").then_some((name, block))
    };
    let yaml = blocks("yaml").into_iter().filter_map(|block| named(block, "#"));
    yaml.chain(blocks("cedar").into_iter().filter_map(|block| named(block, "//"))).collect()
}

/// The files that it says to copy, by where they go.
fn copied() -> Vec<(String, String)> {
    let line = blocks("sh").into_iter().flat_map(str::lines).find(|line| line.starts_with("cp ")).expect("a copy");
    let words: Vec<_> = line.split(' ').skip(1).collect();
    let (to, from) = words.split_last().expect("where to");
    let shipped = |name: &&str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let last = path.file_name().expect("a file").to_str().expect("text").to_owned();
        (format!("{to}{last}"), std::fs::read_to_string(&path).expect("a shipped file"))
    };
    from.iter().map(shipped).collect()
}

/// All of it, and the key set of an issuer.
fn followed() -> BTreeMap<String, String> {
    let written = written().into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    let keys = ("mine/as-jwks.json".to_owned(), named_keys(SERVER).expect("keys").to_string());
    written.chain(copied()).chain([keys]).collect()
}

/// Writes these files and asks keybound about them, with the README's own words.
fn check(name: &str, files: &BTreeMap<String, String>) -> Output {
    let directory = place::directory(name);
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        files::replace(&path, text);
    }
    let line = blocks("sh").into_iter().flat_map(str::lines).find(|line| line.contains("keybound check")).expect("it");
    let line = line.split('#').next().expect("the command").split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_keybound")).args(line.skip(1)).current_dir(&directory).output().expect("keybound")
}

#[test]
fn the_files_of_the_readme_are_taken() {
    let files = followed();
    assert_eq!(files.len(), 7, "{:?}", files.keys());
    let said = check("readme", &files);
    let told = String::from_utf8(said.stdout).expect("text");
    assert!(said.status.success() && told.contains("\nok: 1 issuer, 1 API, bundle "), "{told}");
    // It warns of nothing but the examples of the schema that are not used.
    for line in told.lines().filter(|line| line.starts_with("warning")) {
        assert!(line.starts_with("warning: no operation in apis.yaml is action "), "{line}");
    }
}

#[test]
fn no_file_of_the_readme_can_be_left_out() {
    for name in followed().keys().filter(|name| Path::new(name).extension().is_none_or(|end| end != "cedar")) {
        let mut files = followed();
        files.remove(name);
        assert!(!check(&format!("readme-{}", name.replace('/', "-")), &files).status.success(), "{name}");
    }
}

#[test]
fn the_filter_of_the_readme_is_the_shipped_one() {
    let shipped = include_str!("../../deploy/envoy/envoy.yaml");
    let filter = blocks("yaml").into_iter().find(|block| block.starts_with("http_filters:")).expect("the filter");
    let told = filter.lines().skip(1).map(|line| line.split("  #").next().unwrap_or_default().trim());
    let told: Vec<_> = told.filter(|line| !line.starts_with("grpc_service:")).collect();
    assert!(told.len() > 7, "{told:?}");
    for line in told {
        assert!(shipped.lines().any(|other| other.trim() == line), "deploy/envoy/envoy.yaml says otherwise: {line}");
    }
}

/// The request that the README is about.
fn asked() -> Good {
    dpop_at(HOST).path("/payments/7").token(|token| {
        token.claims["client_id"] = json!("invoice-robot");
        token.claims["scope"] = json!("payments.read");
    })
}

#[tokio::test]
async fn the_bundle_of_the_readme_serves() {
    let files = followed();
    let bundle = files.iter().filter_map(|(name, text)| Some((name.strip_prefix("mine/policies/")?, text)));
    let bundle = bundle.map(|(name, text)| (name.to_owned(), text.clone())).collect();
    let lab = Lab::ready("readme-served", &Plan { bundle, ..Plan::default() });
    let edge = lab.edge();
    let answer = edge.send(&asked().build()).await;
    answer.allowed();
    assert_eq!(answer.decision["policies"], json!(["read-payments-with-proof"]));
    edge.send(&asked().scheme("Bearer").without("dpop").build()).await.denied("binding_scheme_mismatch", 401);
    let stranger = asked().token(|token| token.claims["client_id"] = json!("stranger"));
    edge.send(&stranger.build()).await.denied("client_unknown", 403);
    edge.send(&asked().path("/health").without("authorization").without("dpop").build()).await.passed("public");
}
