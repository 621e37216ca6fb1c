//! The client of the admin API: one call, asked again while nobody could answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{Certificate, Client, Identity, Method, Url, redirect};
use serde_json::Value;

use crate::config;
use crate::edge::fetch;
use crate::edge::files::{self, FILE_BYTES};

const CONNECT: Duration = Duration::from_secs(3);
/// Above what the other side takes for a disk that does not answer.
const WHOLE: Duration = Duration::from_secs(25);
/// Tries after the first, with pauses that grow: some seconds in all.
const AGAIN: usize = 4;
/// An answer, at most: a page of a thousand entries at their limits.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Whom to ask, and how to show who asks.
pub struct Way {
    /// The admin listener's URL.
    pub admin: String,
    /// A file with a bearer.
    pub bearer_file: Option<PathBuf>,
    /// PEM files with a certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// PEM file with the CA that is trusted, and no other.
    pub ca: Option<PathBuf>,
}

/// Why nothing was asked or answered, for a person.
#[derive(Debug)]
pub struct Unasked(pub String);

/// The admin listener, as this caller.
pub struct Api {
    client: Client,
    base: Url,
    bearer: Option<String>,
}

/// What was answered.
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The document; null if it is none.
    pub document: Value,
    /// How often it was asked.
    pub tries: usize,
}

impl Api {
    /// The listener at the end of this way.
    ///
    /// # Errors
    /// A file of it cannot be used, or a bearer would be sent in plain text.
    pub fn of(way: &Way) -> Result<Self, Unasked> {
        let base = config::key_url(&way.admin, true).map_err(|wrong| {
            let what = wrong.words().0;
            let remedy = "write https://host:port; http:// only to a loopback address";
            Unasked(format!("error: `{}` {what}\n  help: {remedy}", way.admin))
        })?;
        let mut builder =
            Client::builder().redirect(redirect::Policy::none()).no_proxy().connect_timeout(CONNECT).timeout(WHOLE);
        let unfit = |path: &Path| {
            Unasked(format!("error: {} is not what it should be\n  help: give it in PEM", path.display()))
        };
        if let Some(path) = &way.ca {
            let roots = Certificate::from_pem_bundle(&read(path)?).map_err(|_| unfit(path))?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some((cert, key)) = &way.certificate {
            let pem = [read(cert)?, b"\n".to_vec(), read(key)?].concat();
            builder = builder.identity(Identity::from_pem(&pem).map_err(|_| unfit(cert))?);
        }
        let bearer = way.bearer_file.as_deref().map(bearer).transpose()?;
        let client = builder.build().map_err(|error| Unasked(format!("error: {}", fetch::causes(&error))))?;
        Ok(Self { client, base, bearer })
    }

    /// Revokes.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, body: &[u8]) -> Result<Answered, Unasked> {
        self.call(Method::POST, "", &[], Some(body)).await
    }

    /// Reads.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Answered, Unasked> {
        self.call(Method::GET, path, query, None).await
    }

    /// Takes back.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn delete(&self, path: &str, body: &[u8]) -> Result<Answered, Unasked> {
        self.call(Method::DELETE, path, &[], Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, Option<String>)],
        body: Option<&[u8]>,
    ) -> Result<Answered, Unasked> {
        let mut url = self.base.clone();
        url.set_path(&format!("/v1/revocations{path}"));
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut tries = 0_usize;
        let once = || {
            tries = tries.saturating_add(1);
            self.once(method.clone(), url.clone(), body)
        };
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(AGAIN);
        let answered = once.retry(pauses).when(|failed| failed.again).await;
        match answered {
            Ok((status, document)) | Err(Failed { answer: Some((status, document)), .. }) => {
                Ok(Answered { status, document, tries })
            }
            Err(Failed { why, .. }) => {
                let remedy = "--admin is the URL of `listeners.admin`, https:// where it has `tls`; --ca has the CA of its certificate";
                Err(Unasked(format!("error: {}: {why}\n  help: {remedy}", self.base)))
            }
        }
    }

    async fn once(&self, method: Method, url: Url, body: Option<&[u8]>) -> Result<(u16, Value), Failed> {
        let mut request = self.client.request(method, url).header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(body) = body {
            request = request.body(body.to_vec());
        }
        let told =
            |error: reqwest::Error| Failed { why: fetch::causes(&error.without_url()), again: true, answer: None };
        let mut answer = request.send().await.map_err(told)?;
        let status = answer.status().as_u16();
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(told)? {
            if text.len().saturating_add(chunk.len()) > ANSWER_BYTES {
                return Err(Failed { why: "the answer is too large".to_owned(), again: false, answer: None });
            }
            text.extend_from_slice(&chunk);
        }
        let document = serde_json::from_slice(&text).unwrap_or_default();
        if matches!(status, 429 | 502 | 503 | 504) {
            return Err(Failed { why: format!("status {status}"), again: true, answer: Some((status, document)) });
        }
        Ok((status, document))
    }
}

struct Failed {
    why: String,
    again: bool,
    answer: Option<(u16, Value)>,
}

fn read(path: &Path) -> Result<Vec<u8>, Unasked> {
    files::read(path, FILE_BYTES).map_err(|problem| Unasked(problem.to_string()))
}

fn bearer(path: &Path) -> Result<String, Unasked> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    let bearer = text.trim();
    if bearer.is_empty() || !bearer.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = format!("error: {} holds no bearer\n  help: write it, and nothing else", path.display());
        return Err(Unasked(what));
    }
    Ok(bearer.to_owned())
}

/// The words of a problem document.
#[must_use]
pub fn told(document: &Value) -> String {
    let word = |name: &str, or| document.get(name).and_then(Value::as_str).unwrap_or(or);
    let (what, remedy) = ("this is no answer of an admin listener", "--admin is the URL of `listeners.admin`");
    format!("error: {}\n  help: {}", word("detail", what), word("remedy", remedy))
}
