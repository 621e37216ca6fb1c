#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use crate::config::OnStale;
use crate::decision::revocation::{EntryId, Target};
use crate::edge::revocations::entry::{ADMIN, Cancel, Entry};
use crate::edge::revocations::list::{RevocationList, Source};

fn entry(number: u8, ends: Option<i64>) -> Entry {
    let now = clock::millis();
    Entry {
        id: EntryId([number; 16]),
        source: ADMIN.to_owned(),
        target: Target::Issuer { issuer: format!("https://as-{number}.test") },
        not_issued_after: None,
        expires_at: ends,
        reported_at: now,
        asked_at: now,
        asked_by: "soc".to_owned(),
        reason: "an exercise".to_owned(),
        case: None,
    }
}

fn cancel(number: u8) -> Record {
    let Entry { id, source, asked_at, asked_by, reason, case, expires_at, .. } = entry(number, None);
    Record::Cancel(Cancel { entry: id, source, asked_at, asked_by, reason, case, entry_expires_at: expires_at })
}

fn opened(file: Option<&std::path::Path>) -> (Revocations, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let list = Arc::new(RevocationList::new([]));
    (Revocations::open(list, file, Arc::clone(&metrics)).unwrap(), metrics)
}

/// All that is held, looked through so many at a time.
async fn held(revocations: &Revocations, most: usize) -> Vec<String> {
    let (mut place, mut all) = (Place::Start, Vec::new());
    loop {
        let (page, next) = revocations.held(place, most).await.unwrap();
        all.extend(page.iter().map(sealed::place_of));
        let Some(next) = next else { break };
        place = next;
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Waits until what was left to the journal is stored.
async fn stored(revocations: &Revocations) {
    revocations.journal.keep(vec![Work::Bitten(EntryId([0; 16]), 0)]).await.unwrap();
}

#[tokio::test]
async fn what_others_tell_bites_and_is_kept_and_is_no_news_the_second_time() {
    let (revocations, metrics) = opened(None);
    let one = Record::Entry(entry(1, None));
    for _ in 0..2 {
        // A cancel may come before its entry.
        assert!(revocations.receive(vec![cancel(2), one.clone()], true, &metrics).useless.is_empty());
        assert!(
            revocations.receive(vec![Record::Entry(entry(3, None)), cancel(3)], false, &metrics).useless.is_empty()
        );
    }
    assert_eq!(revocations.book().len(), 1);
    let two = Record::Entry(Entry { asked_at: 1, ..entry(2, None) });
    revocations.receive(vec![two], true, &metrics);
    assert_eq!(revocations.book().len(), 1, "it was taken back before it came");
    stored(&revocations).await;
    for most in [1, 2, 100] {
        assert_eq!(held(&revocations, most).await.len(), 5, "three entries and two cancels, {most} at a time");
    }
    let told = metrics.text();
    assert!(told.contains("keybound_revocations_received_total{outcome=\"new\"} 3"), "{told}");
    assert!(told.contains("propagation_seconds_count{origin=\"fleet\"} 1"), "who just came measures nothing: {told}");
}

#[tokio::test]
async fn what_has_ended_is_of_no_use_when_it_has_ended_for_everybody() {
    let (revocations, metrics) = opened(None);
    let now = clock::now();
    let ended = |seconds: i64| vec![Record::Entry(entry(1, Some(now - seconds)))];
    assert!(revocations.receive(ended(60), true, &metrics).useless.is_empty(), "by other clocks it may not have");
    let id = EntryId([1; 16]);
    assert_eq!(
        revocations.receive(ended(KEPT_MILLIS / 1_000 + 1), true, &metrics).useless,
        [format!("{id}/cancel/admin"), id.to_string()]
    );
    assert!(revocations.book().is_empty());
}

#[tokio::test]
async fn a_cancel_is_kept_no_longer_than_what_it_takes_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("journal");
    let now = clock::now();
    let of = |number: u8, end: i64| {
        let Record::Cancel(cancel) = cancel(number) else { return cancel(number) };
        Record::Cancel(Cancel { entry_expires_at: Some(end), ..cancel })
    };
    {
        let (revocations, metrics) = opened(Some(&file));
        let ended = vec![of(1, now - 60)];
        assert!(revocations.receive(ended, true, &metrics).useless.is_empty(), "by other clocks it may not have");
        let place = format!("{}/cancel/admin", EntryId([1; 16]));
        let ended = vec![of(1, now - KEPT_MILLIS / 1_000 - 1)];
        assert_eq!(revocations.receive(ended, true, &metrics).useless, [place]);
        stored(&revocations).await;
        assert!(held(&revocations, 10).await.is_empty(), "neither is taken");
        // Both come before their entries, which never do.
        revocations.receive(vec![of(2, now + 2), cancel(3)], true, &metrics);
        stored(&revocations).await;
        assert_eq!(held(&revocations, 10).await.len(), 2);
        tokio::time::sleep(core::time::Duration::from_secs(3)).await;
        assert_eq!(held(&revocations, 10).await, [format!("{}/cancel/admin", EntryId([3; 16]))], "one has ended");
        assert!(revocations.receive(vec![of(2, now + 2)], true, &metrics).useless.is_empty());
        revocations.close().await;
    }
    let (revocations, _) = opened(Some(&file));
    assert!(!revocations.book().knows(&of(2, now + 2)) && revocations.book().knows(&cancel(3)));
    stored(&revocations).await;
    let (kept, _) = revocations.journal.store().held(&Place::Cancel(None), 10, 0).unwrap();
    assert!(matches!(&*kept, [Record::Cancel(Cancel { entry: EntryId([3, ..]), .. })]), "{kept:?}");
}

#[tokio::test]
async fn what_ended_while_nobody_was_here_is_neither_told_nor_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("journal");
    {
        let (revocations, _) = opened(Some(&file));
        let (ended, lasting) = (entry(1, Some(clock::now() - 1)), entry(2, None));
        let Record::Cancel(cancel) = cancel(1) else { return };
        let entries = [ended, lasting].map(|entry| Work::Entry(Arc::new(entry), clock::millis()));
        let work = entries.into_iter().chain([Work::Cancel(Arc::new(cancel))]).collect();
        revocations.journal.keep(work).await.unwrap();
        assert_eq!(held(&revocations, 10).await.len(), 1, "the entry and its cancel have ended");
        revocations.close().await;
    }
    let (revocations, _) = opened(Some(&file));
    stored(&revocations).await;
    assert_eq!(held(&revocations, 10).await, [EntryId([2; 16]).to_string()]);
    assert_eq!(revocations.find(EntryId([1; 16])).await.unwrap().map(|told| told.is_stored), None);
}

#[test]
fn what_stands_in_redis_is_shared_if_it_is_the_same_entry_or_any_cancel_of_it() {
    let keys = FleetKeys::new(&[vec![7; 32]]);
    let standing = Arc::new(Standing::new(30, OnStale::Deny, Source::silent(), clock::now));
    let (outbox, _) = Outbox::way(Arc::default(), "keybound".to_owned(), standing);
    let one = entry(1, None);
    let other = Entry { asked_by: "somebody else".to_owned(), ..one.clone() };
    let [one, other] = [one, other].map(Record::Entry);
    let told = |asked: &Record, stands: &Record| outbox.is_told(&keys, asked, sealed::seal(&keys, "keybound", stands));
    assert!(told(&one, &one) && !told(&one, &other), "its id is another entry's there");
    let later = |mut cancel| {
        if let Record::Cancel(Cancel { asked_at, .. }) = &mut cancel {
            *asked_at += 1;
        }
        cancel
    };
    assert!(told(&cancel(1), &later(cancel(1))) && !told(&cancel(1), &cancel(2)) && !told(&cancel(1), &one));
    assert!(!outbox.is_told(&keys, &one, None));
    let mut forged = sealed::seal(&keys, "keybound", &one).unwrap();
    forged.push(b' ');
    assert!(!outbox.is_told(&keys, &one, Some(forged)));
}

#[tokio::test]
async fn who_tells_the_fleet_waits_for_nobody_and_what_does_not_fit_is_looked_for() {
    let standing = Arc::new(Standing::new(30, OnStale::Deny, Source::silent(), clock::now));
    let (outbox, mut asked) = Outbox::way(Arc::default(), "keybound".to_owned(), standing);
    let mut sent = 0;
    while !outbox.must_tell_all() {
        outbox.send(Arc::new(cancel(1)));
        sent += 1;
        assert!(sent < 100_000, "it grows");
    }
    assert!(!outbox.must_tell_all(), "it is asked for once");
    let mut told = 0;
    while asked.try_recv().is_ok() {
        told += 1;
    }
    assert_eq!(told, sent - 1, "the last one did not fit");
    outbox.send(Arc::new(cancel(1)));
    assert!(asked.try_recv().is_ok() && !outbox.must_tell_all(), "there is room again");
    assert_eq!(outbox.has(&[cancel(1)], core::time::Duration::from_secs(60)).await, [false], "nobody is waited for");
}
