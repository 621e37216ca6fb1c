//! The rows through a real Envoy as `deploy/` sets it up, in both header encodings: the real wire, the real service, and only the
//! time and the configuration are the row's.

mod client;
mod edge;
mod journey;
mod place;
mod service;
mod told;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use crate::family::{FAMILIES, Family};
use crate::row::{Envoy, Row};
use crate::support::Encoding;
use journey::{CannotSend, Journey, Made};

/// Fewer rows than this in one encoding, and something hides them.
const AT_LEAST: usize = 60;

/// What became of the rows in one encoding.
#[derive(Default)]
struct Count {
    sent: usize,
    same: usize,
    stopped: usize,
    turned_away: usize,
    changed: usize,
    requests: usize,
    not_sent: BTreeMap<&'static str, usize>,
}

impl Count {
    fn add(&mut self, row: &Row, made: &Result<Made, CannotSend>) {
        let made = match made {
            Ok(made) => made,
            Err(CannotSend(why)) => {
                *self.not_sent.entry(why).or_default() += 1;
                return;
            }
        };
        self.sent += 1;
        self.requests += made.requests();
        match row.envoy {
            Envoy::Stops(_) => self.stopped += 1,
            Envoy::TurnsAway => self.turned_away += 1,
            Envoy::Becomes(_) => self.changed += 1,
            Envoy::Same | Envoy::CannotSend(_) => self.same += 1,
        }
    }
}

#[test]
fn every_row_that_a_client_can_send_goes_through_a_real_envoy() {
    let began = Instant::now();
    let mut journey = Journey::begin();
    let rows: Vec<Row> = FAMILIES.iter().flat_map(Family::table).collect();
    let mut text = String::new();
    let mut made = Vec::new();
    let mut sent = Vec::new();
    for encoding in [Encoding::Raw, Encoding::Map] {
        let mut count = Count::default();
        for row in &rows {
            let one = journey.make(row, encoding);
            count.add(row, &one);
            made.extend(one.ok().map(|one| (row, encoding, one)));
        }
        tell(&mut text, encoding, &count);
        sent.push(count.sent);
    }
    let unsound = journey.unsound();
    let codes = journey.end();
    let wrong: Vec<String> =
        made.iter().flat_map(|(row, encoding, made)| made.wrong(row, encoding.name(), &codes)).collect();
    writeln!(text, "{} rows through Envoy, raw and map, in {} s", sent[0], began.elapsed().as_secs()).unwrap();
    println!("{text}");
    assert!(unsound.is_empty(), "{}", unsound.join("\n"));
    assert!(wrong.is_empty(), "{} disagreements:\n{}", wrong.len(), wrong.join("\n"));
    assert!(sent.iter().all(|sent| *sent >= AT_LEAST), "only {sent:?} rows went through Envoy");
}

fn tell(text: &mut String, encoding: Encoding, count: &Count) {
    let Count { sent, same, stopped, turned_away, changed, requests, .. } = count;
    writeln!(
        text,
        "{}: {sent} rows sent in {requests} requests: {same} the same verdict, {changed} another after Envoy wrote the request \
         anew, {stopped} stopped by Envoy, {turned_away} turned away in the handshake",
        encoding.name(),
    )
    .unwrap();
    for (why, rows) in &count.not_sent {
        writeln!(text, "    {rows} not sent: {why}").unwrap();
    }
}
