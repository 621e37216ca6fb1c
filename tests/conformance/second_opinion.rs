//! The same requests to an independent verifier, `oauth4webapi`'s `validateJwtAccessToken`: every disagreement is explained in
//! `docs/second-opinion.md`, and the page explains none that there is not.
//!
//! Sent are the rows about tokens and proofs, and a good request with every single change that `tests/hostile` makes to its headers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::family::FAMILIES;
use crate::row::Sending;
use crate::support::inventory::host;
use crate::support::issuers::{
    AUDIENCE, LEGACY, LEGACY_AUDIENCE, NARROW_AUDIENCE, SERVER, key_sets, named_keys, with_key_set,
};
use crate::support::{Encoding, Memory, NOW, Request, Setting, good, judge};

#[path = "../hostile/mutations/change.rs"]
mod change;

use change::{Change, Part, parts};

/// Families about tokens and proofs.
const ASKED: [&str; 8] = ["DP", "MT", "BR", "AT", "JB", "JW", "TP", "Failures"];

/// One request, and where it is from.
struct Case {
    clause: &'static str,
    sentence: String,
    request: Request,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in FAMILIES.iter().filter(|family| ASKED.contains(&family.prefix)).flat_map(crate::family::Family::table) {
        let Some(Sending::Made(make)) = row.steps.first().map(|step| &step.send) else { continue };
        let request = make(&[]).build();
        // What only Envoy can say is not in a request.
        let plain = request.edit_message.is_none() && request.edit_bytes.is_none() && request.api_hint.is_none();
        // An opaque token says nothing to either of them.
        let says_itself = request.answer.is_none();
        if plain && says_itself && request.setting == Setting::Standard {
            cases.push(Case { clause: row.id, sentence: row.sentence.clone(), request });
        }
    }
    let request = good().build();
    for part in parts(&request).iter().filter(|part| matches!(part, Part::Value(..) | Part::Header(..))) {
        for change in Change::all(&request, part) {
            let sentence = format!("{part}: {change}");
            cases.push(Case { clause: "mutation", sentence, request: change.apply(&request, part) });
        }
    }
    cases
}

/// The request as the other verifier is asked about it: with the issuer, keys and audience of its API.
fn question(request: &Request) -> Value {
    let claimed = claimed_issuer(request);
    let snapshot = request.setting.snapshot();
    let bundle = snapshot.bundle.as_ref().expect("a bundle");
    let accepted: Vec<String> =
        bundle.inventory.at_host(&request.authority, None).flat_map(|(api, _)| api.issuers.clone()).collect();
    let issuer = accepted.iter().find(|issuer| **issuer == claimed).or(accepted.first()).cloned();
    let issuer = issuer.unwrap_or_else(|| SERVER.to_owned());
    let of_set = || key_sets().iter().find(|(name, _)| with_key_set(name) == issuer).map(|(_, set)| set.clone());
    let keys = named_keys(&issuer).or_else(of_set).unwrap_or_else(|| json!({"keys": []}));
    let audience = match issuer.as_str() {
        LEGACY => LEGACY_AUDIENCE,
        _ if request.authority == host::NARROW => NARROW_AUDIENCE,
        _ => AUDIENCE,
    };
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, STANDARD.encode(value)])).collect();
    json!({
        "method": request.method,
        "url": format!("https://{}{}", request.authority, request.path),
        "headers": headers,
        "issuer": issuer,
        "keys": keys,
        "audience": audience,
        "algorithms": ["ES256", "ES384", "PS256", "RS256", "EdDSA", "Ed25519"],
    })
}

/// `iss` of the token, unverified; empty if it cannot be read.
fn claimed_issuer(request: &Request) -> String {
    let value =
        request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")).map(|(_, value)| value);
    let text = value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let payload = text.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(payload).ok();
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    claims["iss"].as_str().unwrap_or_default().to_owned()
}

fn opinions(cases: &[Case]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = root.join(".tools/node/node_modules/oauth4webapi/build/index.js");
    assert!(package.exists(), "{} is missing: run `make tools`", package.display());
    let mut node = Command::new("node")
        .arg(root.join("tests/conformance/second_opinion/judge.mjs"))
        .arg(&package)
        .arg(NOW.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let mut input = node.stdin.take().expect("a pipe");
    let questions: Vec<u8> =
        cases.iter().flat_map(|case| format!("{}\n", question(&case.request)).into_bytes()).collect();
    let writer = std::thread::spawn(move || input.write_all(&questions));
    let output = node.wait_with_output().expect("its answers");
    writer.join().expect("no panic").expect("it reads to the end");
    assert!(output.status.success(), "node ended with {}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("a text")).collect()
}

/// Our code, their words, and the clauses where they meet.
type Disagreements = BTreeMap<(String, String), BTreeMap<&'static str, String>>;

#[test]
fn every_disagreement_with_an_independent_verifier_is_explained() {
    let cases = cases();
    let opinions = opinions(&cases);
    assert_eq!(opinions.len(), cases.len());
    assert!(cases.len() > 10_000, "only {} requests", cases.len());
    let mut found = Disagreements::new();
    let mut agreed = [0_usize; 2];
    for (case, opinion) in cases.iter().zip(opinions) {
        let ours = judge(&case.request, Encoding::Raw, &Memory::new(10, 100), NOW);
        let (we_allow, it_accepts) = (ours.status == 200, opinion == "accepts");
        if we_allow == it_accepts {
            agreed[usize::from(we_allow)] += 1;
        } else {
            let clauses = found.entry((ours.code.to_owned(), opinion)).or_default();
            clauses.entry(case.clause).or_insert_with(|| case.sentence.clone());
        }
    }
    assert!(agreed[0] > 5_000 && agreed[1] > 100, "both denied {}, both allowed {}", agreed[0], agreed[1]);
    compare(&found, &explained());
}

/// The rows of the page: code, words and clauses, as they are written.
fn explained() -> BTreeSet<(String, String, String)> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/second-opinion.md"))
        .unwrap_or_default();
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.trim_end_matches(" |").split(" | ").collect();
        let [code, words, clauses, why] = cells.as_slice() else { return None };
        let explained = !why.trim().is_empty() && code.starts_with('`');
        explained.then(|| (code.replace('`', ""), words.replace('`', ""), (*clauses).to_owned()))
    });
    rows.collect()
}

fn compare(found: &Disagreements, explained: &BTreeSet<(String, String, String)>) {
    let row = |(code, words): &(String, String), clauses: &BTreeMap<&str, String>| {
        (
            code.clone(),
            words.replace('`', "").replace(" | ", " / "),
            clauses.keys().copied().collect::<Vec<_>>().join(", "),
        )
    };
    let actual: BTreeSet<_> = found.iter().map(|(key, clauses)| row(key, clauses)).collect();
    let mut wrong: Vec<String> = Vec::new();
    for (key, clauses) in found.iter().filter(|(key, clauses)| !explained.contains(&row(key, clauses))) {
        let (code, words, ids) = row(key, clauses);
        let sentences: Vec<_> = clauses.values().take(4).cloned().collect();
        wrong.push(format!("not explained: | `{code}` | `{words}` | {ids} | |  <- {}", sentences.join("; ")));
    }
    wrong.extend(explained.difference(&actual).map(|(code, words, _)| format!("stale: {code}, {words}")));
    assert!(wrong.is_empty(), "docs/second-opinion.md:\n{}", wrong.join("\n"));
}
