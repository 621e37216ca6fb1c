//! The file of a journal: opened by its path once, and held from then on, whatever becomes of the path.
//!
//! Whoever removes the file, or puts another in its place, takes from the next start what was revoked. So the path is looked at before
//! and after each write; a file that is gone is written anew, whole, aside, and linked to the path when all of it is on the disk. Refused:
//! to write over anything that is there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, Value, WriteTransaction,
};

use super::format::FORMAT;
use super::{ABOUT, APPLIED, CANCELS, ENTRIES, FIRST_REFUSED, builder};
use crate::edge::random;

/// How tables are opened on a file.
pub type Backing = Box<dyn Fn(Builder, File) -> Result<Database, DatabaseError> + Send + Sync>;

/// A path, and what was opened there.
pub struct JournalFile {
    path: PathBuf,
    backing: Backing,
    /// Nothing else is opened again after an error, whatever is at the path by then.
    held: Mutex<Option<File>>,
}

/// What is at the path.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The file that is held.
    Held,
    /// Nothing.
    Nothing,
    /// Something else, or nobody can say: what it is.
    Other(String),
}

impl JournalFile {
    /// The file at this path.
    pub fn at(path: &Path) -> Self {
        Self::backed(path, Box::new(|builder, file| builder.create_with_backend(FileBackend::new(file)?)))
    }

    /// The same, with tables that are opened in this way.
    pub fn backed(path: &Path, backing: Backing) -> Self {
        Self { path: path.to_owned(), backing, held: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the tables: the first time of the file at the path, which is made if there is none, and of that very file later.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn open(&self) -> Result<Database, DatabaseError> {
        let mut held = self.held();
        if let Some(file) = held.as_ref() {
            // It was not closed because of an error that was told.
            return self.open_old(file, true);
        }
        match options().create_new(true).open(&self.path) {
            Ok(file) => {
                let made = file.try_clone().map_err(DatabaseError::from);
                let made = made.and_then(|file| (self.backing)(builder(), file));
                // Half of a new one would be taken for what is left of an old one.
                let database = made.inspect_err(|_| remove(&self.path))?;
                self.sync_directory()?;
                tracing::info!(journal = %self.path.display(), "a new journal of revocations");
                *held = Some(file);
                Ok(database)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = options().open(&self.path)?;
                let database = self.open_old(&file, false)?;
                *held = Some(file);
                Ok(database)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn open_old(&self, file: &File, again: bool) -> Result<Database, DatabaseError> {
        if file.metadata()?.len() == 0 {
            // redb would begin anew, and nobody would know what was lost.
            return Err(StorageError::Corrupted("the file is empty".to_owned()).into());
        }
        let mut builder = builder();
        let shown = self.path.display().to_string();
        builder.set_repair_callback(move |repair| {
            if repair.progress() <= 0.0 && !again {
                tracing::warn!(journal = shown, "the journal was not closed in order: it is looked through");
            }
        });
        (self.backing)(builder, file.try_clone()?)
    }

    /// Whether the next start would find what is held.
    pub fn look(&self) -> Found {
        let held = self.held();
        let Some(file) = held.as_ref() else { return Found::Other("a file that was never opened".to_owned()) };
        match (file.metadata(), fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) if is_same(&ours, &there) => Found::Held,
            (Ok(_), Ok(there)) if there.is_file() => Found::Other("another file".to_owned()),
            (Ok(_), Ok(_)) => Found::Other("something that is no file".to_owned()),
            (Ok(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(&self.path) {
                Ok(_) => Found::Other("a link that leads nowhere".to_owned()),
                Err(_) => Found::Nothing,
            },
            (Ok(_), Err(error)) | (Err(error), _) => Found::Other(format!("what cannot be looked at ({error})")),
        }
    }

    /// Makes the file anew, with all that these tables hold; they are not changed. It is at the path when it is whole and on the disk, and
    /// it is what is held from then on.
    ///
    /// # Errors
    /// It cannot be made, or something is at the path by now.
    pub fn anew(&self, old: &Database) -> Result<Database, redb::Error> {
        let number = random::sixteen().map(u128::from_be_bytes).ok_or_else(|| io::Error::other("no random bytes"))?;
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".new-{number:032x}"));
        let aside = PathBuf::from(aside);
        let file = options().create_new(true).open(&aside)?;
        let made = self.filled(old, &file).and_then(|database| {
            // Unlike a renaming this never takes the place of what is there.
            fs::hard_link(&aside, &self.path)?;
            Ok(database)
        });
        remove(&aside);
        let database = made?;
        // Not known to outlive a loss of power, so not there; the next try makes another.
        self.sync_directory().inspect_err(|_| remove(&self.path))?;
        *self.held() = Some(file);
        Ok(database)
    }

    fn filled(&self, old: &Database, file: &File) -> Result<Database, redb::Error> {
        let database = (self.backing)(builder(), file.try_clone()?)?;
        let (from, to) = (old.begin_read()?, database.begin_write()?);
        to.open_table(ABOUT)?.insert(FORMAT.0, FORMAT.1)?;
        copy(&from, &to, ENTRIES)?;
        copy(&from, &to, CANCELS)?;
        copy(&from, &to, APPLIED)?;
        copy(&from, &to, FIRST_REFUSED)?;
        to.commit()?;
        file.sync_all()?;
        Ok(database)
    }

    /// That there is such a file must outlive a loss of power too.
    fn sync_directory(&self) -> io::Result<()> {
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all())
    }

    fn held(&self) -> MutexGuard<'_, Option<File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

fn is_same(ours: &fs::Metadata, there: &fs::Metadata) -> bool {
    (ours.dev(), ours.ino()) == (there.dev(), there.ino()) && there.nlink() > 0
}

fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let mut into = to.open_table(table)?;
    for row in from.open_table(table)?.iter()? {
        let (key, value) = row?;
        into.insert(key.value(), value.value())?;
    }
    Ok(())
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(%error, "a file of a new journal stays");
    }
}
