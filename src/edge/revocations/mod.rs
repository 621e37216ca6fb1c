//! Where revocations come from. A source is a file here; all of them tell the [`book`], which keeps the list that decisions read.
//!
//! A revocation bites first, is stored then, and is answered last. A cancel is stored first: what was not stored is still revoked.

pub mod admin;
pub mod book;
pub mod crl;
pub mod entry;
pub mod events;
pub mod fleet;
pub mod journal;
pub mod list;
pub mod refused;
pub mod when;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::decision::revocation::{EntryId, Kind};
use crate::edge::clock;
use crate::telemetry::metrics::Metrics;
use book::{Applied, Book, Standing};
use entry::{Cancel, Entry, Record};
use fleet::Outbox;
use journal::Journal;
use journal::store::{Loaded, NotStored, Store, Stored, Unopened, Work};
use list::RevocationList;
use refused::Refused;

/// How often it is looked for what has ended.
const PURGE: Duration = Duration::from_secs(1);

/// The book and its journal. One for the process.
pub struct Revocations {
    taking: Arc<Taking>,
    journal: Journal,
    file: Option<PathBuf>,
    refused: Refused,
    first_refusals: Mutex<Option<mpsc::Receiver<EntryId>>>,
}

/// What makes records count.
struct Taking {
    book: Book,
    /// Who sends on what was asked here.
    publisher: OnceLock<Arc<Outbox>>,
}

/// An entry and how it stands.
pub struct Told {
    /// What is stored of it.
    pub stored: Stored,
    /// How it stands.
    pub standing: Standing,
    /// Whether it is on the disk.
    pub is_stored: bool,
}

impl Revocations {
    /// Opens the journal, in memory if there is no file for it, and puts what it holds on the list. May take a while.
    ///
    /// # Errors
    /// The file cannot be used: what was revoked would be forgotten.
    pub fn open(list: Arc<RevocationList>, file: Option<&Path>, metrics: Arc<Metrics>) -> Result<Self, Unopened> {
        let begun = Instant::now();
        let store = file.map_or_else(Store::in_memory, Store::at)?;
        let book = Book::new(list, metrics);
        let (now, shown) = (clock::millis(), file.unwrap_or(Path::new("(in memory)")));
        let (mut ended, mut without_room) = (BTreeSet::new(), 0_usize);
        let mut restored = |record: &Record, bit: bool| {
            let became = book.restore(record, bit, now);
            if !became.is_taken() {
                without_room = without_room.saturating_add(1);
            }
            became
        };
        let entries = store.all(shown, |loaded| {
            // Whatever was taken before is taken again; what has ended meanwhile is not.
            match loaded {
                Loaded::Entry(entry, _) if entry.has_ended(now) => drop(ended.insert(entry.id)),
                Loaded::Entry(entry, bit) => {
                    restored(&Record::Entry(entry), bit);
                }
                Loaded::Cancel(cancel) if ended.contains(&cancel.entry) => {}
                Loaded::Cancel(cancel) => {
                    let id = cancel.entry;
                    if restored(&Record::Cancel(cancel), false) == Applied::Ended {
                        ended.insert(id);
                    }
                }
            }
        })?;
        if without_room > 0 {
            return Err(Unopened::without_room(shown, without_room));
        }
        let (in_force, millis) = (book.len(), u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        match file {
            Some(file) => tracing::info!(journal = %file.display(), entries, in_force, millis, "revocations"),
            None => {
                tracing::info!("revocations are kept in memory: those of the admin listener do not survive a restart");
            }
        }
        let taking = Arc::new(Taking { book, publisher: OnceLock::new() });
        let takes = Arc::clone(&taking);
        let cancelled = move |cancel: &Cancel| {
            takes.take(Record::Cancel(cancel.clone()), clock::millis());
        };
        let journal = Journal::start(store, cancelled).map_err(|error| Unopened::unstarted(shown, &error))?;
        if !ended.is_empty() {
            journal.note(Work::Forget(ended.into_iter().collect()));
        }
        let (refused, first_refusals) = Refused::way();
        let first_refusals = Mutex::new(Some(first_refusals));
        Ok(Self { taking, journal, file: file.map(Path::to_owned), refused, first_refusals })
    }

    /// The book, for sources that keep what they bring elsewhere.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.taking.book
    }

    /// Where checks tell by which entry they refused something.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// From now on this one is told of all that was asked here; once. Entries are told of when they bite, cancels when they are stored.
    pub fn publish_to(&self, publisher: Arc<Outbox>) -> bool {
        self.taking.publisher.set(publisher).is_ok()
    }

    /// Who sends on what is asked here, if somebody does.
    #[must_use]
    pub fn publisher(&self) -> Option<&Outbox> {
        self.taking.publisher.get().map(Arc::as_ref)
    }

    /// Takes entries that were asked here: they bite, and are stored. What became of each, and whether they are all stored; those that
    /// are not bite all the same.
    pub async fn take(&self, entries: &[Arc<Entry>], now: i64) -> (Vec<Applied>, Result<(), NotStored>) {
        let (mut applied, mut work) = (Vec::new(), Vec::new());
        for entry in entries {
            let became = self.taking.take(Record::Entry(entry.as_ref().clone()), now);
            applied.push(became);
            match became {
                Applied::New | Applied::Cancelled => work.push(Work::Entry(Arc::clone(entry), now)),
                // Asked again because it could not be stored.
                Applied::Known => {
                    let unwritten = self.journal.unwritten(entry.id);
                    work.extend(unwritten.map(|(entry, applied_at)| Work::Entry(entry, applied_at)));
                }
                Applied::Ended | Applied::Waiting | Applied::Conflict | Applied::Full | Applied::Malformed => {}
            }
        }
        // What was stored before is asked for again: it counts as stored if the next start finds it.
        let is_stored = work.is_empty() && self.journal.stands().await;
        let stored = if is_stored { Ok(()) } else { self.journal.keep(work).await };
        (applied, stored)
    }

    /// Takes back an entry: stored, and then it no longer bites.
    ///
    /// # Errors
    /// It is not stored, and nothing has changed.
    pub async fn cancel(&self, cancel: Cancel) -> Result<(), NotStored> {
        self.journal.keep(vec![Work::Cancel(Arc::new(cancel))]).await
    }

    /// One entry.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn find(&self, id: EntryId) -> Result<Option<Told>, NotStored> {
        if let Some((entry, applied_at)) = self.journal.unwritten(id) {
            return Ok(Some(self.told(unwritten(entry, applied_at), false)));
        }
        let store = self.journal.store();
        let found = tokio::task::spawn_blocking(move || store.find(id)).await;
        let found = found.map_err(|_| NotStored("the journal cannot be read".to_owned()))??;
        Ok(found.map(|stored| self.told(stored, !self.journal.is_lost())))
    }

    /// Entries after one, in the order of their ids: of a kind, of an issuer, at most so many. The id to go on after, if there may be
    /// more; a page may have room left all the same.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn page(
        &self,
        after: Option<EntryId>,
        most: usize,
        kind: Option<Kind>,
        issuer: Option<String>,
    ) -> Result<(Vec<Told>, Option<EntryId>), NotStored> {
        let fits = move |entry: &Entry| {
            kind.is_none_or(|kind| entry.target.kind() == kind)
                && issuer.as_deref().is_none_or(|issuer| entry.target.issuer() == Some(issuer))
        };
        let (store, fits_too) = (self.journal.store(), fits.clone());
        let page = tokio::task::spawn_blocking(move || store.page(after, (most, LOOKED_AT), fits_too)).await;
        let (page, next) = page.map_err(|_| NotStored("the journal cannot be read".to_owned()))??;
        let is_stored = !self.journal.is_lost();
        let mut page: Vec<_> = page.into_iter().map(|stored| self.told(stored, is_stored)).collect();
        for (entry, applied_at) in self.journal.all_unwritten() {
            let on_page = after.is_none_or(|after| entry.id > after) && next.is_none_or(|next| entry.id <= next);
            let known = page.iter().any(|told| told.stored.entry.id == entry.id);
            if on_page && !known && fits(&entry) {
                page.push(self.told(unwritten(entry, applied_at), false));
            }
        }
        page.sort_by_key(|told| told.stored.entry.id);
        Ok((page, next))
    }

    /// Notes first refused uses and drops what has ended, for ever.
    pub async fn follow(&self) {
        let refusals = self.first_refusals.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut refusals) = refusals else { return };
        let mut purge = tokio::time::interval(PURGE);
        loop {
            tokio::select! {
                _ = purge.tick() => {
                    let gone = self.book().purge(clock::millis());
                    if !gone.is_empty() {
                        tracing::debug!(entries = gone.len(), "revocations have ended");
                        self.journal.note(Work::Forget(gone));
                    }
                }
                Some(id) = refusals.recv() => {
                    if self.book().has_bitten(id) {
                        self.tell_of_first_use(id).await;
                    }
                }
            }
        }
    }

    /// The proof that a revocation works: what it names came, and was refused.
    async fn tell_of_first_use(&self, id: EntryId) {
        let now = clock::millis();
        self.journal.note(Work::Bitten(id, now));
        let told = self.find(id).await.ok().flatten();
        let entry = told.as_ref().map(|told| &told.stored.entry);
        let kind = entry.map(|entry| entry.target.kind().name());
        let since = |at: fn(&Entry) -> i64| entry.map(|entry| now.saturating_sub(at(entry)));
        let (after_asked, after_reported) = (since(|entry| entry.asked_at), since(|entry| entry.reported_at));
        tracing::info!(
            revocation = %id,
            kind,
            case = entry.and_then(|entry| entry.case.as_deref()),
            millis_after_asked = after_asked,
            millis_after_reported = after_reported,
            "first refused use of what was revoked"
        );
    }

    /// How many entries are in force and how they are kept, in one line.
    #[must_use]
    pub fn status(&self) -> String {
        let why = self.journal.why().unwrap_or_default();
        let journal = match (self.journal.failing(), &self.file) {
            (Some(_), _) if self.journal.is_lost() => format!("CANNOT BE WRITTEN, a restart forgets all of it: {why}"),
            (Some(entries), _) => format!("CANNOT BE WRITTEN, {entries} in force and not stored: {why}"),
            (None, Some(_)) => "stored".to_owned(),
            (None, None) => "none, a restart forgets what the admin listener took".to_owned(),
        };
        format!("revocations: {} in force; journal: {journal}", self.book().len())
    }

    /// Stores what is left and closes the journal.
    pub async fn close(&self) {
        self.journal.close().await;
    }

    fn told(&self, stored: Stored, is_stored: bool) -> Told {
        Told { standing: self.book().standing(stored.entry.id), stored, is_stored }
    }
}

impl Taking {
    fn take(&self, record: Record, now: i64) -> Applied {
        let applied = self.book.apply(&record, now);
        if let (Some(publisher), Applied::New | Applied::Cancelled) = (self.publisher.get(), applied) {
            publisher.send(Arc::new(record));
        }
        applied
    }
}

/// Entries that one page looks at, so that a search for what is rare ends.
const LOOKED_AT: usize = 20_000;

fn unwritten(entry: Arc<Entry>, applied_at: i64) -> Stored {
    Stored { entry, applied_at: Some(applied_at), first_refused_at: None, cancel: None }
}

#[cfg(test)]
mod tests;
