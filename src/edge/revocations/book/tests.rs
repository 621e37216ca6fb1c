#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "tests"
)]

use proptest::prelude::*;

use super::*;
use crate::decision::revocation::Target;
use crate::edge::revocations::entry::ADMIN;

const NOW: i64 = 1_764_000_000_123;

fn empty() -> (Arc<RevocationList>, Book) {
    let list = Arc::new(RevocationList::new([]));
    let metrics = Arc::new(Metrics::new().unwrap());
    (Arc::clone(&list), Book::with_room(list, metrics, 100))
}

fn entry(number: u8, source: &str, expires_at: Option<i64>) -> Record {
    let issuer = "https://as.test".to_owned();
    let target = match number % 3 {
        0 => Target::Subject { issuer, sub: format!("s{}", number / 6) },
        1 => Target::Client { issuer, client_id: "c".to_owned() },
        _ => Target::Token { issuer, jti: format!("t{number}") },
    };
    Record::Entry(Entry {
        id: EntryId([number; 16]),
        source: source.to_owned(),
        target,
        not_issued_after: None,
        expires_at,
        reported_at: NOW - 60_000,
        asked_at: NOW - 250,
        asked_by: "soc".to_owned(),
        reason: "stolen".to_owned(),
        case: None,
    })
}

fn cancel(number: u8, source: &str) -> Record {
    Record::Cancel(Cancel {
        entry: EntryId([number; 16]),
        source: source.to_owned(),
        asked_at: NOW,
        asked_by: "soc".to_owned(),
        reason: "a mistake".to_owned(),
        case: None,
        entry_expires_at: None,
    })
}

/// What is in force: how each entry stands, and how many marks of each kind there are.
fn state_of(book: &Book) -> (Vec<Standing>, Vec<usize>) {
    let standing = (0..=u8::MAX).map(|number| book.standing(EntryId([number; 16]))).collect();
    (standing, Kind::ALL.map(|kind| book.count(kind)).to_vec())
}

proptest! {
    #[test]
    fn the_same_records_in_any_order_and_number_end_in_the_same_list(
        drawn in prop::collection::vec((0_u8..12, 0_usize..2, any::<bool>()), 1..24),
        again in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..48),
    ) {
        // An id belongs to one source; cancels of it come from that and from another.
        let sources = [ADMIN, "caep:one"];
        let ends = [None, Some(NOW / 1_000 + 90_000), Some(NOW / 1_000 + 100)];
        let record = |(number, source, is_entry): &(u8, usize, bool)| if *is_entry {
            entry(*number, sources[usize::from(*number) % 2], ends[usize::from(*number) % 3])
        } else {
            cancel(*number, sources[*source])
        };
        let records: Vec<_> = drawn.iter().map(record).collect();
        let (_, first) = empty();
        for record in &records {
            first.apply(record, NOW);
        }
        let mut shuffled = records.clone();
        for (one, other) in &again {
            shuffled.push(records[one.index(records.len())].clone());
            let (one, other) = (one.index(shuffled.len()), other.index(shuffled.len()));
            shuffled.swap(one, other);
        }
        let (list, second) = empty();
        for record in &shuffled {
            second.apply(record, NOW);
        }
        prop_assert_eq!(state_of(&first), state_of(&second));
        let in_force = state_of(&second).0.into_iter().filter(|standing| *standing == Standing::InForce).count();
        prop_assert_eq!(list.len(), in_force);
    }
}

#[test]
fn a_cancel_counts_for_its_own_source_alone_and_may_come_first() {
    let (list, book) = empty();
    assert_eq!(book.apply(&entry(1, ADMIN, None), NOW), Applied::New);
    assert_eq!(book.apply(&entry(1, ADMIN, None), NOW), Applied::Known);
    assert_eq!(book.apply(&cancel(1, "caep:one"), NOW), Applied::Waiting);
    assert_eq!((list.len(), book.standing(EntryId([1; 16]))), (1, Standing::InForce));
    assert_eq!(book.apply(&cancel(1, ADMIN), NOW), Applied::New);
    assert_eq!(book.apply(&cancel(1, ADMIN), NOW), Applied::Known);
    assert_eq!((list.len(), book.standing(EntryId([1; 16]))), (0, Standing::Cancelled));
    assert_eq!(book.apply(&cancel(2, ADMIN), NOW), Applied::Waiting);
    assert_eq!(book.apply(&entry(2, ADMIN, None), NOW), Applied::Cancelled);
    assert_eq!((list.len(), book.standing(EntryId([2; 16]))), (0, Standing::Cancelled));
}

#[test]
fn an_id_that_is_used_for_something_else_is_refused_and_counted() {
    let (list, book) = empty();
    book.apply(&entry(1, ADMIN, None), NOW);
    assert_eq!(book.apply(&entry(1, "caep:one", None), NOW), Applied::Conflict);
    assert_eq!(book.apply(&entry(1, ADMIN, Some(NOW / 1_000 + 9)), NOW), Applied::Conflict);
    assert_eq!(list.len(), 1);
    let metrics = book.metrics.text();
    assert!(metrics.contains(r#"keybound_revocation_records_total{outcome="conflict",source="admin"} 1"#), "{metrics}");
    assert!(metrics.contains("keybound_revocation_propagation_seconds_sum{origin=\"local\"} 0.25"), "{metrics}");
    assert!(metrics.contains("keybound_time_to_revoke_seconds_sum 60"), "{metrics}");
}

#[test]
fn what_has_ended_leaves_and_does_not_come_back() {
    let (list, book) = empty();
    let end = NOW / 1_000 + 10;
    let ending = entry(1, ADMIN, Some(end));
    assert_eq!(book.apply(&ending, NOW), Applied::New);
    book.apply(&entry(2, ADMIN, None), NOW);
    book.apply(&entry(4, ADMIN, Some(end)), NOW);
    book.apply(&cancel(4, ADMIN), NOW);
    assert_eq!(book.purge(end * 1_000 - 1), []);
    assert_eq!(list.len(), 2);
    let mut gone = book.purge(end * 1_000);
    gone.sort();
    assert_eq!(gone, [EntryId([1; 16]), EntryId([4; 16])]);
    assert_eq!((list.len(), book.standing(EntryId([1; 16]))), (1, Standing::Gone));
    assert_eq!(book.apply(&ending, end * 1_000), Applied::Ended);
    assert_eq!(book.state().len(), 1, "its cancel is gone too");
}

#[test]
fn a_cancel_ends_with_what_it_takes_back_though_that_never_comes() {
    let (list, book) = empty();
    let end = NOW / 1_000 + 10;
    let of = |number: u8, end: i64| match cancel(number, ADMIN) {
        Record::Cancel(cancel) => Record::Cancel(Cancel { entry_expires_at: Some(end), ..cancel }),
        entry @ Record::Entry(_) => entry,
    };
    assert_eq!(book.apply(&of(1, end), NOW), Applied::Waiting);
    assert_eq!(book.apply(&cancel(2, ADMIN), NOW), Applied::Waiting, "of one that does not end");
    // One comes, and ends later than its cancel thinks; another one is another source's.
    assert_eq!(book.apply(&of(4, end), NOW), Applied::Waiting);
    assert_eq!(book.apply(&entry(4, ADMIN, None), NOW), Applied::Cancelled);
    assert_eq!(book.apply(&of(5, end), NOW), Applied::Waiting);
    assert_eq!(book.apply(&entry(5, "caep:one", None), NOW), Applied::New);
    assert_eq!(book.purge(end * 1_000 - 1), []);
    assert_eq!(book.purge(end * 1_000), [EntryId([1; 16])]);
    assert_eq!(book.state().cancels.len(), 3);
    assert_eq!((list.len(), book.standing(EntryId([4; 16]))), (1, Standing::Cancelled));
    assert_eq!(book.apply(&of(1, end), end * 1_000), Applied::Ended);
    assert_eq!(book.state().cancels.len(), 3, "it does not come back");
}

#[test]
fn a_full_book_refuses_entries_and_still_takes_them_back() {
    let (list, book) = empty();
    let taken = (0..=u8::MAX).filter(|number| book.apply(&entry(*number, ADMIN, None), NOW).is_taken()).count();
    assert_eq!((taken, list.len()), (100, 100));
    assert_eq!(book.apply(&cancel(200, ADMIN), NOW), Applied::Full, "of nothing that is known");
    assert_eq!(book.apply(&cancel(7, ADMIN), NOW), Applied::New);
    assert_eq!(list.len(), 99);
    let (_, book) = empty();
    let sources = (0..200).filter(|number| book.apply(&cancel(1, &format!("s{number}")), NOW) != Applied::Full).count();
    assert_eq!(sources, SOURCES, "names are labels");
}

#[test]
fn what_is_over_a_limit_is_refused_whoever_brings_it() {
    let (list, book) = empty();
    let mut long = entry(1, ADMIN, None);
    if let Record::Entry(entry) = &mut long {
        entry.reason = "x".repeat(10_000);
    }
    for record in [long, entry(2, "No Source", None), entry(4, ADMIN, None)] {
        book.apply(&record, NOW);
    }
    assert_eq!(list.len(), 1);
    let metrics = book.metrics.text();
    assert!(metrics.contains(r#"{outcome="malformed",source="other"} 2"#), "{metrics}");
}

#[test]
fn the_first_refused_use_is_the_first_once() {
    let (_, book) = empty();
    let id = EntryId([1; 16]);
    assert!(!book.has_bitten(id), "nobody knows it");
    book.apply(&entry(1, ADMIN, None), NOW);
    assert_eq!([book.has_bitten(id), book.has_bitten(id)], [true, false]);
    book.restore(&entry(2, ADMIN, None), true, NOW);
    assert!(!book.has_bitten(EntryId([2; 16])), "it had before the restart");
}
