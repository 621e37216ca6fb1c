//! The bundle's files: read anew on a thread that gives way to all others, and dropped there.
//!
//! Ten thousand policies take seconds to read and tens of milliseconds to free. Checks take microseconds, and with one core they wait
//! for whoever has it. So the thread that reads has a low priority, and it holds every bundle that it read until nobody else
//! does: a check that lets go of an old one never is the last to do so.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::mpsc;

use super::named;
use crate::bundle::{self, Remembered, Surroundings};
use crate::config::{Config, Profile};
use crate::decision::certificate::CertificateSource;
use crate::decision::snapshot::Bundle;
use crate::decision::token::IssuerRules;
use crate::edge::clock;
use crate::edge::files::{self, Seen};
use crate::problem::Problem;

/// How often it is seen whether an old bundle can go. A check holds one for microseconds.
const FREE_EVERY: Duration = Duration::from_millis(100);
/// Linux: what this nice value leaves of a core that is busy with one other thread, a tenth. A lower one would leave a new bundle, which
/// may forbid what the old one allows, to wait for minutes while checks flood in.
#[cfg(target_os = "linux")]
const LOW: i32 = 10;

/// What a look came to: nothing new; or a bundle with its warnings, or why there is none.
pub(super) type Looked = Option<Result<(Arc<Bundle>, Vec<Problem>), Vec<Problem>>>;

/// The bundle's directory.
pub(super) struct Bundles {
    config: Arc<Config>,
    seen: Seen,
    held: Held<Bundle>,
    remembered: Remembered,
}

impl Bundles {
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, seen: Seen::default(), held: Held(Vec::new()), remembered: Remembered::default() }
    }

    /// Reads the bundle if it is another than at the last look.
    pub fn look(&mut self) -> Looked {
        let files = match files::bundle(&self.config.bundle.directory) {
            Ok(files) => files,
            Err(problems) => return self.seen.is_lost_news().then(|| Err(named(&self.config, problems))),
        };
        self.seen.is_news(files.revision().as_bytes()).then(|| {
            // Under load it takes a while: until it is told that the new files are served, the old ones decide.
            tracing::info!(what = "bundle", "new files are being read");
            self.load(&files)
        })
    }

    fn load(&mut self, files: &bundle::Files) -> Result<(Arc<Bundle>, Vec<Problem>), Vec<Problem>> {
        let config = &self.config;
        let issuers: Vec<IssuerRules> = config.issuers.iter().map(|issuer| issuer.rules.as_ref().clone()).collect();
        let asked = config.issuers.iter().filter(|issuer| issuer.introspection.is_some());
        let asked: Vec<String> = asked.map(|issuer| issuer.rules.issuer.clone()).collect();
        let surroundings = Surroundings {
            issuers: &issuers,
            asked: &asked,
            fapi2: config.profile == Profile::Fapi2,
            certificates: config.certificate.rules.source != CertificateSource::None,
            evaluation: config.bundle.evaluation.into(),
            now: clock::now(),
        };
        let in_directory = |problems| files::in_directory(&config.bundle.directory, problems);
        let (bundle, warnings) =
            bundle::load_again(files, &surroundings, &mut self.remembered).map_err(in_directory)?;
        Ok((self.held.hold(bundle), in_directory(warnings)))
    }

    /// Looks whenever it is asked to, until nobody is left to ask.
    fn serve(mut self, asks: &Receiver<()>, looked: &mpsc::Sender<Looked>) {
        give_way();
        loop {
            let asked = if self.held.is_one() {
                asks.recv().map_err(RecvTimeoutError::from)
            } else {
                asks.recv_timeout(FREE_EVERY)
            };
            match asked {
                Ok(()) if looked.blocking_send(self.look()).is_err() => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => self.held.free(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// The thread that reads bundles.
pub(super) struct Reader {
    asks: Sender<()>,
    looked: mpsc::Receiver<Looked>,
    /// A look is under way; somebody is to be told if it comes to nothing.
    under_way: Option<bool>,
    /// And another one is to follow.
    next: Option<bool>,
}

impl Reader {
    /// # Errors
    /// There is no thread to be had.
    pub fn start(bundles: Bundles) -> std::io::Result<Self> {
        let (asks, asked) = channel();
        let (told, looked) = mpsc::channel(1);
        // Its own, and not one that tokio lends: a priority that is lowered stays so, and tokio would hand the thread on. What this one
        // starts inherits the priority; nobody else's threads are started here. The stack is for dropping what is nested.
        let builder = Builder::new().name("keybound-reload".to_owned()).stack_size(bundle::STACK_BYTES);
        builder.spawn(move || bundles.serve(&asked, &told))?;
        Ok(Self { asks, looked, under_way: None, next: None })
    }

    /// Has the files looked at; at once, or after the look that is under way.
    pub fn ask(&mut self, tell: bool) {
        if self.under_way.is_some() {
            self.next = Some(self.next.unwrap_or_default() || tell);
        } else if self.asks.send(()).is_ok() {
            self.under_way = Some(tell);
        }
    }

    /// What the look came to, and whether somebody is to be told if that is nothing. `None` if the thread is gone.
    pub async fn looked(&mut self) -> Option<(Looked, bool)> {
        let looked = self.looked.recv().await?;
        let tell = self.under_way.take().unwrap_or_default();
        if let Some(next) = self.next.take() {
            self.ask(next);
        }
        Some((looked, tell))
    }
}

/// What is given to others and freed here, whenever they let go of it.
struct Held<T>(Vec<Arc<T>>);

impl<T> Held<T> {
    fn hold(&mut self, new: T) -> Arc<T> {
        let new = Arc::new(new);
        self.0.push(Arc::clone(&new));
        new
    }

    /// Frees what nobody else has: what has one owner gets no second one.
    fn free(&mut self) {
        self.0.retain(|each| Arc::strong_count(each) > 1);
    }

    fn is_one(&self) -> bool {
        self.0.len() <= 1
    }
}

/// Lets all other threads go first. This one shares no lock with those that judge checks but the allocator's, so nobody waits for it.
#[cfg(target_os = "linux")]
fn give_way() {
    // Linux has one priority per thread where POSIX has one per process: `None` is this thread. It can go up again only with a
    // privilege that we should not have.
    if let Err(error) = rustix::process::setpriority_process(None, LOW) {
        tracing::debug!(%error, "bundles are read at the priority of checks");
    }
}

/// Elsewhere the priority is the whole process's.
#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::mpsc::TryRecvError;
    use std::thread::{self, ThreadId};

    use super::*;

    /// Tells which thread dropped it.
    struct Probe(Sender<ThreadId>);

    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn what_others_let_go_of_last_is_freed_by_who_holds_it() {
        let (dropped, drops) = channel();
        let mut held = Held(Vec::new());
        let [old, new] = [dropped.clone(), dropped].map(|dropped| held.hold(Probe(dropped)));
        held.free();
        assert_eq!((held.is_one(), drops.try_recv()), (false, Err(TryRecvError::Empty)), "both are somebody's");
        let worker = thread::spawn(move || drop(old));
        worker.join().unwrap();
        assert_eq!(drops.try_recv(), Err(TryRecvError::Empty), "a worker frees nothing");
        held.free();
        assert_eq!((held.is_one(), drops.try_recv()), (true, Ok(thread::current().id())));
        drop(new);
        held.free();
        assert_eq!(drops.try_recv(), Ok(thread::current().id()));
    }
}
