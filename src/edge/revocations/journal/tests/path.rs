//! What becomes of the journal when its path comes to mean something else while it is open.

use std::fs;
use std::path::PathBuf;

use redb::backends::FileBackend;

use super::super::store::file::JournalFile;
use super::*;

struct Place {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        Self { directory, path }
    }

    /// What a start would load if the process were killed now: numbers of entries, and of what is cancelled.
    fn after_a_kill(&self) -> (Vec<u8>, Vec<u8>) {
        let copy = self.directory.path().join("copy");
        fs::copy(&self.path, &copy).unwrap();
        let (entries, cancels) = loaded(&copy).unwrap();
        fs::remove_file(copy).unwrap();
        let numbers = |ids: Vec<EntryId>| ids.into_iter().map(|id| id.0[15]).collect();
        (numbers(entries), numbers(cancels))
    }

    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.directory.path()).unwrap();
        all.map(|each| each.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Puts something at a path.
type Put = fn(&Path);

/// The journal, and how many cancels it handed over.
fn started(store: Store) -> (Journal, Arc<AtomicUsize>) {
    let cancelled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cancelled);
    let journal = Journal::start(store, move |_| {
        counted.fetch_add(1, Ordering::AcqRel);
    });
    (journal.unwrap(), cancelled)
}

#[tokio::test]
async fn a_file_that_is_gone_is_made_anew_with_all_that_it_held() {
    let place = Place::new();
    let (journal, _) = started(Store::at(&place.path).unwrap());
    journal.keep(vec![work(1), work(2), Work::Bitten(entry(1).id, NOW + 7)]).await.unwrap();
    journal.keep(vec![Work::Cancel(Arc::new(cancel(2)))]).await.unwrap();
    fs::remove_file(&place.path).unwrap();
    assert!(!journal.stands().await);
    journal.keep(vec![work(3)]).await.unwrap();
    assert!(journal.stands().await && !journal.is_lost());
    assert_eq!(place.after_a_kill(), (vec![1, 2, 3], vec![2]));
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&place.path).unwrap());
    assert_eq!((mode & 0o777, place.names()), (0o600, vec!["journal".to_owned()]));
    let found = journal.store().find(entry(1).id).unwrap().unwrap();
    assert_eq!((found.applied_at, found.first_refused_at), (Some(NOW), Some(NOW + 7)));
    // Nobody asks for anything, and it is there again; moved away it is gone too.
    let moved = place.directory.path().join("moved");
    fs::rename(&place.path, &moved).unwrap();
    let begun = std::time::Instant::now();
    while !place.path.exists() {
        assert!(begun.elapsed() < AGAIN * 20, "nobody looks");
        tokio::time::sleep(AGAIN / 20).await;
    }
    assert_eq!(place.after_a_kill(), (vec![1, 2, 3], vec![2]));
    // The old one is let go of, and what is written goes into the new one.
    journal.keep(vec![work(4)]).await.unwrap();
    assert_eq!(loaded(&moved).unwrap().0.len(), 3);
    journal.close().await;
    assert_eq!(loaded(&place.path).unwrap().0.len(), 4);
}

#[tokio::test]
async fn what_is_at_the_path_of_a_journal_that_is_gone_is_never_written_over() {
    let put: [(&str, Put); 5] = [
        ("no file", |path| fs::create_dir(path).unwrap()),
        ("another file", |path| fs::write(path, "somebody's own").unwrap()),
        ("another file", |path| fs::write(path, "").unwrap()),
        ("another file", |path| Store::at(path).unwrap().write(&[work(99)]).unwrap()),
        ("leads nowhere", |path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
    ];
    for (what, put) in put {
        let place = Place::new();
        let (journal, cancelled) = started(Store::at(&place.path).unwrap());
        journal.keep(vec![work(1)]).await.unwrap();
        fs::remove_file(&place.path).unwrap();
        // In one step, before anybody looks.
        let other = place.directory.path().join("other");
        put(&other);
        fs::rename(&other, &place.path).unwrap();
        let before = fs::read(&place.path).ok();
        for _ in 0..2 {
            let NotStored(why) = journal.keep(vec![work(2)]).await.unwrap_err();
            assert!(why.contains(what) && why.contains("move it away"), "{why}");
        }
        assert!(journal.unwritten(entry(2).id).is_some() && journal.is_lost() && !journal.stands().await);
        assert_eq!((journal.failing(), journal.why().is_some()), (Some(1), true));
        journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap_err();
        assert!(journal.store().find(entry(1).id).unwrap().is_some(), "what there is can be read");
        assert_eq!((fs::read(&place.path).ok(), place.names()), (before, vec!["journal".to_owned()]));
        // Moved away, as it was told: then all is written, and nobody has to ask.
        fs::rename(&place.path, &other).unwrap();
        written_again(&journal).await;
        assert_eq!(place.after_a_kill(), (vec![1, 2], vec![]), "a cancel that was refused does not come true later");
        assert_eq!(cancelled.load(Ordering::Acquire), 0);
        journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap();
        assert_eq!((place.after_a_kill().1, cancelled.load(Ordering::Acquire)), (vec![1], 1));
        journal.close().await;
    }
}

#[tokio::test]
async fn a_file_that_goes_on_a_full_disk_is_made_anew_when_there_is_room() {
    for writes in [0, 1, 3, 9] {
        let (place, left) = (Place::new(), Arc::new(AtomicUsize::new(usize::MAX)));
        let left_too = Arc::clone(&left);
        let file = JournalFile::backed(
            &place.path,
            Box::new(move |builder, file| {
                let disk = Arc::new(FileBackend::new(file)?);
                builder.create_with_backend(Full { disk, left: Arc::clone(&left_too), thief: Thief::default() })
            }),
        );
        let (journal, cancelled) = started(Store::of(file).unwrap());
        journal.keep(vec![work(1), work(2)]).await.unwrap();
        left.store(0, Ordering::Release);
        journal.keep(vec![work(3)]).await.unwrap_err();
        fs::remove_file(&place.path).unwrap();
        for number in [4, 5] {
            left.store(writes, Ordering::Release);
            journal.keep(vec![work(number)]).await.unwrap_err();
            journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap_err();
            // Half of one would be taken for all of it.
            if place.names() == ["journal"] {
                assert!(writes > 1 && place.after_a_kill().0.starts_with(&[1, 2]), "{writes}");
            } else {
                assert_eq!(place.names(), Vec::<String>::new());
            }
        }
        assert_eq!(journal.failing(), Some(3));
        left.store(usize::MAX, Ordering::Release);
        written_again(&journal).await;
        assert_eq!(place.after_a_kill(), (vec![1, 2, 3, 4, 5], vec![]));
        assert!((1..=5).all(|number| journal.store().find(entry(number).id).unwrap().is_some()), "it can be read");
        journal.keep(vec![Work::Cancel(Arc::new(cancel(1)))]).await.unwrap();
        assert_eq!((place.after_a_kill().1, cancelled.load(Ordering::Acquire)), (vec![1], 1));
        journal.close().await;
    }
}

#[tokio::test]
async fn a_file_that_goes_while_it_is_written_is_made_anew_before_anything_is_answered() {
    let place = Place::new();
    let thief = Thief::default();
    let thief_too = Arc::clone(&thief);
    let file = JournalFile::backed(
        &place.path,
        Box::new(move |builder, file| {
            let (disk, left) = (Arc::new(FileBackend::new(file)?), Arc::new(AtomicUsize::new(usize::MAX)));
            builder.create_with_backend(Full { disk, left, thief: Arc::clone(&thief_too) })
        }),
    );
    let (journal, _) = started(Store::of(file).unwrap());
    for number in 1..=3 {
        *thief.lock().unwrap() = Some(place.path.clone());
        journal.keep(vec![work(number)]).await.unwrap();
        assert_eq!(*thief.lock().unwrap(), None, "it was removed");
        assert_eq!(place.after_a_kill().0.len(), number as usize);
    }
    journal.close().await;
}
