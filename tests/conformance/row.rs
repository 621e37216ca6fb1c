//! A row: a sentence, the requests that show it, and what each must come to.

use std::sync::Arc;

use crate::expect::Expect;
use crate::support::{Good, Outcome};

/// One row of the table.
#[derive(Clone)]
pub struct Row {
    /// The clause.
    pub id: &'static str,
    /// What is held to be true.
    pub sentence: String,
    /// One request, or several against one memory of spent proofs.
    pub steps: Vec<Step>,
    /// What a real Envoy in front makes of it.
    pub envoy: Envoy,
    /// How many proofs are remembered, and how many percent of them for one client.
    pub room: (usize, u8),
    clock: i64,
    lost: Option<i64>,
}

/// One request of a row.
#[derive(Clone)]
pub struct Step {
    /// What is sent.
    pub send: Sending,
    /// Seconds after the time of the tests.
    pub after: i64,
    /// When the memory of spent proofs was lost before it, if it was.
    pub lost: Option<i64>,
    /// What it comes to.
    pub expect: Expect,
}

/// Makes a request from what was answered so far.
type Make = Arc<dyn Fn(&[Outcome]) -> Good + Send + Sync>;

/// What is sent.
#[derive(Clone)]
pub enum Sending {
    /// A request made from what was answered so far.
    Made(Make),
    /// The request before, byte for byte.
    Again,
}

/// What becomes of a row behind a real Envoy as `deploy/` sets it up.
#[derive(Clone)]
pub enum Envoy {
    /// The same verdict.
    Same,
    /// Envoy answers with this status and does not ask.
    Stops(u16),
    /// Envoy ends the handshake.
    TurnsAway,
    /// Envoy writes the request anew before it asks; then this.
    Becomes(Expect),
    /// No client can send it; says why.
    CannotSend(&'static str),
}

/// A row of one request.
pub fn row(id: &'static str, sentence: impl Into<String>, request: Good, expect: Expect) -> Row {
    let row = Row {
        id,
        sentence: sentence.into(),
        steps: Vec::new(),
        envoy: Envoy::Same,
        room: (1000, 100),
        clock: 0,
        lost: None,
    };
    row.then(request, expect)
}

impl Row {
    /// One more request.
    pub fn then(self, request: Good, expect: Expect) -> Self {
        self.step(Sending::Made(Arc::new(move |_| request.clone())), expect)
    }

    /// The same request again, byte for byte.
    pub fn again(self, expect: Expect) -> Self {
        self.step(Sending::Again, expect)
    }

    /// One more request, with the nonce that was answered last.
    pub fn with_nonce(self, request: impl Fn(&str) -> Good + Send + Sync + 'static, expect: Expect) -> Self {
        // Without one the step before has failed already.
        let make = move |seen: &[Outcome]| {
            request(seen.iter().rev().find_map(|outcome| outcome.nonce.last()).map_or("no nonce", String::as_str))
        };
        self.step(Sending::Made(Arc::new(make)), expect)
    }

    /// Time passes.
    pub fn wait(mut self, seconds: i64) -> Self {
        self.clock += seconds;
        self
    }

    /// The memory of spent proofs is lost.
    pub fn forget(mut self) -> Self {
        self.lost = Some(self.clock);
        self
    }

    /// The memory of spent proofs has this room, of which one client may take this many percent.
    pub fn room(mut self, proofs: usize, share_percent: u8) -> Self {
        self.room = (proofs, share_percent);
        self
    }

    /// What a real Envoy makes of it, if not the same.
    pub fn envoy(mut self, envoy: Envoy) -> Self {
        self.envoy = envoy;
        self
    }

    /// Whether some request of it is refused.
    pub fn refuses(&self) -> bool {
        self.steps.iter().any(|step| !step.expect.allows())
    }

    /// Every expectation, in order.
    pub fn expected(&self) -> String {
        self.steps.iter().map(|step| step.expect.to_string()).collect::<Vec<_>>().join(", then ")
    }

    fn step(mut self, send: Sending, expect: Expect) -> Self {
        let lost = self.lost.take();
        self.steps.push(Step { send, after: self.clock, lost, expect });
        self
    }
}
