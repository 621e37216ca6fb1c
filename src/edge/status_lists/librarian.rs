//! Who fetches lists: one task owns the fetches, so that one is made of a list at a time, within each issuer's budget, and goes on whether
//! or not the check that wanted it still waits.
//!
//! A list in use is fetched again when three quarters of its life are over, beside the budget of checks, so that no check waits for it
//! and no flood of other URIs keeps it from that. After a fetch that failed the URI is left alone for a while.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::caller::{Caller, Line, NoList};
use super::desk::Question;
use super::shelf::Shelf;
use crate::config::Url;
use crate::decision::snapshot::Snapshot;
use crate::decision::status_list::{ListReader, ListRefused, StatusList};
use crate::edge::introspection::budget::{Admission, Budget, Ending, Turn};
use crate::edge::jwks::Wanted;
use crate::edge::{clock, fetch};
use crate::telemetry::metrics::{Listed, Metrics};

/// How often it is looked whether lists are due.
const LOOK: Duration = Duration::from_millis(250);
/// Lists that are fetched again at once.
const REFRESHES: usize = 4;
/// Of so many URIs it is known that they failed.
const FAILURES: usize = 1024;

/// Owns the fetches of lists.
pub struct Librarian {
    issuers: Vec<Issuer>,
    shelf: Arc<Shelf>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    questions: mpsc::Receiver<Question>,
    work: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    wanted: Wanted,
    metrics: Arc<Metrics>,
}

struct Issuer {
    caller: Caller,
    /// Of fetches for checks that wait.
    budget: Budget,
    /// Of fetches of lists that are here.
    refreshes: Budget,
    /// Who waits for which fetch; nobody does for a list that is fetched again.
    fetches: HashMap<Arc<str>, Fetch>,
    /// Until when URIs that failed are left alone.
    failed: HashMap<Arc<str>, Instant>,
}

/// A fetch under way.
#[derive(Default)]
struct Fetch {
    waiting: Vec<oneshot::Sender<Option<Arc<StatusList>>>>,
    again: bool,
}

/// A fetch that has come to its end.
struct Done {
    place: usize,
    uri: Arc<str>,
    list: Result<StatusList, Missing>,
}

/// Why there is no list.
enum Missing {
    NotHad(NoList),
    Refused(ListRefused),
}

impl Librarian {
    pub(super) fn new(
        callers: Vec<Caller>,
        shelf: Arc<Shelf>,
        snapshot: Arc<ArcSwap<Snapshot>>,
        questions: mpsc::Receiver<Question>,
        wanted: Wanted,
        metrics: Arc<Metrics>,
    ) -> Self {
        let at = Instant::now();
        let issuer = |caller: Caller| {
            let rules = caller.rules();
            let budget = Budget::new(rules.max_in_flight, rules.max_per_second, at);
            let lists = u32::try_from(rules.max_lists).unwrap_or(u32::MAX);
            let refreshes = Budget::new(REFRESHES, lists, at);
            Issuer { budget, refreshes, fetches: HashMap::new(), failed: HashMap::new(), caller }
        };
        let issuers = callers.into_iter().map(issuer).collect();
        Self { issuers, shelf, snapshot, questions, work: FuturesUnordered::new(), wanted, metrics }
    }

    /// Fetches for ever.
    pub async fn serve(mut self) {
        if self.issuers.is_empty() {
            return std::future::pending().await;
        }
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // What has come first: it makes room.
            tokio::select! {
                biased;
                Some(done) = self.work.next() => self.settle(done),
                _ = look.tick() => self.look(),
                question = self.questions.recv() => match question {
                    Some(question) => self.admit(question),
                    None => return,
                },
            }
        }
    }

    /// Answers at once, joins a fetch that is under way, makes one, or refuses.
    fn admit(&mut self, question: Question) {
        let Question { place, uri, now, reply } = question;
        let Some(issuer) = self.issuers.get_mut(place) else { return };
        let (name, at) = (issuer.caller.issuer(), Instant::now());
        if let Some(fetch) = issuer.fetches.get_mut(&uri) {
            self.metrics.status_list(name, Listed::Joined);
            fetch.waiting.push(reply);
            return;
        }
        // It may have come while the question was on its way. If it is here and does not count any more, by the key that signed it
        // perhaps, it is fetched.
        let stands = |list: &Arc<StatusList>| {
            let snapshot = self.snapshot.load();
            snapshot.issuers.find(name).is_some_and(|issuer| list.stands(&uri, issuer, now))
        };
        if let Some(list) = self.shelf.at(place, &uri, at).filter(stands) {
            return answered(reply, Some(list));
        }
        let admission = match issuer.failed.get(&uri) {
            Some(until) if at < *until => None,
            _ => Some(issuer.budget.admit(at)),
        };
        let refused = match admission {
            Some(Admission::Granted) => {
                issuer.fetches.insert(Arc::clone(&uri), Fetch { waiting: vec![reply], again: false });
                return self.fetch(place, uri);
            }
            Some(Admission::OverBudget) => Listed::OverBudget,
            Some(Admission::BackingOff) | None => Listed::BackingOff,
        };
        self.metrics.status_list(name, refused);
        answered(reply, None);
    }

    fn fetch(&self, place: usize, uri: Arc<str>) {
        let Some(issuer) = self.issuers.get(place) else { return };
        let (line, snapshot, name) = (issuer.caller.line(), Arc::clone(&self.snapshot), issuer.caller.issuer());
        let name = name.to_owned();
        self.work.push(Box::pin(async move {
            let list = fetch_and_read(&line, &snapshot, &name, &uri).await;
            Done { place, uri, list }
        }));
    }

    fn settle(&mut self, done: Done) {
        let Done { place, uri, list } = done;
        let Some(issuer) = self.issuers.get_mut(place) else { return };
        let (at, name) = (Instant::now(), issuer.caller.issuer());
        // One that has run out, or whose key was withdrawn, does not stand in the way.
        let snapshot = self.snapshot.load();
        let stands = |list: &&StatusList| {
            snapshot.issuers.find(name).is_some_and(|issuer| list.stands(&uri, issuer, clock::now()))
        };
        let before = self.shelf.counting(place, &uri, at);
        let before = before.as_deref().filter(stands);
        let older = |list: &StatusList| before.is_some_and(|before| !list.may_follow(before));
        // Whoever serves an older one has not failed, and the one at hand lives no longer for it.
        let is_older = list.as_ref().is_ok_and(&older);
        let (outcome, ending, why, list) = match list {
            Ok(_) if is_older => (Listed::Refused, Ending::Neither, "it is older than the one before".to_owned(), None),
            Ok(list) => (Listed::Fetched, Ending::Good, String::new(), Some(Arc::new(list))),
            Err(Missing::NotHad(NoList { why, ending })) => (Listed::Failed, ending, why, None),
            Err(Missing::Refused(why)) => {
                if matches!(why, ListRefused::KeyUnknown) {
                    let signer = issuer.caller.rules().signer.as_ref();
                    self.wanted.ask(signer.map_or(name, |signer| &signer.name));
                }
                (Listed::Refused, Ending::Neither, format!("{}: {}", place_of(&uri), why.words()), None)
            }
        };
        self.metrics.status_list(name, outcome);
        if let Some(list) = &list {
            self.shelf.keep(place, list, &uri, (at, clock::now()));
            issuer.failed.remove(&uri);
        } else {
            // Once for each list: a line for each fetch would be a flood.
            if issuer.failed.contains_key(&uri) {
                tracing::debug!(issuer = name, why, "a status list could not be had, again");
            } else {
                tracing::warn!(issuer = name, why, "a status list could not be had");
            }
            if !is_older {
                self.shelf.failed(place, &uri);
            }
            issuer.leave_alone(&uri, at);
        }
        let Fetch { waiting, again } = issuer.fetches.remove(&uri).unwrap_or_default();
        let budget = if again { &mut issuer.refreshes } else { &mut issuer.budget };
        tell(issuer.caller.issuer(), budget.ended(ending, at));
        // One that is here counts a while longer, if the operator lets it.
        let list = list.or_else(|| self.shelf.at(place, &uri, at));
        for reply in waiting {
            answered(reply, list.clone());
        }
    }

    /// Lists that are due are fetched again, and those that count no more are forgotten.
    fn look(&mut self) {
        let (at, now) = (Instant::now(), clock::now());
        for place in 0..self.issuers.len() {
            let (due, held, age) = self.shelf.tidy(place, at, now);
            let Some(issuer) = self.issuers.get_mut(place) else { return };
            self.metrics.status_lists_held(issuer.caller.issuer(), held, age);
            let mut wanted = Vec::new();
            for uri in due {
                let alone = issuer.failed.get(&uri).is_some_and(|until| at < *until);
                if alone || issuer.fetches.contains_key(&uri) || issuer.refreshes.admit(at) != Admission::Granted {
                    continue;
                }
                issuer.fetches.insert(Arc::clone(&uri), Fetch { waiting: Vec::new(), again: true });
                wanted.push(uri);
            }
            for uri in wanted {
                self.fetch(place, uri);
            }
        }
    }
}

impl Issuer {
    /// A URI that failed is left alone for a while.
    fn leave_alone(&mut self, uri: &Arc<str>, at: Instant) {
        if self.failed.len() >= FAILURES {
            self.failed.retain(|_, until| at < *until);
        }
        let until = at.checked_add(Duration::from_secs(self.caller.rules().negative_seconds));
        if let Some(until) = until.filter(|_| self.failed.len() < FAILURES) {
            self.failed.insert(Arc::clone(uri), until);
        }
    }
}

/// Fetches and reads one list, with the keys that its signer has when it is here.
async fn fetch_and_read(
    line: &Line,
    snapshot: &ArcSwap<Snapshot>,
    issuer: &str,
    uri: &Arc<str>,
) -> Result<StatusList, Missing> {
    let reader = || snapshot.load().issuers.find(issuer).and_then(|issuer| ListReader::of(issuer, uri));
    let most = reader().map_or(0, |reader| reader.most_text_bytes());
    let text = line.fetch(uri, most).await.map_err(Missing::NotHad)?;
    let reader = reader().ok_or(Missing::Refused(ListRefused::KeysUnavailable))?;
    // A large one takes some milliseconds, which others on this thread do not wait for.
    let read = tokio::task::spawn_blocking(move || reader.read(&text, clock::now())).await;
    read.unwrap_or(Err(ListRefused::Malformed)).map_err(Missing::Refused)
}

/// A list as logs may have it: what grants access may stand in its query.
fn place_of(uri: &str) -> String {
    Url::parse(uri).map(fetch::place).unwrap_or_default()
}

/// A check that has given up hears nothing.
fn answered(reply: oneshot::Sender<Option<Arc<StatusList>>>, list: Option<Arc<StatusList>>) {
    if reply.send(list).is_err() {
        tracing::debug!("nobody waits for this list any more");
    }
}

fn tell(issuer: &str, turn: Turn) {
    match turn {
        Turn::None | Turn::Failing => {}
        Turn::Pausing => {
            tracing::error!(issuer, "status lists cannot be fetched: their host is left alone for a second at a time");
        }
        Turn::Recovered => tracing::info!(issuer, "status lists can be fetched again"),
    }
}
