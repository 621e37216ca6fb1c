//! What the rows send, as seeds for `fuzz/`: one file for each text, in a folder for each target.
//!
//! `FUZZ_SEEDS=<folder> cargo test --test conformance seeds` writes them there. Texts that name keys of this run hold words in
//! their place ([`placeholders`]), and whoever reads them signs anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keybound::decision::security_event::EventKind;
use serde_json::{Value, json};

use crate::family::{FAMILIES, Family};
use crate::row::Sending;
use crate::support::issuers::{SERVER, key_sets, named_keys};
use crate::support::placeholders::abstracted;
use crate::support::wire::encode;
use crate::support::{Encoding, Listing, NOW, Request};

/// The seeds of every target.
type Seeds = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

/// Larger ones only slow a fuzzer down.
const MOST_BYTES: usize = 8 * 1024;

#[test]
fn seeds_for_the_fuzzer_are_made_of_the_rows() {
    let mut seeds = Seeds::new();
    for row in FAMILIES.iter().flat_map(Family::table) {
        for step in &row.steps {
            if let Sending::Made(make) = &step.send {
                of_request(&mut seeds, &make(&[]).build());
            }
        }
    }
    let sets = key_sets().iter().map(|(_, set)| set.clone()).chain(named_keys(SERVER));
    seeds.entry("jwks").or_default().extend(sets.map(|set| set.to_string().into_bytes()));
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for name in ["apis.yaml", "clients.yaml"] {
        seeds.entry("bundle_yaml").or_default().insert(std::fs::read(policies.join(name)).unwrap());
    }
    seeds.entry("security_event").or_default().extend(security_events());
    for (target, least) in [
        ("check_request", 1_000),
        ("compact_jws", 500),
        ("access_token", 300),
        ("security_event", 10),
        ("status_list", 40),
        ("proof", 200),
        ("xfcc", 60),
        ("client_cert", 20),
        ("target_uri", 60),
        ("jwks", 20),
        ("bundle_yaml", 2),
        ("introspection", 60),
    ] {
        let count = seeds.get(target).map_or(0, BTreeSet::len);
        assert!(count >= least, "{count} seeds for {target}");
    }
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        write(Path::new(&folder), &seeds);
    }
}

/// Header and payload of SETs, a line each: every event with every kind of subject.
fn security_events() -> Vec<Vec<u8>> {
    let simple = json!({"format": "iss_sub", "iss": SERVER, "sub": "a"});
    let opaque = json!({"format": "opaque", "id": "a"});
    let subjects = [
        json!({"format": "jwt_id", "iss": SERVER, "jti": "a"}),
        json!({"format": "complex", "user": simple, "session": opaque, "tenant": opaque}),
        simple,
        opaque,
    ];
    let events = EventKind::REVOKING.map(|kind| {
        let profile = if kind.name().starts_with("account") { "risc" } else { "caep" };
        format!("https://schemas.openid.net/secevent/{profile}/event-type/{}", kind.name())
    });
    let payload = json!({
        "event_timestamp": NOW - 9, "change_type": "revoke", "claims": {"a": 1}, "current_status": "not-compliant",
        "change_direction": "decrease", "current_level": "HIGH",
    });
    let header = json!({"typ": "secevent+jwt", "alg": "ES256", "kid": "a"});
    let of = |subject: &Value, event: &String| {
        let claims = json!({
            "iss": "https://idp.test", "aud": "us", "iat": NOW - 5, "jti": "a", "sub_id": subject,
            "events": {event.as_str(): payload},
        });
        format!("{header}\n{claims}").into_bytes()
    };
    subjects.iter().flat_map(|subject| events.iter().map(|event| of(subject, event)).collect::<Vec<_>>()).collect()
}

fn write(folder: &Path, seeds: &Seeds) {
    for (target, texts) in seeds {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, text) in texts.iter().enumerate() {
            std::fs::write(folder.join(format!("row-{number:04}")), text).unwrap();
        }
    }
}

fn of_request(seeds: &mut Seeds, request: &Request) {
    let mut add = |target, seed: Vec<u8>| {
        if seed.len() <= MOST_BYTES {
            seeds.entry(target).or_default().insert(seed);
        }
    };
    for encoding in Encoding::BOTH {
        add("check_request", encode(request, encoding));
    }
    let value =
        |name: &str| request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let credential =
        value("authorization").map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let token = credential.split_once(' ').map_or("", |(_, token)| token);
    let proof = value("dpop").map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    for (target, text) in [("access_token", token), ("proof", proof.as_str())] {
        add("compact_jws", text.as_bytes().to_vec());
        if let Some(parts) = decoded(text) {
            add(target, abstracted(&parts, token));
        }
    }
    if let Some(answer) = &request.answer {
        add("introspection", answer.clone());
    }
    if let Listing::Text(text) = &request.list
        && let Some(parts) = decoded(&String::from_utf8_lossy(text))
    {
        add("status_list", parts);
    }
    if let Some(target) = decoded(&proof).and_then(|parts| target_of(&parts)) {
        add("target_uri", format!("{}\n{target}", request.path).into_bytes());
    }
    for (target, name) in [("xfcc", "x-forwarded-client-cert"), ("client_cert", "client-cert")] {
        if let Some(value) = value(name) {
            add(target, abstracted(value, token));
        }
    }
}

/// Header and payload of a compact JWS, a line each.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let [header, payload, _] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
    // What is not canonical is for the target that reads the text itself.
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    Some([bytes(header)?, b"\n".to_vec(), bytes(payload)?].concat())
}

fn target_of(parts: &[u8]) -> Option<String> {
    let claims: Value = serde_json::from_slice(parts.split(|byte| *byte == b'\n').nth(1)?).ok()?;
    claims["htu"].as_str().map(str::to_owned)
}
