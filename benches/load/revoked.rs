//! What a long list of revocations costs: the memory of an entry, and a check beside one with an empty list.
//!
//! In this process, by itself. Two judgements that differ in their lists alone take turns, so that whatever else the machine does
//! falls on both.

use std::sync::Arc;
use std::time::Instant;

use keybound::decision::Verdict;
use keybound::decision::revocation::{EntryId, Mark, Target as Revoked, Thumbprint};
use keybound::edge::revocations::list::RevocationList;
use serde_json::json;

use crate::bench::Bench;
use crate::figures::Median;
use crate::process::resident_of;
use crate::told::{Target, Told};
use crate::world::inside::Inside;
use crate::world::{Algorithm, Client, ISSUER, bound, token};

const ENTRIES: u32 = 1_000_000;
/// Checks in a row, and how often each list has its turn.
const CHECKS: u32 = 2_000;
const TURNS: usize = 41;

/// Memory and time of a million entries.
pub fn revoked(_: &Bench, told: &mut Told) -> Result<(), String> {
    let list = Arc::new(RevocationList::new([]));
    let before = resident_of("self");
    let begun = Instant::now();
    (0..ENTRIES).for_each(|number| insert(&list, number));
    let inserted = begun.elapsed().as_secs_f64() * 1e9 / f64::from(ENTRIES);
    let each =
        f64::from(u32::try_from(resident_of("self").saturating_sub(before)).unwrap_or(u32::MAX)) / f64::from(ENTRIES);
    let empty = Inside::new(1_000);
    let full = Inside::revoking(1_000, list);
    let message = bound(&token(Client::Certificate, Algorithm::Es256));
    let mut took = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        // Who is first changes.
        for which in [turn % 2, 1 - turn % 2] {
            let inside = [&empty, &full][which];
            let begun = Instant::now();
            for _ in 0..CHECKS {
                if !matches!(inside.judge(&message).verdict, Verdict::Allowed { .. }) {
                    return Err("a check was not allowed".to_owned());
                }
            }
            took[which].push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(CHECKS));
        }
    }
    let ratio = Median::of(took[1].iter().zip(&took[0]).map(|(full, empty)| full / empty));
    let [empty, full] = took.map(Median::of);
    let line = format!(
        "revocations: {each:.0} bytes for each of {ENTRIES} (growth of the resident set), {inserted:.0} ns to insert one; a check in-process \
         {:.2} µs, with an empty list {:.2} µs: {:.3} × ({:.3} to {:.3})",
        full.middle, empty.middle, ratio.middle, ratio.least, ratio.most
    );
    let value = json!({"bytes": each, "insert_ns": inserted, "full_us": full.json(), "empty_us": empty.json(), "ratio": ratio.json()});
    told.say("revoked", value, line);
    told.targets.push(Target::at_most("a check with 1,000,000 revocations to one with none", 1.1, ratio.middle, " ×"));
    Ok(())
}

/// Every kind is there, so that each is looked for.
fn insert(list: &RevocationList, number: u32) {
    let (issuer, name) = (ISSUER.to_owned(), format!("{number:08x}-7d1f-4b6e-9a53-c0ffee000000"));
    let mut hash = [7; 32];
    hash[..4].copy_from_slice(&number.to_le_bytes());
    let target = match number % 100 {
        0 => Revoked::Client { issuer, client_id: name },
        1..=5 => Revoked::Session { issuer, sid: name },
        6..=15 => Revoked::Subject { issuer, sub: name },
        16 => Revoked::Key { issuer, kid: name },
        17 => Revoked::Issuer { issuer: name },
        18 => Revoked::ProofKey { jkt: Thumbprint(hash) },
        19 => Revoked::Certificate { thumbprint: Thumbprint(hash) },
        20 => Revoked::CertificateSerial { issuer: name, serial: "0a".to_owned() },
        21..=30 => Revoked::TokenHash { issuer, sha256: Thumbprint(hash) },
        _ => Revoked::Token { issuer, jti: name },
    };
    let entry = EntryId((u128::from(number) + 1).to_be_bytes());
    list.insert(&target, Mark { entry, not_issued_after: i64::MAX, until: i64::MAX });
}
