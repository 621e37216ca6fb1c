//! The tables of the journal: entries, cancels, when each entry was applied here, and when it first refused something.
//!
//! Trusted: that who can write the file may revoke. Refused at the start, rather than going on with less than was revoked: a file that
//! another process has open, of a newer format, of something else, or damaged.

pub(super) mod file;
mod format;
pub mod held;

use core::ops::Bound;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    StorageError, TableDefinition, WriteTransaction,
};

use crate::decision::revocation::EntryId;
use crate::edge::revocations::entry::{Cancel, Entry};
use file::{Found, JournalFile};
use format::{DAMAGED, FORMAT, check_format, format_of, remedy};

const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("keybound_revocations");
const ENTRIES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("entries");
const CANCELS: TableDefinition<'_, (u128, &str), &[u8]> = TableDefinition::new("cancels");
const APPLIED: TableDefinition<'_, u128, i64> = TableDefinition::new("applied");
const FIRST_REFUSED: TableDefinition<'_, u128, i64> = TableDefinition::new("first_refused");

/// Pages of the file that are kept in memory: everything is read once, at the start.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("revocations.journal {path}: {why}\n  help: {remedy}")]
pub struct Unopened {
    path: String,
    why: String,
    remedy: &'static str,
}

impl Unopened {
    /// There is no thread for it.
    #[must_use]
    pub fn unstarted(path: &Path, error: &io::Error) -> Self {
        Self { path: path.display().to_string(), why: error.to_string(), remedy: "let the process have more threads" }
    }

    /// So many of its records have no room in the book.
    #[must_use]
    pub fn without_room(path: &Path, records: usize) -> Self {
        let why = format!("there is no room for {records} of its records: too many of them, or of too many sources");
        let remedy = "run a keybound that has room for them; or, knowing that what was revoked in it is forgotten, move it away and revoke anew";
        Self { path: path.display().to_string(), why, remedy }
    }
}

/// Something was not stored, in the words of who should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStored(pub String);

/// One thing to store.
#[derive(Clone)]
pub enum Work {
    /// An entry, and when it was applied here, Unix milliseconds.
    Entry(Arc<Entry>, i64),
    /// A cancel.
    Cancel(Arc<Cancel>),
    /// When an entry first refused something, Unix milliseconds.
    Bitten(EntryId, i64),
    /// Entries that have ended are dropped.
    Forget(Vec<EntryId>),
}

/// An entry as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The entry.
    pub entry: Arc<Entry>,
    /// When it was applied here, Unix milliseconds.
    pub applied_at: Option<i64>,
    /// When it first refused something here, Unix milliseconds.
    pub first_refused_at: Option<i64>,
    /// What took it back.
    pub cancel: Option<Cancel>,
}

type Opening = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The tables, which are opened again after an error.
pub struct Store {
    opening: Opening,
    /// Where the next start looks for them, unless they are in memory.
    file: Option<Arc<JournalFile>>,
    database: RwLock<Option<Database>>,
    /// Whether nothing can be done with the tables until they are opened again.
    is_broken: AtomicBool,
    /// Whether the next start would not find them.
    is_lost: AtomicBool,
}

impl Store {
    /// Tables in memory: gone with the process.
    ///
    /// # Errors
    /// There is no memory.
    pub fn in_memory() -> Result<Self, Unopened> {
        Self::prepared(None, Box::new(|| builder().create_with_backend(InMemoryBackend::new())))
    }

    /// Those of a file, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn at(path: &Path) -> Result<Self, Unopened> {
        Self::of(JournalFile::at(path))
    }

    pub(super) fn of(file: JournalFile) -> Result<Self, Unopened> {
        let file = Arc::new(file);
        let opened = Arc::clone(&file);
        Self::prepared(Some(file), Box::new(move || opened.open()))
    }

    pub(super) fn prepared(file: Option<Arc<JournalFile>>, opening: Opening) -> Result<Self, Unopened> {
        let path = file.as_ref().map_or_else(|| PathBuf::from("(in memory)"), |file| file.path().to_owned());
        let refused = |why: String, remedy| Unopened { path: path.display().to_string(), why, remedy };
        // Damage may be met anywhere below: whoever panics over it has not opened it.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = opening().map_err(|error| refused(error.to_string(), remedy(&error)))?;
            check_format(&database).map_err(|(why, remedy)| refused(why, remedy))?;
            Ok(database)
        }));
        let database = opened.unwrap_or_else(|_| Err(refused("the file is damaged".to_owned(), DAMAGED)))?;
        let database = RwLock::new(Some(database));
        Ok(Self { opening, file, database, is_broken: AtomicBool::new(false), is_lost: AtomicBool::new(false) })
    }

    /// Every entry and then every cancel, as they were stored; how many entries there are.
    ///
    /// # Errors
    /// Something cannot be read. What cannot is not skipped: it may be what somebody counts on.
    pub fn all(&self, path: &Path, mut each: impl FnMut(Loaded)) -> Result<usize, Unopened> {
        let read = catch_unwind(AssertUnwindSafe(|| self.read(|database| load(database, &mut each))));
        let why = match read {
            Ok(Ok(count)) => return Ok(count),
            Ok(Err(NotStored(why))) => why,
            Err(_) => "the file is damaged".to_owned(),
        };
        Err(Unopened { path: path.display().to_string(), why, remedy: DAMAGED })
    }

    /// Stores all of it, or nothing. When this returns, it is on the disk, where the next start finds it.
    ///
    /// # Errors
    /// It is not; or it is, and the disk did not say so.
    pub fn write(&self, work: &[Work]) -> Result<(), NotStored> {
        self.settle()?;
        self.guarded(|database| {
            let transaction = database.begin_write()?;
            work.iter().try_for_each(|work| write_one(&transaction, work))?;
            Ok(transaction.commit()?)
        })?;
        // The file may have gone meanwhile.
        self.settle()
    }

    /// Sees to it that the next start finds the tables: if their file is gone, a new one with all that they hold is made.
    ///
    /// # Errors
    /// It would not find them.
    pub fn settle(&self) -> Result<(), NotStored> {
        let Some(file) = &self.file else { return Ok(()) };
        let found = file.look();
        self.is_lost.store(found != Found::Held, Ordering::Release);
        match found {
            Found::Held => return Ok(()),
            Found::Nothing => {}
            Found::Other(what) => {
                let why = format!("{what} is at the path of the journal: move it away, and all is written there anew");
                return Err(NotStored(why));
            }
        }
        // What cannot be read is not left out of the new one.
        self.guarded(|database| load(database, &mut |_| {}))?;
        let made = catch_unwind(AssertUnwindSafe(|| self.read(|database| file.anew(database))));
        let made = made.unwrap_or_else(|_| Err(panicked()));
        let told = |NotStored(why)| NotStored(format!("the file of the journal is gone, and none can be made: {why}"));
        let old = self.database.write().unwrap_or_else(PoisonError::into_inner).replace(made.map_err(told)?);
        // Nobody finds it any more, so nobody minds how it is closed.
        drop(catch_unwind(AssertUnwindSafe(|| drop(old))));
        self.is_lost.store(false, Ordering::Release);
        tracing::warn!(
            journal = %file.path().display(),
            "the file of the journal of revocations was gone: a new one was made, with all that it held"
        );
        Ok(())
    }

    /// Whether the next start finds the tables, as far as can be seen now.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.look() == Found::Held)
    }

    /// The same, as it was at the last [`Store::settle`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Opens the tables anew if nothing else can be done with them after an error: those that were opened, and no others.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn reopen(&self) -> Result<(), NotStored> {
        if !self.is_broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Its lock on the file goes with it.
        drop(database.take());
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let opened = (self.opening)().map_err(|error| NotStored(error.to_string()))?;
            match format_of(&opened) {
                Ok(Some(format)) if format == FORMAT.1 => Ok(opened),
                Ok(_) => Err(NotStored("what was the journal is none any more".to_owned())),
                Err(error) => Err(NotStored(error.to_string())),
            }
        }));
        *database = Some(opened.unwrap_or_else(|_| Err(panicked()))?);
        self.is_broken.store(false, Ordering::Release);
        Ok(())
    }

    /// One entry.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn find(&self, id: EntryId) -> Result<Option<Stored>, NotStored> {
        self.read(|database| {
            let tables = database.begin_read()?;
            let text = tables.open_table(ENTRIES)?.get(number(id))?.map(|text| text.value().to_vec());
            text.map(|text| stored(database, &text)).transpose()
        })
    }

    /// Entries after one, in the order of their ids, that fit; at most `most` of at most `looked_at`. The last that was looked at, if
    /// there may be more.
    ///
    /// # Errors
    /// The tables cannot be read.
    pub fn page(
        &self,
        after: Option<EntryId>,
        (most, looked_at): (usize, usize),
        fits: impl Fn(&Entry) -> bool,
    ) -> Result<(Vec<Stored>, Option<EntryId>), NotStored> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded(number(after)));
            let mut found = Vec::new();
            for (looked, row) in table.range::<u128>((after, Bound::Unbounded))?.enumerate() {
                let (key, text) = row?;
                let text = text.value();
                let entry: Entry = serde_json::from_slice(text).map_err(unreadable)?;
                if fits(&entry) {
                    found.push(stored(database, text)?);
                }
                if found.len() >= most || looked.saturating_add(1) >= looked_at {
                    return Ok((found, Some(EntryId(key.value().to_be_bytes()))));
                }
            }
            Ok((found, None))
        })
    }

    /// Closes the tables, so that the next start need not look whether they are whole.
    pub fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Reads or writes; after an error the tables are to be opened again. Half of a transaction is none.
    fn guarded<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, NotStored> {
        let done = catch_unwind(AssertUnwindSafe(|| self.read(work))).unwrap_or_else(|_| Err(panicked()));
        if done.is_err() {
            self.is_broken.store(true, Ordering::Release);
        }
        done
    }

    fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, NotStored> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else { return Err(NotStored("the journal is not open".to_owned())) };
        work(database).map_err(|error| NotStored(error.to_string()))
    }
}

/// What is loaded at the start.
pub enum Loaded {
    /// An entry, and whether it has refused something.
    Entry(Entry, bool),
    /// A cancel.
    Cancel(Cancel),
}

fn panicked() -> NotStored {
    NotStored("a defect: the journal's writer panicked".to_owned())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn load(database: &Database, each: &mut impl FnMut(Loaded)) -> Result<usize, redb::Error> {
    let tables = database.begin_read()?;
    let (entries, cancels) = (tables.open_table(ENTRIES)?, tables.open_table(CANCELS)?);
    let first_refused = tables.open_table(FIRST_REFUSED)?;
    let mut count = 0_u64;
    for row in entries.iter()? {
        let (key, text) = row?;
        let entry: Entry = serde_json::from_slice(text.value()).map_err(unreadable)?;
        if number(entry.id) != key.value() {
            return Err(unreadable("an entry is not where its id says"));
        }
        let bit = first_refused.get(key.value())?.is_some();
        each(Loaded::Entry(entry, bit));
        count = count.saturating_add(1);
    }
    if count != entries.len()? {
        return Err(unreadable("entries are missing"));
    }
    for row in cancels.iter()? {
        each(Loaded::Cancel(serde_json::from_slice(row?.1.value()).map_err(unreadable)?));
    }
    usize::try_from(count).map_err(unreadable)
}

fn write_one(transaction: &WriteTransaction, work: &Work) -> Result<(), redb::Error> {
    match work {
        Work::Entry(entry, applied_at) => {
            let text = serde_json::to_vec(entry).map_err(unreadable)?;
            transaction.open_table(ENTRIES)?.insert(number(entry.id), text.as_slice())?;
            transaction.open_table(APPLIED)?.insert(number(entry.id), applied_at)?;
        }
        Work::Cancel(cancel) => {
            let text = serde_json::to_vec(cancel).map_err(unreadable)?;
            let key = (number(cancel.entry), cancel.source.as_str());
            transaction.open_table(CANCELS)?.insert(key, text.as_slice())?;
        }
        Work::Bitten(id, at) => {
            transaction.open_table(FIRST_REFUSED)?.insert(number(*id), at)?;
        }
        Work::Forget(ids) => {
            for id in ids.iter().copied().map(number) {
                transaction.open_table(ENTRIES)?.remove(id)?;
                transaction.open_table(APPLIED)?.remove(id)?;
                transaction.open_table(FIRST_REFUSED)?.remove(id)?;
                let next = id.saturating_add(1);
                transaction.open_table(CANCELS)?.retain_in((id, "")..(next, ""), |_, _| false)?;
            }
        }
    }
    Ok(())
}

fn stored(database: &Database, text: &[u8]) -> Result<Stored, redb::Error> {
    let entry: Entry = serde_json::from_slice(text).map_err(unreadable)?;
    let (id, tables) = (number(entry.id), database.begin_read()?);
    let cancel = tables.open_table(CANCELS)?.get((id, entry.source.as_str()))?;
    let cancel = cancel.map(|text| serde_json::from_slice(text.value()).map_err(unreadable)).transpose()?;
    let at = |table| -> Result<_, redb::Error> { Ok(tables.open_table(table)?.get(id)?.map(|at| at.value())) };
    Ok(Stored { applied_at: at(APPLIED)?, first_refused_at: at(FIRST_REFUSED)?, cancel, entry: Arc::new(entry) })
}

fn number(id: EntryId) -> u128 {
    u128::from_be_bytes(id.0)
}

/// What is stored is not what we write; in our own words, because those of parsers may quote it.
fn unreadable(why: impl core::fmt::Display) -> redb::Error {
    StorageError::Corrupted(why.to_string()).into()
}
