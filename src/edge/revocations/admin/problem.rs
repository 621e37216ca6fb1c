//! What the admin API answers when it does not do what it was asked: RFC 9457, with what is wrong and what would be right.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::Lines;
use crate::config::Permission;
use crate::edge::revocations::book::Applied;
use crate::edge::revocations::entry::Wrong;

/// A refusal.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    what: String,
    remedy: String,
    more: Vec<(&'static str, Value)>,
    lines: Lines,
}

impl Problem {
    pub fn new(status: StatusCode, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, what: what.into(), remedy: remedy.into(), more: Vec::new(), lines: Vec::new() }
    }

    pub fn unprocessable(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, what, remedy)
    }

    pub fn too_large() -> Self {
        let what = "the body is too large, or broke off";
        let remedy = format!("one entry: at most {} bytes; an array: {}", super::BODY_BYTES, super::MANY_BYTES);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, what, remedy)
    }

    pub fn no_such_entry() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such entry", "`keybound revoke list` shows those there are")
    }

    pub fn no_random() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no random bytes for an id", "give an id with the entry")
    }

    pub fn forbidden(permission: Permission) -> Self {
        let permission = match permission {
            Permission::Read => "read",
            Permission::Revoke => "revoke",
            Permission::Cancel => "cancel",
        };
        let remedy = format!("ask somebody who may, or add `{permission}` to `admin.callers[].may`");
        Self::new(StatusCode::FORBIDDEN, format!("you may not {permission}"), remedy)
    }

    /// An entry that the book did not take.
    pub fn not_taken(applied: Applied) -> Self {
        match applied {
            Applied::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "the book of revocations is full: this is not revoked",
                "revoke what holds many at once: the client, the key or the issuer",
            ),
            Applied::Cancelled => Self::new(
                StatusCode::CONFLICT,
                "the entry with this id was taken back: this is not revoked",
                "ask again with a new id",
            ),
            Applied::Ended => {
                Self::new(StatusCode::CONFLICT, "the entry with this id has ended", "ask again with a new id")
            }
            Applied::Conflict | Applied::Malformed | Applied::New | Applied::Known | Applied::Waiting => Self::new(
                StatusCode::CONFLICT,
                "another entry has this id: this is not revoked",
                "ask again with a new id, or with what was asked before",
            ),
        }
    }

    /// It bites, and a restart would forget it.
    pub fn not_stored(ids: &[String]) -> Self {
        let what = "in force here, not stored: a restart before it is stored would forget it";
        let remedy =
            "ask again with the same id until the answer is 200 or 201; look at the disk of `revocations.journal`";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, what, remedy);
        problem.more.push(("in_force", json!(ids)));
        problem
    }

    /// It bites still.
    pub fn not_cancelled() -> Self {
        let what = "still in force: that it is taken back could not be stored";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, what, "ask again; look at the disk of `revocations.journal`")
    }

    pub fn unreadable(why: &str) -> Self {
        let what = format!("the journal cannot be read: {why}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, what, "ask again; look at the disk of `revocations.journal`")
    }

    /// The entry of an array that it is about.
    pub fn at(mut self, index: Option<usize>) -> Self {
        self.more.extend(index.map(|index| ("index", json!(index))));
        self
    }

    pub fn with_lines(mut self, lines: Lines) -> Self {
        self.lines = lines;
        self
    }

    /// What the audit has: at least that there was a call.
    pub fn lines(&self) -> Lines {
        if self.lines.is_empty() { vec![(None, "refused")] } else { self.lines.clone() }
    }

    pub fn response(&self) -> Response<Full<Bytes>> {
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.what,
            "remedy": self.remedy,
        });
        if let Some(members) = document.as_object_mut() {
            members.extend(self.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        let mut response = json_response(self.status, "application/problem+json", &document);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::unprocessable(wrong.what, wrong.remedy)
    }
}

pub fn json_response(status: StatusCode, kind: &'static str, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{document}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
