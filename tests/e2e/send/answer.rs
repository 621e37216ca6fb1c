//! What became of one request: what the client saw, which code the decision had, what reached the API.

use std::path::PathBuf;

use serde_json::Value;

use super::http1::Response;
use crate::lab::upstream::{Reached, Upstream};
use crate::lab::{Edge, told};
use crate::support::fresh_id;

/// What became of one request.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    /// keybound's account of the decision, as Envoy logs it; null if there was none.
    pub decision: Value,
    /// What reached the API.
    pub reached: Option<Reached>,
    keybound_log: (PathBuf, u64),
}

/// A request that is sent: how it is found again, and how far the logs were before.
pub struct Sent {
    pub mark: String,
    access_log: u64,
    keybound_log: u64,
}

impl Sent {
    /// Of a request that is about to be sent through this Envoy.
    pub fn through(edge: &Edge) -> Self {
        let (access_log, keybound_log) = (told::length(&edge.access_log), told::length(&edge.keybound_log));
        Self { mark: fresh_id(), access_log, keybound_log }
    }
}

impl Answer {
    /// Looks up in logs what became of a request.
    pub fn of(edge: &Edge, sent: &Sent, response: Response) -> Self {
        let decision = response.one("x-request-id").map(|id| {
            let is_it = |line: &Value| line["request_id"] == id;
            let line = told::line_after("a line in the access log", &edge.access_log, sent.access_log, is_it);
            line["decision"].clone()
        });
        let reached = reached(edge.upstream, &sent.mark);
        let keybound_log = (edge.keybound_log.clone(), sent.keybound_log);
        Self { response, decision: decision.unwrap_or_default(), reached, keybound_log }
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
        let (log, from) = &self.keybound_log;
        told::line_after("a line in keybound's log", log, *from, |line| line["decision_id"] == *id)
    }
}

fn reached(upstream: &Upstream, mark: &str) -> Option<Reached> {
    let (times, reached) = upstream.reached(mark);
    assert!(times <= 1, "the API was reached {times} times");
    reached
}
