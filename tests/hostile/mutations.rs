//! A good request with one thing changed is denied, unless the change is on the list of harmless ones.
//!
//! Every byte of every part is changed, removed, doubled and preceded by another; every header is left out, doubled, renamed
//! and moved. The list is exact: a change that is allowed must be on it, and one that is on it must be allowed.

mod change;
mod harmless;

use std::collections::{BTreeMap, BTreeSet};

use change::{Change, parts};
use harmless::{HARMLESS, Harmless};

use crate::support::{
    Encoding, Good, Memory, NOW, Request, Setting, good, good_bearer, good_both, good_mtls, good_mtls_by_header,
    good_nonce, judge, pki,
};

/// Requests of every kind that may be allowed.
fn bases() -> Vec<(&'static str, Good)> {
    let hash = format!("Hash={}", pki().client.hash());
    let certificate = format!("Cert=\"{}\"", pki().client.encoded());
    let client_cert = pki().client.byte_sequence();
    vec![
        ("DPoP", good()),
        ("DPoP with a nonce", good_nonce()),
        ("certificate", good_mtls()),
        ("both", good_both()),
        ("nothing demanded", good_bearer()),
        ("XFCC with Hash", good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", hash)),
        ("XFCC with Cert", good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", certificate)),
        ("Client-Cert", good_mtls_by_header(Setting::ClientCert, "client-cert", client_cert)),
    ]
}

/// Whether it is allowed, with a memory of its own.
fn allows(request: &Request, encoding: Encoding) -> bool {
    judge(request, encoding, &Memory::new(10, 100), NOW).status == 200
}

/// What came of the changes to one request.
#[derive(Default)]
struct Tally {
    tried: usize,
    /// Of the list, how often each did no harm.
    used: BTreeMap<&'static str, usize>,
    wrong: BTreeSet<String>,
}

fn change_everything(name: &str, base: &Good) -> Tally {
    let mut tally = Tally::default();
    let request = base.build();
    for encoding in Encoding::BOTH {
        assert!(allows(&request, encoding), "{name} is allowed unchanged");
    }
    for part in parts(&request) {
        for change in Change::all(&request, &part) {
            let changed = change.apply(&request, &part);
            let reason = Harmless::of(&request, &part, &change, &changed);
            let encoding = if tally.tried.is_multiple_of(2) { Encoding::Map } else { Encoding::Raw };
            let allowed = allows(&changed, encoding);
            tally.tried += 1;
            if let Some(reason) = reason {
                *tally.used.entry(reason).or_default() += 1;
            }
            if allowed != reason.is_some() {
                let what = if allowed { "is allowed" } else { "is on the list and denied" };
                tally.wrong.insert(format!("{name}: {part}, {change} {what} ({encoding:?}, {reason:?})"));
            }
        }
    }
    tally
}

#[test]
fn one_change_to_a_good_request_is_a_denial_unless_it_is_on_the_list() {
    let bases = bases();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            bases.iter().map(|(name, base)| scope.spawn(move || change_everything(name, base))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let tried: usize = tallies.iter().map(|tally| tally.tried).sum();
    let wrong: Vec<_> = tallies.iter().flat_map(|tally| &tally.wrong).cloned().collect();
    assert!(wrong.is_empty(), "{} of {tried} changes:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    let used: BTreeSet<_> = tallies.iter().flat_map(|tally| tally.used.keys().copied()).collect();
    let stale: Vec<_> = HARMLESS.iter().filter(|(name, _)| !used.contains(name)).collect();
    assert!(stale.is_empty(), "on the list and never seen: {stale:?}");
    assert!(tried > 50_000, "only {tried} changes were tried");
}

const HEAD: &str = "\
# Mutations

One change to a request that is allowed, and it is denied: every byte of method, authority, path, header values and certificate is
replaced (by seven others), removed and preceded by others; every header is left out, doubled, moved, and renamed. It is done to
eight kinds of good request: DPoP with and without nonce, a client certificate from the connection, from `x-forwarded-client-cert`
as hash and as certificate, and from `Client-Cert`, both proofs at once, and a bearer token where an API demands no proof.
`tests/hostile/mutations.rs` makes about 115,000 such requests; `tests/hostile/message.rs` changes the bits of Envoy's message itself.

These changes are allowed, and no others; the list is exact both ways, and this page is rendered from it
(`UPDATE_DOCS=1 cargo test --test hostile harmless`).

| change | why it does no harm |
|---|---|
";

#[test]
fn the_page_of_harmless_changes_is_up_to_date() {
    let rows = HARMLESS.iter().map(|(name, why)| format!("| {} | {why} |\n", name.replace('-', " ")));
    let page = HEAD.to_owned() + &rows.collect::<String>();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mutations.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/mutations.md is stale: run UPDATE_DOCS=1 cargo test --test hostile harmless");
}
