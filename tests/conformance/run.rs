//! Runs the rows of a family in both encodings, prints the table, and reports every failure at once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use crate::expect::{allow, outcome_in_full};
use crate::family::{FAMILIES, Family};
use crate::invariants;
use crate::row::{Envoy, Row, Sending};
use crate::support::{Encoding, Good, Memory, NOW, Outcome, judge, judge_under};

/// Counts of one family.
struct Count {
    prefix: &'static str,
    rows: usize,
    refusing: usize,
    failed: usize,
}

/// Judges every row of a family.
pub fn check(family: &Family) {
    let rows = family.table();
    let mut table = format!("\n{}: {}\n", family.prefix, family.title);
    let mut failures = Vec::new();
    let mut failed = 0;
    let mut twins = BTreeSet::new();
    for row in &rows {
        let wrong: Vec<_> =
            Encoding::BOTH.iter().flat_map(|encoding| Judging::new(row, *encoding, &mut twins).run()).collect();
        failed += usize::from(!wrong.is_empty());
        let result = if wrong.is_empty() { "ok" } else { "FAILED" };
        writeln!(table, "{:<7} {result:<6} {:<40} {}{}", row.id, row.expected(), row.sentence, note(&row.envoy))
            .unwrap();
        failures.extend(wrong);
    }
    let refusing = rows.iter().filter(|row| row.refuses()).count();
    print(&table, Count { prefix: family.prefix, rows: rows.len(), refusing, failed });
    assert!(failures.is_empty(), "{} of {} rows fail:\n{}", failed, rows.len(), failures.join("\n"));
}

fn note(envoy: &Envoy) -> String {
    match envoy {
        Envoy::Same => String::new(),
        Envoy::Stops(status) => format!(" (Envoy: {status} itself)"),
        Envoy::TurnsAway => " (Envoy: ends the handshake)".to_owned(),
        Envoy::Becomes(expect) => format!(" (behind Envoy: {expect})"),
        Envoy::CannotSend(why) => format!(" (not through Envoy: {why})"),
    }
}

/// Prints one table whole, and after the last family the counts of all.
fn print(table: &str, count: Count) {
    static COUNTS: LazyLock<Mutex<Vec<Count>>> = LazyLock::new(Mutex::default);
    let mut counts = COUNTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut text = table.to_owned();
    writeln!(text, "{} rows, {} of them refuse, {} failed", count.rows, count.refusing, count.failed).unwrap();
    counts.push(count);
    if counts.len() == FAMILIES.len() {
        counts.sort_unstable_by_key(|count| FAMILIES.iter().position(|family| family.prefix == count.prefix));
        text.push_str("\nfamily    rows  refuse  failed\n");
        for Count { prefix, rows, refusing, failed } in counts.iter() {
            writeln!(text, "{prefix:<6} {rows:>7} {refusing:>7} {failed:>7}").unwrap();
        }
        let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
        let (rows, refusing, failed) = (sum(|c| c.rows), sum(|c| c.refusing), sum(|c| c.failed));
        writeln!(text, "all    {rows:>7} {refusing:>7} {failed:>7}").unwrap();
    }
    println!("{text}");
}

/// One row in one encoding.
struct Judging<'r> {
    row: &'r Row,
    encoding: Encoding,
    /// The unchanged requests that were found allowed.
    twins: &'r mut BTreeSet<(String, &'static str)>,
    wrong: Vec<String>,
}

impl<'r> Judging<'r> {
    fn new(row: &'r Row, encoding: Encoding, twins: &'r mut BTreeSet<(String, &'static str)>) -> Self {
        Self { row, encoding, twins, wrong: Vec::new() }
    }

    fn run(mut self) -> Vec<String> {
        let (proofs, share_percent) = self.row.room;
        let (mut memory, mut other) = (Memory::new(proofs, share_percent), Memory::new(proofs, share_percent));
        let mut seen: Vec<Outcome> = Vec::new();
        let mut last = None;
        for (index, step) in self.row.steps.iter().enumerate() {
            let now = NOW + step.after;
            if let Some(lost) = step.lost {
                memory.forget(NOW + lost);
                other.forget(NOW + lost);
            }
            let request = match (&step.send, last.take()) {
                (Sending::Made(make), _) => {
                    let good = make(&seen);
                    self.check_twin(&good);
                    good.build()
                }
                (Sending::Again, Some(request)) => request,
                (Sending::Again, None) => panic!("nothing to send again"),
            };
            let outcome = judge(&request, self.encoding, &memory, now);
            if !step.expect.is(&outcome) {
                let (expected, actual) = (step.expect.in_full(), outcome_in_full(&outcome));
                self.report(index, &format!("\n    expected {expected}\n    actual   {actual}"));
            }
            // Whichever way policies are asked.
            let whole = judge_under(&request.setting.whole(), &request, self.encoding, &other, now);
            if (whole.code, whole.status, &whole.challenge) != (outcome.code, outcome.status, &outcome.challenge) {
                let (whole, actual) = (outcome_in_full(&whole), outcome_in_full(&outcome));
                self.report(index, &format!("\n    all policies {whole}\n    the indexed  {actual}"));
            }
            for broken in invariants::broken(&request, &outcome) {
                self.report(index, &broken);
            }
            seen.push(outcome);
            last = Some(request);
        }
        self.wrong
    }

    /// Every request is one change away from one that is allowed.
    fn check_twin(&mut self, good: &Good) {
        if self.twins.contains(&(good.base().to_owned(), self.encoding.name())) {
            return;
        }
        let outcome = judge(&good.twin().build(), self.encoding, &Memory::new(1, 100), NOW);
        if allow().is(&outcome) {
            self.twins.insert((good.base().to_owned(), self.encoding.name()));
        } else {
            let what = format!("the unchanged request ({}) is not allowed: {}", good.base(), outcome_in_full(&outcome));
            self.report(0, &what);
        }
    }

    fn report(&mut self, index: usize, what: &str) {
        let Row { id, sentence, .. } = self.row;
        self.wrong.push(format!("{id} [{}, request {}] {sentence}: {what}", self.encoding.name(), index + 1));
    }
}
