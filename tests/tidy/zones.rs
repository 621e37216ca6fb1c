//! Who may name whom (the zones), and what may be named in one place only.

use std::collections::BTreeSet;

use crate::source::{Named, Source, src};

/// Every zone and what it may import of ours, besides itself.
const ZONES: &[(&str, &[&str])] = &[
    ("decision", &[]),
    ("problem", &[]),
    ("yaml", &["problem"]),
    ("bundle", &["decision", "problem", "yaml"]),
    ("config", &["decision", "problem", "yaml"]),
    ("telemetry", &["decision", "config"]),
    ("governance", &["decision", "bundle", "telemetry", "config"]),
    ("edge", &["decision", "problem", "yaml", "bundle", "config", "telemetry", "governance"]),
    ("author", ALL),
    ("operator", ALL),
    ("main", ALL),
];

const ALL: &[&str] =
    &["decision", "problem", "yaml", "bundle", "config", "telemetry", "governance", "edge", "author", "operator"];

/// The crates that the judgement rests on: none that waits, listens, reads a file or writes a log.
const CRATES_OF_DECISION: &[&str] = &[
    "arc_swap",
    "aws_lc_rs",
    "base64",
    "cedar_policy",
    "cedar_policy_core",
    "foldhash",
    "memchr",
    "miniz_oxide",
    "rustls",
    "serde",
    "serde_json",
    "smol_str",
    "thiserror",
    "time",
    "x509_parser",
];

/// What the judgement may not name of the standard library.
const IMPURE: &[&str] = &["std::fs", "std::net", "std::io", "std::env", "std::process", "std::thread", "std::os"];

/// Words that no pure code has.
const IMPURE_WORDS: &[&str] = &[
    "SystemTime",
    "Instant",
    "async",
    "await",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "Mutex",
    "RwLock",
    "thread_local",
];

/// The dependencies of `Cargo.toml`, as the code writes them.
fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(crate::source::root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().replace('-', "_"));
    section.lines().filter(|line| !line.starts_with('#')).filter_map(name).collect()
}

fn zone(source: &Source) -> String {
    source.module().first().cloned().unwrap_or_default()
}

fn below(zone_name: &str) -> impl Iterator<Item = &Source> {
    src().iter().filter(move |source| zone(source) == zone_name)
}

/// Whether a path names a crate: one word alone may be a variable.
fn names_crate(named: &Named) -> bool {
    named.import || named.segments.len() > 1
}

#[test]
fn every_zone_names_only_the_zones_it_may() {
    let mut offences = Vec::new();
    for source in src() {
        let own = zone(source);
        let may = ZONES.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, may)| *may);
        for named in source.named().iter().filter(|named| named.begins("crate") && named.segments.len() > 1) {
            let other = &named.segments[1];
            if *other != own && !may.contains(&other.as_str()) {
                offences.push(format!("{}: `{own}` names `{other}`", source.at(named.line)));
            }
        }
    }
    crate::none(offences, "import rules, see src/lib.rs");
}

#[test]
fn every_room_of_the_source_has_its_import_rules() {
    let unknown = src().iter().map(zone).filter(|zone| !zone.is_empty() && !ZONES.iter().any(|(name, _)| name == zone));
    crate::none(unknown.collect::<BTreeSet<_>>(), "a zone without a row in tests/tidy/zones.rs");
}

#[test]
fn the_decision_rests_on_pure_crates_alone() {
    let dependencies = dependencies();
    assert!(dependencies.contains("tokio") && dependencies.contains("aws_lc_rs"), "Cargo.toml was not understood");
    let mut offences = Vec::new();
    for source in below("decision") {
        for named in source.named().into_iter().filter(|named| !named.test && names_crate(named)) {
            let first = &named.segments[0];
            if dependencies.contains(first) && !CRATES_OF_DECISION.contains(&first.as_str()) {
                offences.push(format!("{}: {}", source.at(named.line), named.segments.join("::")));
            }
        }
    }
    crate::none(offences, "a crate that decision/ may not name");
}

#[test]
fn the_decision_does_no_io_and_reads_no_clock() {
    let mut offences = Vec::new();
    for source in below("decision") {
        let paths = source.named().into_iter().filter(|named| !named.test);
        let impure = paths.filter(|named| IMPURE.iter().any(|path| named.begins(path)));
        offences.extend(impure.map(|named| format!("{}: {}", source.at(named.line), named.segments.join("::"))));
        let words = source.tokens.iter().filter(|token| !token.test && IMPURE_WORDS.iter().any(|word| token.is(word)));
        offences.extend(words.map(|token| format!("{}: {}", source.at(token.line), token.text)));
    }
    crate::none(offences, "impure code in decision/");
}

/// Files, outside tests, in which a path that begins so, or a word, stands.
fn naming(what: impl Fn(&Named) -> bool) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for source in src() {
        if source.named().iter().any(|named| !named.test && what(named)) {
            files.insert(source.path.clone());
        }
    }
    files
}

fn only_in(found: BTreeSet<String>, rooms: &[&str], what: &str) {
    assert!(!found.is_empty(), "{what} is named nowhere: this test looks for something that is gone");
    let strays = found.into_iter().filter(|path| !rooms.iter().any(|room| path.starts_with(room)));
    crate::none(strays.collect::<Vec<_>>(), &format!("{what} has its place in {rooms:?}"));
}

#[test]
fn signatures_are_verified_in_one_room_and_made_in_one() {
    let found = naming(|named| named.begins("aws_lc_rs::signature"));
    let rooms = ["src/decision/jose/key.rs", "src/edge/introspection/assertion.rs"];
    only_in(found, &rooms, "aws_lc_rs::signature");
}

#[test]
fn the_wall_clock_is_read_in_one_room() {
    let found = naming(|named| named.segments.iter().any(|segment| segment == "SystemTime"));
    only_in(found, &["src/edge/clock.rs"], "SystemTime");
}

#[test]
fn only_the_edge_fetches() {
    // Config keeps URLs in the type of the parser that the fetching client uses: two parsers could read two hosts.
    let found = naming(|named| {
        let url_alone = named.segments == ["reqwest", "Url"];
        named.begins("reqwest") && names_crate(named) && !url_alone
    });
    let strays = found.into_iter().filter(|path| !path.starts_with("src/edge/"));
    crate::none(strays.collect::<Vec<_>>(), "reqwest has its place in src/edge/");
    only_in(naming(|named| named.begins("reqwest::Url")), &["src/edge/", "src/config/url.rs"], "reqwest::Url");
}

#[test]
fn the_answer_is_made_in_one_room_and_named_in_few() {
    let named = |name: &'static str| naming(move |named| named.segments.iter().any(|segment| segment == name));
    let few = ["src/edge/reply.rs", "src/edge/gate.rs", "src/edge/proto.rs"];
    only_in(named("CheckResponse"), &few, "CheckResponse");
    only_in(named("Writer"), &["src/edge/reply.rs", "src/edge/writer.rs"], "what writes answers");
    let mut made = BTreeSet::new();
    for source in src() {
        for three in source.tokens.windows(3).filter(|three| three[1].is("CheckResponse") && !three[1].test) {
            // `-> CheckResponse {` opens a function's body.
            if (three[2].is("{") && !three[0].is("->")) || three[2].is("::") {
                made.insert(source.path.clone());
            }
        }
    }
    only_in(made, &["src/edge/reply.rs"], "the making of a CheckResponse");
}
