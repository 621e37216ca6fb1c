//! The journal of revocations: what was asked outlives the process, a kill and a loss of power.
//!
//! One thread writes. Whoever waits for it while a write is under way shares the next one: a hundred callers wait for two writes, not
//! for a hundred. What could not be written is told to who waits, and entries are tried again until they are written. While nothing is
//! asked, it is looked each second whether the next start would find the file.

pub mod store;

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::{Cancel, Entry};
use crate::decision::revocation::EntryId;
use store::{NotStored, Store, Work};

/// Calls that wait for the thread; the admin listener has fewer under way.
const QUEUE: usize = 4_096;
/// Calls whose work is written together.
const TOGETHER: usize = 1_024;
/// Between two tries to write what could not be written, and two looks at the file.
const AGAIN: Duration = Duration::from_secs(1);

/// Who writes, and what is still to be written.
pub struct Journal {
    store: Arc<Store>,
    calls: SyncSender<Call>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Entries that bite and are not on the disk yet, with when they were applied.
    unwritten: Mutex<BTreeMap<EntryId, (Arc<Entry>, i64)>>,
    /// Why writing fails, if it does.
    failing: Mutex<Option<String>>,
}

struct Call {
    work: Vec<Work>,
    answer: Option<oneshot::Sender<Result<(), NotStored>>>,
    last: bool,
}

impl Journal {
    /// Starts the thread that writes to these tables, and hands over each cancel once it is written: whoever asked may have gone, and
    /// what is written counts.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(store: Store, cancelled: impl Fn(&Cancel) + Send + 'static) -> io::Result<Self> {
        let (store, shared) = (Arc::new(store), Arc::new(Shared::default()));
        let (calls, called) = sync_channel(QUEUE);
        let (late, told_lost) = (Vec::new(), false);
        let scribe = Scribe {
            store: Arc::clone(&store),
            shared: Arc::clone(&shared),
            late,
            told_lost,
            cancelled: Box::new(cancelled),
        };
        std::thread::Builder::new().name("keybound-journal".to_owned()).spawn(move || scribe.write(&called))?;
        Ok(Self { store, calls, shared })
    }

    /// The tables, for reading; a disk may be slow, so not on a thread that others wait for.
    #[must_use]
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Stores it and waits until it is on the disk. Entries that are not are tried again; a cancel is not.
    ///
    /// # Errors
    /// It is not stored, or nobody can say.
    pub async fn keep(&self, work: Vec<Work>) -> Result<(), NotStored> {
        self.shared.wait_for(&work);
        let (answer, answered) = oneshot::channel();
        self.send(Call { work, answer: Some(answer), last: false })?;
        answered.await.unwrap_or_else(|_| Err(NotStored("the journal has ended".to_owned())))
    }

    /// Stores what others keep too, and does not wait. Entries that could not be stored are tried again; a cancel is not, so that what it
    /// takes back may be in force again after a restart, until others tell of it.
    pub fn leave(&self, work: Vec<Work>) {
        self.shared.wait_for(&work);
        if let Err(NotStored(why)) = self.send(Call { work, answer: None, last: false }) {
            tracing::warn!(why, "what another replica told is in force, and not stored yet");
        }
    }

    /// Stores it some time, if there is room for that: what is told and nothing more.
    pub fn note(&self, work: Work) {
        if let Err(NotStored(why)) = self.send(Call { work: vec![work], answer: None, last: false }) {
            tracing::debug!(why, "a note about a revocation is not stored");
        }
    }

    /// Writes what there is and closes the tables.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.send(Call { work: Vec::new(), answer: Some(answer), last: true }).is_ok() {
            drop(answered.await);
        }
    }

    /// An entry that bites and is not on the disk yet, and when it was applied.
    #[must_use]
    pub fn unwritten(&self, id: EntryId) -> Option<(Arc<Entry>, i64)> {
        self.shared.unwritten().get(&id).cloned()
    }

    /// Every such entry.
    #[must_use]
    pub fn all_unwritten(&self) -> Vec<(Arc<Entry>, i64)> {
        self.shared.unwritten().values().cloned().collect()
    }

    /// How many entries bite and are not on the disk yet, if writing fails.
    #[must_use]
    pub fn failing(&self) -> Option<usize> {
        self.shared.is_failing().then(|| self.shared.unwritten().len())
    }

    /// Why writing fails, if it does.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.shared.failing().clone()
    }

    /// Whether the next start would find nothing of all that was stored.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.store.is_lost()
    }

    /// Whether the next start finds what was stored, as far as can be seen now.
    pub async fn stands(&self) -> bool {
        let store = self.store();
        tokio::task::spawn_blocking(move || store.stands()).await.unwrap_or(false)
    }

    fn send(&self, call: Call) -> Result<(), NotStored> {
        let why = match self.calls.try_send(call) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => "too much waits for the disk",
            Err(TrySendError::Disconnected(_)) => "the journal has ended",
        };
        Err(NotStored(why.to_owned()))
    }
}

impl Shared {
    /// These entries bite and are to be written.
    fn wait_for(&self, work: &[Work]) {
        let mut unwritten = self.unwritten();
        for work in work {
            if let Work::Entry(entry, applied_at) = work {
                unwritten.insert(entry.id, (Arc::clone(entry), *applied_at));
            }
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<EntryId, (Arc<Entry>, i64)>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failing(&self) -> MutexGuard<'_, Option<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_failing(&self) -> bool {
        self.failing().is_some()
    }
}

struct Scribe {
    store: Arc<Store>,
    shared: Arc<Shared>,
    /// What could not be written and is tried again.
    late: Vec<Work>,
    /// Whether it was told that the next start would find nothing.
    told_lost: bool,
    /// Takes cancels that were written.
    cancelled: Box<dyn Fn(&Cancel) + Send>,
}

impl Scribe {
    fn write(mut self, calls: &Receiver<Call>) {
        loop {
            let first = match calls.recv_timeout(AGAIN) {
                Ok(call) => Some(call),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let together = first.into_iter().chain(calls.try_iter().take(TOGETHER));
            let (last, together): (Vec<_>, Vec<_>) = together.partition(|call| call.last);
            self.write_together(together);
            if !last.is_empty() {
                self.store.close();
                // Who waits for the end is told by this.
                return drop(last);
            }
        }
    }

    fn write_together(&mut self, calls: Vec<Call>) {
        // Entries that are waiting are here, whoever asked for them; in the order of time, cancels and notes after them.
        let entries: Vec<_> = self.shared.unwritten().values().cloned().collect();
        let entry = |(entry, at): &(Arc<Entry>, i64)| Work::Entry(Arc::clone(entry), *at);
        let others = calls.iter().flat_map(|call| &call.work).filter(|work| !matches!(work, Work::Entry(..)));
        let work: Vec<_> = entries.iter().map(entry).chain(self.late.iter().cloned()).chain(others.cloned()).collect();
        // What failed is over when something can be written, be it nothing.
        let idle = work.is_empty() && !self.shared.is_failing();
        let written = if idle { self.store.settle() } else { self.store.write(&work) };
        let asked = calls.iter().flat_map(|call| &call.work);
        if written.is_ok() {
            self.late.clear();
            let mut unwritten = self.shared.unwritten();
            for (entry, _) in &entries {
                unwritten.remove(&entry.id);
            }
            drop(unwritten);
            for work in asked {
                if let Work::Cancel(cancel) = work {
                    (self.cancelled)(cancel);
                }
            }
        } else {
            // A cancel that was refused must not come true later, when nobody counts on it.
            self.late.extend(asked.filter(|work| matches!(work, Work::Bitten(..) | Work::Forget(_))).cloned());
        }
        self.tell(&written);
        for answer in calls.into_iter().filter_map(|call| call.answer) {
            // Who asked may have gone.
            drop(answer.send(written.clone()));
        }
    }

    /// Says that writing fails, or that it works again; after an error the tables are opened anew.
    fn tell(&mut self, written: &Result<(), NotStored>) {
        let why = written.as_ref().err().map(|NotStored(why)| why.clone());
        let failed = core::mem::replace(&mut *self.shared.failing(), why).is_some();
        let told_lost = core::mem::replace(&mut self.told_lost, self.store.is_lost());
        match written {
            Ok(()) if failed => {
                tracing::info!("the journal of revocations is written again: all that is in force is stored");
            }
            Ok(()) => {}
            Err(NotStored(why)) => {
                if self.told_lost && !told_lost {
                    tracing::error!(
                        why,
                        "the journal of revocations is not where a start looks for it: what is in force is not stored"
                    );
                } else if !failed {
                    tracing::error!(
                        why,
                        "the journal of revocations cannot be written: what is asked now is in force, and not stored"
                    );
                }
                if let Err(NotStored(why)) = self.store.reopen() {
                    tracing::debug!(why, "the journal of revocations cannot be opened");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
