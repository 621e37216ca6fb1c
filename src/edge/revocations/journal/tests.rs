#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Builder, StorageBackend};

use super::store::{Loaded, Stored, Unopened};
use super::*;
use crate::decision::revocation::Target;
use crate::edge::revocations::entry::ADMIN;

mod path;

const NOW: i64 = 1_764_000_000_123;

fn entry(number: u32) -> Arc<Entry> {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    Arc::new(Entry {
        id: EntryId(id),
        source: ADMIN.to_owned(),
        target: Target::Token { issuer: "https://as.test".to_owned(), jti: format!("t{number}") },
        not_issued_after: None,
        expires_at: None,
        reported_at: NOW,
        asked_at: NOW,
        asked_by: "soc".to_owned(),
        reason: "stolen".to_owned(),
        case: None,
    })
}

fn cancel(number: u32) -> Cancel {
    let Entry { id, source, asked_by, reason, .. } = entry(number).as_ref().clone();
    Cancel { entry: id, source, asked_at: NOW, asked_by, reason, case: None, entry_expires_at: None }
}

fn work(number: u32) -> Work {
    Work::Entry(entry(number), NOW)
}

/// What a start would load: ids of entries, and of what is cancelled.
fn loaded(path: &Path) -> Result<(Vec<EntryId>, Vec<EntryId>), Unopened> {
    let (mut entries, mut cancels) = (Vec::new(), Vec::new());
    Store::at(path)?.all(path, |loaded| match loaded {
        Loaded::Entry(entry, _) => entries.push(entry.id),
        Loaded::Cancel(cancel) => cancels.push(cancel.entry),
    })?;
    Ok((entries, cancels))
}

#[test]
fn nothing_comes_after_the_last_id_that_there_can_be() {
    let store = Store::in_memory().unwrap();
    let last = Entry { id: EntryId([0xff; 16]), ..entry(1).as_ref().clone() };
    store.write(&[Work::Entry(Arc::new(last), NOW)]).unwrap();
    let page = |after| store.page(after, (1, 100), |_| true).unwrap();
    let (found, next) = page(None);
    assert_eq!((found.len(), next), (1, Some(EntryId([0xff; 16]))));
    let (found, next) = page(next);
    assert_eq!((found.len(), next), (0, None), "who goes on from page to page comes to an end");
}

#[test]
fn what_is_stored_is_there_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let store = Store::at(&path).unwrap();
    let bitten = Work::Bitten(entry(2).id, NOW + 5);
    let all = [work(1), work(2), work(3), Work::Cancel(Arc::new(cancel(2))), bitten];
    store.write(&all).unwrap();
    let Stored { applied_at, first_refused_at, cancel: taken_back, .. } = store.find(entry(2).id).unwrap().unwrap();
    assert_eq!((applied_at, first_refused_at, taken_back), (Some(NOW), Some(NOW + 5), Some(cancel(2))));
    assert!(store.find(entry(9).id).unwrap().is_none());
    let page = |after: Option<u32>, most, looked_at| {
        let (page, next) = store.page(after.map(|after| entry(after).id), (most, looked_at), |_| true).unwrap();
        (page.iter().map(|stored| stored.entry.id.0[15]).collect::<Vec<_>>(), next.map(|next| next.0[15]))
    };
    assert_eq!(page(None, 2, 100), (vec![1, 2], Some(2)));
    assert_eq!(page(Some(2), 2, 100), (vec![3], None));
    assert_eq!(page(None, 100, 1), (vec![1], Some(1)), "so much is looked at and no more");
    store.write(&[Work::Forget(vec![entry(2).id])]).unwrap();
    drop(store);
    assert_eq!(loaded(&path).unwrap(), (vec![entry(1).id, entry(3).id], vec![]));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_used_refuses_the_start_and_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let refused = |name: &str| Store::at(&at(name)).err().map(|refused| refused.to_string()).unwrap_or_default();
    let open = Store::at(&at("open")).unwrap();
    open.write(&[work(1)]).unwrap();
    let told = refused("open");
    assert!(told.contains(&at("open").display().to_string()) && told.contains("another keybound"), "{told}");
    drop(open);
    std::fs::write(at("empty"), "").unwrap();
    assert!(refused("empty").contains("the file is empty"), "{}", refused("empty"));
    std::fs::write(at("text"), "not a journal at all, but long enough to be read as one".repeat(100)).unwrap();
    assert!(refused("text").contains("help: "), "{}", refused("text"));
    assert!(refused("no/such/directory").contains("in a directory that exists"), "{}", refused("no/such/directory"));
    let about: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("keybound_revocations");
    for (name, table, said) in
        [("newer", about, "format 2"), ("foreign", redb::TableDefinition::new("x"), "no journal")]
    {
        let database = redb::Database::create(at(name)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(table).unwrap().insert("format", 2).unwrap();
        transaction.commit().unwrap();
        drop(database);
        assert!(refused(name).contains(said), "{}", refused(name));
    }
    assert_eq!(loaded(&at("open")).unwrap().0.len(), 1, "nobody has harmed it");
}

/// Cuts off the tail, and garbles pieces everywhere: the start is refused, or everything that was stored is there.
#[test]
fn a_torn_file_is_refused_or_whole() {
    // Damage makes redb panic in places; that is caught, and need not be read by whoever runs the tests.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let store = Store::at(&path).unwrap();
    (1..=300).for_each(|number| store.write(&[work(number)]).unwrap());
    store.close();
    let good = std::fs::read(&path).unwrap();
    let (mut refused, mut whole) = (0, 0);
    let mut judge = |bytes: &[u8], what: &str| {
        let torn = directory.path().join("torn");
        std::fs::write(&torn, bytes).unwrap();
        match loaded(&torn) {
            Ok((entries, _)) => {
                assert_eq!(entries.len(), 300, "{what}: lost without a word");
                whole += 1;
            }
            Err(why) => {
                assert!(why.to_string().contains("help: "), "{why}");
                refused += 1;
            }
        }
    };
    judge(&good, "as it was");
    for part in 1..40 {
        judge(&good[..good.len() * part / 40], &format!("cut to {part}/40"));
    }
    for place in 0..120 {
        let mut garbled = good.clone();
        let at = good.len() * place / 120;
        let end = (at + 64).min(good.len());
        garbled[at..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
        judge(&garbled, &format!("garbled at {at}"));
    }
    assert!(refused > 10 && whole >= 1, "{refused} refused, {whole} whole");
}

/// Waits until what failed is over.
async fn written_again(journal: &Journal) {
    let begun = std::time::Instant::now();
    while journal.failing().is_some() {
        assert!(begun.elapsed() < AGAIN * 20, "nothing is stored: {:?}", journal.why());
        tokio::time::sleep(AGAIN / 20).await;
    }
}

/// What somebody removes while something is written, once.
type Thief = Arc<Mutex<Option<std::path::PathBuf>>>;

/// A disk that is full now and then.
#[derive(Debug)]
struct Full {
    disk: Arc<dyn StorageBackend>,
    left: Arc<AtomicUsize>,
    thief: Thief,
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if let Some(file) = self.thief.lock().unwrap().take() {
            std::fs::remove_file(file)?;
        }
        self.disk.sync_data()
    }
    fn close(&self) -> io::Result<()> {
        self.disk.close()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let left = self.left.load(Ordering::Acquire);
        if left == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.left.store(left.saturating_sub(1), Ordering::Release);
        self.disk.write(offset, data)
    }
}

#[tokio::test]
async fn on_a_full_disk_entries_wait_and_cancels_do_not_count() {
    let (disk, left): (Arc<dyn StorageBackend>, _) =
        (Arc::new(InMemoryBackend::new()), Arc::new(AtomicUsize::new(usize::MAX)));
    let (disk_too, left_too) = (Arc::clone(&disk), Arc::clone(&left));
    let opening = move || {
        let full = Full { disk: Arc::clone(&disk_too), left: Arc::clone(&left_too), thief: Thief::default() };
        Builder::new().create_with_backend(full)
    };
    let store = Store::prepared(None, Box::new(opening)).unwrap();
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cancelled);
    let journal = Journal::start(store, move |_| {
        counted.fetch_add(1, Ordering::AcqRel);
    })
    .unwrap();
    journal.keep(vec![work(1)]).await.unwrap();
    assert_eq!(journal.failing(), None);
    // Full at once, and in the middle of a write.
    for (writes, number) in [(0, 2), (1, 3), (2, 4)] {
        left.store(writes, Ordering::Release);
        let NotStored(why) = journal.keep(vec![work(number)]).await.unwrap_err();
        assert!(!why.is_empty());
        assert!(journal.unwritten(entry(number).id).is_some(), "it is still known");
    }
    assert_eq!(journal.failing(), Some(3));
    journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap_err();
    assert_eq!(cancelled.load(Ordering::Acquire), 0, "nothing was taken back");
    left.store(usize::MAX, Ordering::Release);
    // Tried again without being asked.
    written_again(&journal).await;
    let stored = |number: u32| journal.store().find(entry(number).id).unwrap();
    assert!((1..=4).all(|number| stored(number).is_some()));
    assert_eq!(stored(1).unwrap().cancel, None, "a cancel that was refused does not come true later");
    journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap();
    assert_eq!(cancelled.load(Ordering::Acquire), 1);
    assert_eq!(stored(1).unwrap().cancel, Some(cancel(1)));
    journal.close().await;
}

#[tokio::test]
async fn many_who_ask_at_once_share_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let journal = Journal::start(Store::at(&path).unwrap(), |_| {}).unwrap();
    let begun = std::time::Instant::now();
    journal.keep(vec![work(0)]).await.unwrap();
    let one = begun.elapsed();
    let begun = std::time::Instant::now();
    let all = (1..=500).map(|number| journal.keep(vec![work(number)]));
    assert!(futures_util::future::join_all(all).await.into_iter().all(|stored| stored.is_ok()));
    let together = begun.elapsed();
    assert!(together < one * 200, "500 writes in {together:?}, and one alone in {one:?}");
    journal.close().await;
    assert_eq!(loaded(&path).unwrap().0.len(), 501);
}
