//! What became of one request: what the client saw, which code the decision had, what reached the API.

use std::path::PathBuf;

use serde_json::Value;

use super::http1::Response;
use crate::lab::upstream::{Reached, Upstream};
use crate::lab::{Edge, told};

/// What became of one request.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    /// keybound's account of the decision, as Envoy logs it; null if there was none.
    pub decision: Value,
    /// What reached the API.
    pub reached: Option<Reached>,
    keybound_log: PathBuf,
}

impl Answer {
    /// Looks up in logs what became of the request with this mark.
    pub fn of(edge: &Edge, mark: &str, response: Response) -> Self {
        let decision = response.one("x-request-id").map(|id| {
            let line = told::line("a line in the access log", &edge.access_log, |line| line["request_id"] == id);
            line["decision"].clone()
        });
        let reached = reached(edge.upstream, mark);
        let (decision, keybound_log) = (decision.unwrap_or_default(), edge.keybound_log.clone());
        Self { response, decision, reached, keybound_log }
    }

    /// The code of the decision.
    pub fn code(&self) -> &str {
        self.decision["code"].as_str().unwrap_or("(no decision)")
    }

    /// The request went on to the API as what keybound calls `code`, and the log says so too. What reached the API.
    #[track_caller]
    pub fn passed(&self, code: &str) -> &Reached {
        assert_eq!((self.code(), self.response.status), (code, 200), "{self:?}");
        let reached = self.reached.as_ref().expect("the API was reached");
        assert_eq!(reached.header("x-keybound-decision"), self.decision["decision_id"].as_str(), "{self:?}");
        self.must_be_logged();
        reached
    }

    /// Policy permitted a proven sender.
    #[track_caller]
    pub fn allowed(&self) -> &Reached {
        self.passed("allowed")
    }

    /// keybound denied it with this code and status: the client sees a problem with the decision's id and no code, Envoy's and
    /// keybound's logs have the code, the API saw nothing.
    #[track_caller]
    pub fn denied(&self, code: &str, status: u16) -> &Response {
        assert_eq!((self.code(), self.response.status), (code, status), "{self:?}");
        assert!(self.reached.is_none(), "the API was reached: {self:?}");
        assert_eq!(self.response.one("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_slice(&self.response.body).expect("a problem");
        assert_eq!(problem["decision_id"], self.decision["decision_id"], "{self:?}");
        assert!(!String::from_utf8_lossy(&self.response.body).contains(code), "the client is told the code: {self:?}");
        self.must_be_logged();
        &self.response
    }

    /// Envoy refused it by itself with this status; the API saw nothing.
    #[track_caller]
    pub fn stopped_by_envoy(&self, status: u16) {
        assert_eq!((self.response.status, &self.decision), (status, &Value::Null), "{self:?}");
        assert!(self.reached.is_none(), "the API was reached: {self:?}");
    }

    #[track_caller]
    fn must_be_logged(&self) {
        let line = self.log_line();
        assert_eq!((&line["code"], &line["mode"]), (&self.decision["code"], &self.decision["mode"]), "{self:?}");
    }

    /// keybound's log line of the decision.
    pub fn log_line(&self) -> Value {
        let id = &self.decision["decision_id"];
        assert!(id.is_string(), "no decision: {self:?}");
        told::line("a line in keybound's log", &self.keybound_log, |line| line["decision_id"] == *id)
    }
}

fn reached(upstream: &Upstream, mark: &str) -> Option<Reached> {
    let (times, reached) = upstream.reached(mark);
    assert!(times <= 1, "the API was reached {times} times");
    reached
}
