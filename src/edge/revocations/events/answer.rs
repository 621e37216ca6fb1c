//! What a transmitter is told (RFC 8935 §2.2 to §2.4): 202 and nothing, 400 and a code, or that it should send it again.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;

use super::{MEDIA_TYPE, PATH};
use crate::decision::limits::SET_BYTES;
use crate::decision::security_event::ErrorCode;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    code: Option<ErrorCode>,
    /// What it is refused with if it stays so.
    at_last: Option<ErrorCode>,
    description: String,
}

impl Answer {
    /// It was taken.
    pub fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, code: None, at_last: None, description: String::new() }
    }

    /// It is refused, and would be again.
    pub fn of(code: ErrorCode, description: &str) -> Self {
        Self::with(StatusCode::BAD_REQUEST, code, description.to_owned())
    }

    /// We failed: it should be sent again.
    pub fn later(description: &str) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, code: None, at_last: None, description: description.to_owned() }
    }

    /// The same, for as long as it may be our fault; then it would be refused.
    pub fn later_or(code: ErrorCode, description: &str) -> Self {
        Self { at_last: Some(code), ..Self::later(description) }
    }

    pub fn too_many() -> Self {
        let description = "too many events that are refused: send it again".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: None, at_last: None, description }
    }

    pub fn no_such_path() -> Self {
        Self::request(StatusCode::NOT_FOUND, format!("push to {PATH}"))
    }

    pub fn no_such_method() -> Self {
        Self::request(StatusCode::METHOD_NOT_ALLOWED, format!("POST to {PATH}"))
    }

    pub fn media_type() -> Self {
        Self::request(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Content-Type must be {MEDIA_TYPE}"))
    }

    pub fn too_large() -> Self {
        let description = format!("the body broke off, or has more than {SET_BYTES} bytes");
        Self::request(StatusCode::PAYLOAD_TOO_LARGE, description)
    }

    pub fn too_late() -> Self {
        Self::request(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())
    }

    fn request(status: StatusCode, description: String) -> Self {
        Self::with(status, ErrorCode::InvalidRequest, description)
    }

    fn with(status: StatusCode, code: ErrorCode, description: String) -> Self {
        Self { status, code: Some(code), at_last: None, description }
    }

    /// Whether whoever sent it could have known better, or is nobody we know.
    pub fn is_refusal(&self) -> bool {
        self.code.is_some()
    }

    /// What an acknowledgement says of it (RFC 8936 §2.4.2): taken, refused by this code, or nothing, so that it comes again.
    pub fn acknowledged(&self) -> Option<Result<(), ErrorCode>> {
        match self.code {
            Some(code) => Some(Err(code)),
            None => (self.status == StatusCode::ACCEPTED).then_some(Ok(())),
        }
    }

    /// What it is refused with where it could not be answered for long, if it may be refused at all.
    pub const fn at_last(&self) -> Option<ErrorCode> {
        self.at_last
    }

    /// As metrics and logs have it.
    pub fn code(&self) -> &'static str {
        self.code.map_or("later", ErrorCode::name)
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    pub fn response(&self) -> Response<Full<Bytes>> {
        // RFC 8935 §2.2: nothing more is said of what was taken.
        let body = match (self.status, self.code) {
            (StatusCode::ACCEPTED, _) => String::new(),
            (_, Some(code)) => format!("{}\n", json!({ "err": code.name(), "description": self.description })),
            (_, None) => format!("{}\n", json!({ "description": self.description })),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status != StatusCode::ACCEPTED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        }
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        response
    }
}
