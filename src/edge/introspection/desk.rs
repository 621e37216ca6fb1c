//! Where checks ask, from every worker: an answer that still counts is given at once, and for another the check waits.
//!
//! So many checks may wait for one issuer and no more: the others' have room, however slow it is.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::answers::{Answers, Key};
use super::caller::Caller;
use super::{Answering, Introspect};
use crate::decision::token::{AnswerReader, Ask, Introspection};
use crate::telemetry::metrics::{Asked, Metrics};

/// Where checks ask.
pub struct Desk {
    issuers: Vec<Place>,
    answers: Arc<Answers>,
    questions: mpsc::Sender<Question>,
    metrics: Arc<Metrics>,
}

struct Place {
    issuer: String,
    waiting: Semaphore,
}

/// What a check wants to know. It holds a token, and is for nobody's eyes.
pub struct Question {
    pub key: Key,
    pub token: Box<[u8]>,
    pub reader: AnswerReader,
    pub reply: oneshot::Sender<Option<Introspection>>,
}

impl Desk {
    pub(super) fn new(
        callers: &[Caller],
        answers: Arc<Answers>,
        questions: mpsc::Sender<Question>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let place = |caller: &Caller| Place {
            issuer: caller.issuer().to_owned(),
            waiting: Semaphore::new(caller.rules().max_waiting),
        };
        Self { issuers: callers.iter().map(place).collect(), answers, questions, metrics }
    }

    async fn answer(&self, ask: &Ask<'_>, now: i64) -> Option<Introspection> {
        let index = self.issuers.iter().position(|place| place.issuer == ask.issuer())?;
        let place = self.issuers.get(index)?;
        let key = (index, *ask.hash());
        if let Some(answer) = self.answers.find(&key, Instant::now(), now) {
            self.metrics.asked(&place.issuer, Asked::Remembered);
            return Some(answer);
        }
        let over_budget = || self.metrics.asked(&place.issuer, Asked::OverBudget);
        // Held until the answer is here, or nobody waits for it any more.
        let Ok(_waiting) = place.waiting.try_acquire() else {
            over_budget();
            return None;
        };
        let (reply, answer) = oneshot::channel();
        let question = Question { key, token: ask.token().into(), reader: ask.reader().clone(), reply };
        if self.questions.try_send(question).is_err() {
            over_budget();
            return None;
        }
        answer.await.ok().flatten()
    }
}

impl Introspect for Desk {
    fn introspect<'a>(&'a self, ask: &'a Ask<'_>, now: i64) -> Answering<'a> {
        Box::pin(self.answer(ask, now))
    }
}
