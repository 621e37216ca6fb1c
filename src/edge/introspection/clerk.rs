//! Who asks the issuers: one task owns the calls, so that one is made about a token at a time, within each issuer's budget, and goes on
//! whether or not the check that wanted it still waits.
//!
//! It also keeps the credentials and the endpoints: files are looked at on the same poll as all others, metadata as often as keys.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::answers::{Answers, Key};
use super::budget::{Admission, Budget, Ending, Turn};
use super::caller::{self, Broken, Caller, Files, NoAnswer};
use super::desk::Question;
use crate::config::{Config, Url};
use crate::decision::token::{Introspection, NotAnAnswer, Outcome};
use crate::edge::clock;
use crate::edge::jwks::Wanted;
use crate::telemetry::metrics::{Asked, Loaded, Metrics};

/// Owns the calls to issuers.
pub struct Clerk {
    config: Arc<Config>,
    issuers: Vec<Issuer>,
    answers: Arc<Answers>,
    questions: mpsc::Receiver<Question>,
    work: FuturesUnordered<Pin<Box<dyn Future<Output = Done> + Send>>>,
    /// Whom to tell that an answer is signed with a key that is not known yet.
    wanted: Wanted,
    metrics: Arc<Metrics>,
}

struct Issuer {
    caller: Caller,
    budget: Budget,
    /// Not known until the issuer's metadata have been read.
    endpoint: Option<Url>,
    /// Who waits for which call.
    calls: HashMap<[u8; 32], Vec<oneshot::Sender<Option<Introspection>>>>,
}

/// Work that has come to its end.
enum Done {
    Called(Key, Result<Introspection, NoAnswer>, Duration),
    Discovered(usize, Result<Url, String>),
    Read(usize, Result<Files, Broken>),
}

impl Clerk {
    pub(super) fn new(
        config: &Arc<Config>,
        callers: Vec<Caller>,
        answers: Arc<Answers>,
        questions: mpsc::Receiver<Question>,
        wanted: Wanted,
        metrics: Arc<Metrics>,
    ) -> Self {
        let at = Instant::now();
        let issuer = |caller: Caller| {
            let rules = caller.rules();
            let budget = Budget::new(rules.max_in_flight, rules.max_per_second, at);
            Issuer { endpoint: rules.url.clone(), budget, calls: HashMap::new(), caller }
        };
        let issuers = callers.into_iter().map(issuer).collect();
        let (config, work) = (Arc::clone(config), FuturesUnordered::new());
        Self { config, issuers, answers, questions, work, wanted, metrics }
    }

    /// Asks for ever.
    pub async fn serve(mut self) {
        if self.issuers.is_empty() {
            return std::future::pending().await;
        }
        for index in 0..self.issuers.len() {
            self.discover(index, Duration::ZERO);
            self.look_at_files(index);
        }
        loop {
            // Answers first: they make room.
            tokio::select! {
                biased;
                Some(done) = self.work.next() => self.take(done),
                question = self.questions.recv() => match question {
                    Some(question) => self.admit(question),
                    None => return,
                },
            }
        }
    }

    /// Answers at once, joins a call that is under way, makes one, or refuses.
    fn admit(&mut self, question: Question) {
        let Question { key, token, reader, reply } = question;
        let Some(issuer) = self.issuers.get_mut(key.0) else { return };
        let name = issuer.caller.issuer();
        if let Some(waiting) = issuer.calls.get_mut(&key.1) {
            self.metrics.asked(name, Asked::Joined);
            waiting.push(reply);
            return;
        }
        let at = Instant::now();
        // The answer may have come while the question was on its way.
        if let Some(answer) = self.answers.find(&key, at, clock::now()) {
            self.metrics.asked(name, Asked::Remembered);
            return answered(reply, Some(answer));
        }
        let admission = if issuer.endpoint.is_some() { issuer.budget.admit(at) } else { Admission::BackingOff };
        let (Some(url), Admission::Granted) = (issuer.endpoint.clone(), admission) else {
            let over = admission == Admission::OverBudget;
            self.metrics.asked(name, if over { Asked::OverBudget } else { Asked::BackingOff });
            return answered(reply, None);
        };
        self.metrics.calls(name, issuer.budget.in_flight());
        issuer.calls.insert(key.1, vec![reply]);
        let (line, wanted, name) = (issuer.caller.line(), self.wanted.clone(), name.to_owned());
        self.work.push(Box::pin(async move {
            let answer = line.ask(url, &token).await;
            let answer = answer.and_then(|answer| {
                reader.read(&answer, clock::now()).map_err(|wrong| {
                    if wrong == NotAnAnswer::KeyUnknown {
                        wanted.ask(&name);
                    }
                    none(wrong)
                })
            });
            Done::Called(key, answer, at.elapsed())
        }));
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Called(key, answer, took) => self.settle(key, answer, took),
            Done::Discovered(index, found) => self.take_endpoint(index, found),
            Done::Read(index, files) => self.take_files(index, files),
        }
    }

    fn settle(&mut self, key: Key, answer: Result<Introspection, NoAnswer>, took: Duration) {
        let Some(issuer) = self.issuers.get_mut(key.0) else { return };
        let (name, at) = (issuer.caller.issuer(), Instant::now());
        let (outcome, ending, why, answer) = match answer {
            Ok(answer) => (word(&answer), Ending::Good, String::new(), Some(answer)),
            Err(NoAnswer { why, ending }) => (Asked::Failed, ending, why, None),
        };
        self.metrics.asked(name, outcome);
        self.metrics.called(name, took);
        if let Some(answer) = &answer {
            self.answers.keep(key, answer, issuer.caller.lives(), at, clock::now());
        }
        tell(name, issuer.budget.ended(ending, at), &why);
        self.metrics.calls(name, issuer.budget.in_flight());
        for reply in issuer.calls.remove(&key.1).unwrap_or_default() {
            answered(reply, answer.clone());
        }
    }

    fn discover(&mut self, index: usize, wait: Duration) {
        let Some(issuer) = self.issuers.get(index).filter(|issuer| issuer.caller.rules().url.is_none()) else {
            return;
        };
        let discovering = issuer.caller.discover();
        self.work.push(Box::pin(async move {
            sleep(wait).await;
            Done::Discovered(index, discovering.await)
        }));
    }

    fn take_endpoint(&mut self, index: usize, found: Result<Url, String>) {
        let Some(issuer) = self.issuers.get_mut(index) else { return };
        let name = issuer.caller.issuer();
        let jwks = &self.config.jwks;
        let seconds = match found {
            Ok(url) => {
                issuer.endpoint = Some(url);
                jwks.refresh_seconds
            }
            Err(why) => {
                let known = issuer.endpoint.is_some();
                tracing::warn!(issuer = name, why, known, "where an issuer is asked about tokens could not be read");
                jwks.cooldown_seconds.min(jwks.refresh_seconds)
            }
        };
        self.discover(index, Duration::from_secs(seconds));
    }

    /// Looks at the files of an issuer's credentials after the poll.
    fn look_at_files(&mut self, index: usize) {
        let Some(issuer) = self.issuers.get(index) else { return };
        let (auth, poll) = (issuer.caller.rules().auth.clone(), Duration::from_secs(self.config.bundle.poll_seconds));
        self.work.push(Box::pin(async move {
            sleep(poll).await;
            // Files may be on a disk that is slow.
            let read = tokio::task::spawn_blocking(move || Files::read(&auth)).await;
            Done::Read(index, read.unwrap_or_else(|_| Err(caller::unread().into())))
        }));
    }

    fn take_files(&mut self, index: usize, files: Result<Files, Broken>) {
        let Some(issuer) = self.issuers.get_mut(index) else { return };
        let renewed = issuer.caller.renew(files);
        let name = issuer.caller.issuer();
        match renewed {
            Ok(false) => {}
            Ok(true) => {
                self.metrics.loaded(Loaded::Credentials, true);
                tracing::info!(what = "introspection credentials", issuer = name, "new files are served");
            }
            Err(problem) => {
                self.metrics.loaded(Loaded::Credentials, false);
                let problem = self.config.where_named(&PathBuf::from(&problem.place.file), *problem);
                tracing::error!(what = "introspection credentials", issuer = name, %problem, "refused; the last good ones stay");
            }
        }
        self.look_at_files(index);
    }
}

/// A check that has given up hears nothing.
fn answered(reply: oneshot::Sender<Option<Introspection>>, answer: Option<Introspection>) {
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waits for this answer any more");
    }
}

fn none(wrong: NotAnAnswer) -> NoAnswer {
    // What is said of one token may be its client's to choose; how it is signed is not.
    let ending = if wrong == NotAnAnswer::NotAnObject { Ending::Neither } else { Ending::Failed };
    NoAnswer { why: wrong.to_string(), ending }
}

fn word(answer: &Introspection) -> Asked {
    match answer.outcome() {
        Outcome::Active => Asked::Active,
        Outcome::Inactive => Asked::Inactive,
        Outcome::Refused => Asked::Refused,
    }
}

/// Once when it begins, once when it ends: a line for each call would be a flood.
fn tell(issuer: &str, turn: Turn, why: &str) {
    match turn {
        Turn::None => {}
        Turn::Failing => tracing::warn!(issuer, why, "an issuer could not be asked about a token"),
        Turn::Pausing => {
            tracing::error!(
                issuer,
                why,
                "an issuer cannot be asked about tokens: it is left alone for a second at a time"
            );
        }
        Turn::Recovered => tracing::info!(issuer, "an issuer can be asked about tokens again"),
    }
}
