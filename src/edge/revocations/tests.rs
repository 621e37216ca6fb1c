#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::config::OnStale;
use crate::decision::revocation::Target;
use crate::edge::revocations::entry::ADMIN;
use crate::edge::revocations::fleet::standing::Standing;
use crate::edge::revocations::list::Source;

fn entry(number: u8) -> Arc<Entry> {
    let now = clock::millis();
    Arc::new(Entry {
        id: EntryId([number; 16]),
        source: ADMIN.to_owned(),
        target: Target::Issuer { issuer: format!("https://as-{number}.test") },
        not_issued_after: None,
        expires_at: None,
        reported_at: now,
        asked_at: now,
        asked_by: "soc".to_owned(),
        reason: "an exercise".to_owned(),
        case: None,
    })
}

fn cancel(number: u8) -> Cancel {
    let Entry { id, source, asked_at, asked_by, reason, case, expires_at, .. } = entry(number).as_ref().clone();
    Cancel { entry: id, source, asked_at, asked_by, reason, case, entry_expires_at: expires_at }
}

fn opened(file: Option<&Path>) -> Revocations {
    let metrics = Arc::new(Metrics::new().unwrap());
    Revocations::open(Arc::new(RevocationList::new([])), file, metrics).unwrap()
}

#[tokio::test]
async fn who_sends_on_is_told_of_what_was_asked_once() {
    let revocations = opened(None);
    let standing = Standing::new(30, OnStale::Deny, Source::silent(), clock::now);
    let (publisher, mut told) = Outbox::way(Arc::default(), "keybound".to_owned(), Arc::new(standing));
    assert!(revocations.publish_to(Arc::clone(&publisher)) && !revocations.publish_to(publisher), "there is one");
    let one = entry(1);
    for _ in 0..2 {
        let (_, stored) = revocations.take(&[Arc::clone(&one)], clock::millis()).await;
        stored.unwrap();
        revocations.cancel(cancel(1)).await.unwrap();
    }
    assert_eq!(*told.recv().await.unwrap(), Record::Entry(one.as_ref().clone()));
    assert!(matches!(told.recv().await.unwrap().as_ref(), Record::Cancel(cancel) if cancel.entry == one.id));
    assert!(told.try_recv().is_err(), "the second time was no news");
    // What others brought is not sent back to them.
    revocations.book().apply(&Record::Entry(entry(2).as_ref().clone()), clock::millis());
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_first_refused_use_is_kept_and_told_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("journal");
    let one = entry(1);
    let first = {
        let revocations = opened(Some(&file));
        revocations.take(&[Arc::clone(&one)], clock::millis()).await.1.unwrap();
        let refused = revocations.refused();
        let told = async {
            refused.note(one.id);
            loop {
                let first = revocations.find(one.id).await.unwrap().unwrap().stored.first_refused_at;
                if first.is_some() {
                    break first;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let first = tokio::select! {
            () = revocations.follow() => None,
            first = told => first,
        };
        assert!(first.is_some());
        assert!(revocations.status().contains("1 in force; journal: stored"), "{}", revocations.status());
        revocations.close().await;
        first
    };
    let revocations = opened(Some(&file));
    assert!(!revocations.book().has_bitten(one.id), "it was not the first time");
    assert_eq!(revocations.find(one.id).await.unwrap().unwrap().stored.first_refused_at, first);
}

#[tokio::test]
async fn what_was_stored_is_not_said_to_be_while_its_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("journal");
    let revocations = opened(Some(&file));
    let one = entry(1);
    let take = async || revocations.take(&[Arc::clone(&one)], clock::millis()).await;
    take().await.1.unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    // Known, and asked again.
    let (applied, stored) = take().await;
    assert_eq!((applied.as_slice(), stored.is_err()), ([Applied::Known].as_slice(), true));
    let told = revocations.find(one.id).await.unwrap().unwrap();
    assert!(!told.is_stored && told.standing == book::Standing::InForce);
    assert!(revocations.page(None, 10, None, None).await.unwrap().0.iter().all(|told| !told.is_stored));
    let status = revocations.status();
    assert!(status.contains("1 in force; journal: CANNOT BE WRITTEN, a restart forgets all of it: "), "{status}");
    assert!(status.contains("move it away"), "{status}");
    std::fs::remove_dir(&file).unwrap();
    take().await.1.unwrap();
    assert!(revocations.find(one.id).await.unwrap().unwrap().is_stored);
    assert!(revocations.status().contains("journal: stored"), "{}", revocations.status());
    revocations.close().await;
    assert_eq!(opened(Some(&file)).book().len(), 1);
}

#[test]
fn a_journal_that_holds_more_than_there_is_room_for_refuses_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let of = |number: u8| Entry { source: format!("ssf:s{number}"), ..entry(number).as_ref().clone() };
    let open = |sources: u8| {
        let file = directory.path().join(sources.to_string());
        let work: Vec<_> = (1..=sources).map(|number| Work::Entry(Arc::new(of(number)), 1)).collect();
        let store = Store::at(&file).unwrap();
        store.write(&work).unwrap();
        store.close();
        let (list, metrics) = (Arc::new(RevocationList::new([])), Arc::new(Metrics::new().unwrap()));
        Revocations::open(list, Some(&file), metrics).map(|revocations| revocations.book().len())
    };
    assert_eq!(open(64).unwrap(), 64);
    let refused = open(66).unwrap_err().to_string();
    assert!(refused.contains("no room for 2 of its records") && refused.contains("help: "), "{refused}");
}
