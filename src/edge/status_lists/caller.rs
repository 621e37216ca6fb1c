//! Who fetches the lists of one issuer: one GET, and what counts as an answer to it.
//!
//! An answer is status 200 with `application/statuslist+jwt`, not compressed by the way, of a bounded size. Three redirects are followed
//! (draft-ietf-oauth-status-list §8.2, §11.4), and only to hosts that lists may be fetched from. What HTTP says of caching is not read.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::{Client, redirect};

use crate::config::{self, Url, key_url};
use crate::decision::status_list::StatusPolicy;
use crate::edge::fetch;
use crate::edge::introspection::budget::Ending;

const LIST: &str = "application/statuslist+jwt";
const REDIRECTS: usize = 3;

/// Fetches the lists of one issuer.
pub struct Caller {
    issuer: String,
    rules: config::StatusLists,
    line: Arc<Line>,
}

/// What a fetch needs.
pub struct Line {
    client: Client,
    origins: Arc<[String]>,
    allow_loopback_http: bool,
}

/// Why there is no list.
#[derive(Debug)]
pub struct NoList {
    /// In words.
    pub why: String,
    /// Whether that says that the host does not work.
    pub ending: Ending,
}

impl Caller {
    /// With these CAs, PEM, beside the system's.
    pub fn new(issuer: &config::Issuer, rules: &config::StatusLists, ca: Option<&[u8]>) -> Result<Self, String> {
        let hosts = match &issuer.rules.status {
            StatusPolicy::Checked(status) => status.origins.as_slice(),
            StatusPolicy::Unchecked | StatusPolicy::Ignored => &[],
        };
        let origin = |origin: &String| Url::parse(origin).ok().map(|url| url.origin().ascii_serialization());
        let origins: Arc<[String]> = hosts.iter().filter_map(origin).collect();
        let allowed = Arc::clone(&origins);
        let policy = redirect::Policy::custom(move |attempt| {
            let may = attempt.previous().len() <= REDIRECTS && may_fetch(&allowed, attempt.url());
            // What is not followed is the answer, and none that counts.
            if may { attempt.follow() } else { attempt.stop() }
        });
        let timeout = Duration::from_millis(rules.timeout_milliseconds);
        let builder = fetch::guarded(ca)?.redirect(policy).connect_timeout(timeout).timeout(timeout);
        let client = builder.build().map_err(|error| error.to_string())?;
        let line = Line { client, origins, allow_loopback_http: issuer.allow_loopback_http };
        Ok(Self { issuer: issuer.rules.issuer.clone(), rules: rules.clone(), line: Arc::new(line) })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn rules(&self) -> &config::StatusLists {
        &self.rules
    }

    pub fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }
}

impl Line {
    /// What is at a URI, of so many bytes at most.
    pub async fn fetch(&self, uri: &str, most: usize) -> Result<Vec<u8>, NoList> {
        let of_uri = |why: &str| NoList { why: why.to_owned(), ending: Ending::Neither };
        let url = key_url(uri, self.allow_loopback_http).map_err(|wrong| of_uri(wrong.words().0))?;
        if !may_fetch(&self.origins, &url) {
            return Err(of_uri("its host is not one of `hosts`"));
        }
        let place = fetch::place(url.clone());
        let got = self.get(url, most).await;
        got.map_err(|NoList { why, ending }| NoList { why: format!("{place}: {why}"), ending })
    }

    async fn get(&self, url: Url, most: usize) -> Result<Vec<u8>, NoList> {
        let failed = |why: String| NoList { why, ending: Ending::Failed };
        let neither = |why: String| NoList { why, ending: Ending::Neither };
        let sent = self.client.get(url).header(ACCEPT, LIST).send().await;
        let answer = sent.map_err(|error| failed(fetch::causes(&error.without_url())))?;
        let status = answer.status();
        if status != StatusCode::OK {
            let why = format!("status {}", status.as_u16());
            let broken = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(if broken { failed(why) } else { neither(why) });
        }
        if !answer.headers().get(CONTENT_TYPE).is_some_and(is_list) {
            return Err(neither(format!("the answer is not {LIST}")));
        }
        if answer.headers().contains_key(CONTENT_ENCODING) {
            return Err(neither("the answer is compressed, and nobody asked for that".to_owned()));
        }
        fetch::body(answer, most).await.map_err(neither)
    }
}

fn may_fetch(origins: &[String], url: &Url) -> bool {
    let bare = url.username().is_empty() && url.password().is_none();
    bare && origins.contains(&url.origin().ascii_serialization())
}

fn is_list(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(LIST.as_bytes())
}
