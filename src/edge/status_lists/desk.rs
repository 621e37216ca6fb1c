//! Where checks wait for a list that is not at hand. So many may wait for the lists of one issuer and no more: the others' have room,
//! however slow its host is.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::caller::Caller;
use super::{Consult, Consulting};
use crate::decision::status_list::StatusList;
use crate::decision::token::Issuer;
use crate::telemetry::metrics::{Listed, Metrics};

/// Where checks ask.
pub struct Desk {
    issuers: Vec<Place>,
    questions: mpsc::Sender<Question>,
    metrics: Arc<Metrics>,
}

struct Place {
    issuer: String,
    waiting: Semaphore,
}

/// Which list a check wants.
pub struct Question {
    /// The index of the issuer.
    pub place: usize,
    pub uri: Arc<str>,
    pub now: i64,
    pub reply: oneshot::Sender<Option<Arc<StatusList>>>,
}

impl Desk {
    pub(super) fn new(callers: &[Caller], questions: mpsc::Sender<Question>, metrics: Arc<Metrics>) -> Self {
        let place = |caller: &Caller| Place {
            issuer: caller.issuer().to_owned(),
            waiting: Semaphore::new(caller.rules().max_waiting),
        };
        Self { issuers: callers.iter().map(place).collect(), questions, metrics }
    }

    async fn list(&self, issuer: &str, uri: &Arc<str>, now: i64) -> Option<Arc<StatusList>> {
        let index = self.issuers.iter().position(|place| place.issuer == issuer)?;
        let place = self.issuers.get(index)?;
        // Held until the list is here, or nobody waits for it any more.
        let Ok(_waiting) = place.waiting.try_acquire() else {
            self.metrics.status_list(issuer, Listed::OverBudget);
            return None;
        };
        let (reply, list) = oneshot::channel();
        let question = Question { place: index, uri: Arc::clone(uri), now, reply };
        if self.questions.try_send(question).is_err() {
            self.metrics.status_list(issuer, Listed::OverBudget);
            return None;
        }
        list.await.ok().flatten()
    }
}

impl Consult for Desk {
    fn consult<'a>(&'a self, issuer: &'a Issuer, uri: &'a Arc<str>, now: i64) -> Consulting<'a> {
        Box::pin(self.list(&issuer.rules.issuer, uri, now))
    }
}
