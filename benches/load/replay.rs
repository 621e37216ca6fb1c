//! What it costs to remember that a proof is spent: two million inserts, as a steady stream over the time that they are remembered.
//!
//! In this process, by itself: a check is not slowed by sockets here, and an insert that is slow is seen. Tables double, so some
//! inserts move all that their table has; the worst one is what a check may meet.

use std::time::{Duration, Instant};

use keybound::decision::binding::{Spend, Spending};
use keybound::decision::client::ClientId;
use keybound::edge::spent::memory::Memory;
use serde_json::json;

use crate::bench::Bench;
use crate::figures::Median;
use crate::told::{Target, Told};
use crate::world::{ISSUER, now};

/// Proofs that are spent.
const PROOFS: u32 = 2_000_000;
/// They come within so many seconds, and are remembered for somewhat longer.
const SECONDS: u32 = 300;

/// The same stream twice: once as a whole for the mean, once each insert by itself for the worst.
pub fn replay(bench: &Bench, told: &mut Told) -> Result<(), String> {
    let mut means = Vec::new();
    let mut each = Vec::new();
    for _ in 0..bench.repetitions.max(3) {
        let begun = Instant::now();
        spend(&mut |insert| insert())?;
        means.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(PROOFS));
        let mut took = Vec::with_capacity(usize::try_from(PROOFS).unwrap_or_default());
        spend(&mut |insert| {
            let begun = Instant::now();
            let spending = insert();
            took.push(begun.elapsed());
            spending
        })?;
        took.sort_unstable();
        each.push(took);
    }
    let of =
        |part: &dyn Fn(&[Duration]) -> Duration| Median::of(each.iter().map(|took| part(took).as_secs_f64() * 1e6));
    let mean = Median::of(means);
    let unlikely = of(&|took| took[took.len() - took.len() / 10_000 - 1]);
    let worst = of(&|took| took[took.len() - 1]);
    let line = format!(
        "spent proofs: {:.0} ns for one of {PROOFS}; p99.99 {:.1} µs, the worst one {:.0} µs (least of {} times; {:.0} to {:.0})",
        mean.middle,
        unlikely.middle,
        worst.least,
        each.len(),
        worst.least,
        worst.most
    );
    told.say("spend", json!({"mean_ns": mean.json(), "p99_99_us": unlikely.json(), "worst_us": worst.json()}), line);
    told.targets.push(Target::at_most("remembering a spent proof, mean", 200.0, mean.middle, " ns"));
    // Whoever takes the processor in the middle of an insert makes one slow; nobody does it in the same place each time.
    told.targets.push(Target::at_most("remembering a spent proof, worst", 1.0, worst.least / 1e3, " ms"));
    Ok(())
}

fn spend(measured: &mut dyn FnMut(&mut dyn FnMut() -> Spending) -> Spending) -> Result<(), String> {
    let begin = now();
    let memory = Memory::new(20_000_000, 100, 0);
    let client = ClientId { issuer: ISSUER.to_owned(), id: "busy-robot".to_owned() };
    let mut spend = Spend { key: [0; 32], client: client.into(), made_at: 0, by_nonce: false, until: 0 };
    for number in 0..PROOFS {
        let now = begin + i64::from(number) * i64::from(SECONDS) / i64::from(PROOFS);
        // As a hash is: nothing of it follows from the one before.
        let key = (u128::from(number) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        spend.key[..16].copy_from_slice(&key.to_le_bytes());
        (spend.made_at, spend.until) = (now, now + i64::from(SECONDS) + 10);
        let spending = measured(&mut || memory.spend(&spend, now));
        if spending != Spending::Fresh {
            return Err(format!("proof {number} was not remembered as fresh"));
        }
    }
    let entries = memory.entries();
    if u32::try_from(entries) == Ok(PROOFS) { Ok(()) } else { Err(format!("{entries} are remembered")) }
}
