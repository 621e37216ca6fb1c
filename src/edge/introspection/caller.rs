//! Who calls one issuer: the client and its credentials, one call, and what counts as an answer to it.
//!
//! A call is a POST of the form of RFC 7662 §2.1. An answer is status 200 with JSON (§2.2), or a JWT where it must be signed (RFC 9701),
//! of a bounded size; redirects are not followed. What was sent and what was answered is in no message.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::{Client, Identity};

use super::answers::Lives;
use super::assertion::Signer;
use super::budget::Ending;
use crate::config::{self, ClientAuth, Introspection, Url};
use crate::decision::limits;
use crate::edge::discovery::{self, Metadata};
use crate::edge::files::{self, Seen, whole};
use crate::edge::{clock, fetch};
use crate::problem::Problem;

/// How long a connection may wait for its next call: Node closes one after five seconds, and a call that meets the end of its connection is
/// lost.
const IDLE: Duration = Duration::from_secs(4);
/// An answer (RFC 7662 §2.2).
const PLAIN: &str = "application/json";
/// An answer that is signed (RFC 9701 §4).
const SIGNED: &str = "application/token-introspection+jwt";
/// A client secret, at most.
const SECRET_BYTES: u64 = 4 * 1024;

/// Calls one issuer.
pub struct Caller {
    issuer: String,
    allow_loopback_http: bool,
    rules: Introspection,
    ca: Option<Arc<[u8]>>,
    seen: Seen,
    line: Arc<Line>,
}

/// What a call needs: it is shared by those under way, and replaced as a whole when a file has changed.
pub struct Line {
    client: Client,
    client_id: String,
    proof: Proof,
    /// The media type of answers.
    answers: &'static str,
}

/// What we are authenticated with.
enum Proof {
    Basic(HeaderValue),
    /// The fields of the form.
    Post(String),
    Signed {
        signer: Signer,
        audience: String,
    },
    /// The connection.
    Tls,
}

/// Why there is no answer.
pub struct NoAnswer {
    /// In words, without anything that was sent or answered.
    pub why: String,
    /// Whether that says that the issuer does not work.
    pub ending: Ending,
}

/// A file that cannot be read, or holds what it should not.
pub type Broken = Box<Problem>;

/// What the files of a way to be authenticated hold.
pub struct Files(Vec<(PathBuf, Vec<u8>)>);

/// Nobody could look.
pub fn unread() -> Problem {
    whole(Path::new("credentials"), "these files could not be read".to_owned(), "see the lines before")
}

impl Caller {
    /// Reads the credentials for the first time.
    pub fn open(issuer: &config::Issuer, rules: &Introspection, ca: Option<Arc<[u8]>>) -> Result<Self, Broken> {
        let files = Files::read(&rules.auth)?;
        let mut seen = Seen::default();
        seen.is_news(&files.joined());
        let name = &issuer.rules.issuer;
        let answers = if issuer.rules.signed_answers.is_some() { SIGNED } else { PLAIN };
        let line = Arc::new(Line::new((name, answers), rules, ca.as_deref(), &files)?);
        let (rules, allow_loopback_http) = (rules.clone(), issuer.allow_loopback_http);
        Ok(Self { issuer: name.clone(), allow_loopback_http, rules, ca, seen, line })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn rules(&self) -> &Introspection {
        &self.rules
    }

    pub fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    pub fn lives(&self) -> Lives {
        let Introspection { cache_seconds, negative_cache_seconds, .. } = self.rules;
        Lives { active: Duration::from_secs(cache_seconds), other: Duration::from_secs(negative_cache_seconds) }
    }

    /// Takes what the files hold now: whether it is other than before.
    pub fn renew(&mut self, files: Result<Files, Broken>) -> Result<bool, Broken> {
        let files = match files {
            Ok(files) => files,
            Err(broken) => return if self.seen.is_lost_news() { Err(broken) } else { Ok(false) },
        };
        if !self.seen.is_news(&files.joined()) {
            return Ok(false);
        }
        let issuer = (self.issuer.as_str(), self.line.answers);
        self.line = Arc::new(Line::new(issuer, &self.rules, self.ca.as_deref(), &files)?);
        Ok(true)
    }

    /// Looks for the endpoint in the issuer's metadata.
    pub fn discover(&self) -> impl Future<Output = Result<Url, String>> + Send + use<> {
        let (line, issuer, loopback) = (self.line(), self.issuer.clone(), self.allow_loopback_http);
        let places: &[&str] = match line.proof {
            // RFC 8705 §5.
            Proof::Tls => &["/mtls_endpoint_aliases/introspection_endpoint", "/introspection_endpoint"],
            Proof::Basic(_) | Proof::Post(_) | Proof::Signed { .. } => &["/introspection_endpoint"],
        };
        async move { discovery::discover(&line.client, (Metadata::Server, &issuer), loopback, places).await }
    }
}

impl Files {
    /// Reads them.
    pub fn read(auth: &ClientAuth) -> Result<Self, Broken> {
        let paths: Vec<(&PathBuf, u64)> = match auth {
            ClientAuth::SecretBasic(file) | ClientAuth::SecretPost(file) => vec![(file, SECRET_BYTES)],
            ClientAuth::PrivateKeyJwt(jwt) => vec![(&jwt.key, files::FILE_BYTES)],
            ClientAuth::Tls { certificate, key } => {
                vec![(certificate, files::FILE_BYTES), (key, files::FILE_BYTES)]
            }
        };
        let read = |(path, limit): (&PathBuf, u64)| Ok((path.clone(), files::read(path, limit)?));
        paths.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn first(&self) -> (&Path, &[u8]) {
        self.0.first().map_or((Path::new(""), &[]), |(path, content)| (path.as_path(), content.as_slice()))
    }

    /// All as one, so that no byte of one counts as another's.
    fn joined(&self) -> Vec<u8> {
        let one = |(_, content): &(PathBuf, Vec<u8>)| [&content.len().to_be_bytes()[..], content].concat();
        self.0.iter().flat_map(one).collect()
    }
}

impl Line {
    fn new(
        (issuer, answers): (&str, &'static str),
        rules: &Introspection,
        ca: Option<&[u8]>,
        files: &Files,
    ) -> Result<Self, Broken> {
        let (path, content) = files.first();
        let broken = |what: &str, remedy: &str| Broken::new(whole(path, what.to_owned(), remedy));
        let timeout = Duration::from_millis(rules.timeout_milliseconds);
        let builder =
            fetch::guarded(ca).map_err(|why| broken(&why, "give PEM certificates of CAs in `jwks.ca_file`"))?;
        let mut builder = builder.connect_timeout(timeout).timeout(timeout).pool_idle_timeout(IDLE);
        if let ClientAuth::Tls { .. } = rules.auth {
            let pem: Vec<u8> = files.0.iter().flat_map(|(_, content)| [content, &b"\n"[..]].concat()).collect();
            // Its words may quote the file.
            builder = builder.identity(Identity::from_pem(&pem).map_err(|_| broken(NO_IDENTITY, IDENTITY))?);
        }
        let proof = Proof::new(issuer, rules, content).map_err(|(what, remedy)| broken(what, remedy))?;
        let client = builder.build().map_err(|_| broken(NO_IDENTITY, IDENTITY))?;
        Ok(Self { client, client_id: rules.client_id.clone(), proof, answers })
    }

    /// Asks about a token.
    pub async fn ask(&self, url: Url, token: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        let place = fetch::place(url.clone());
        self.call(url, token)
            .await
            .map_err(|NoAnswer { why, ending }| NoAnswer { why: format!("{place}: {why}"), ending })
    }

    async fn call(&self, url: Url, token: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        let failed = |why: String| NoAnswer { why, ending: Ending::Failed };
        // RFC 7662 §2.1.
        let mut form = format!("token={}&token_type_hint=access_token", encoded(token));
        let mut request = self.client.post(url).header(ACCEPT, self.answers);
        match &self.proof {
            Proof::Basic(header) => request = request.header(AUTHORIZATION, header.clone()),
            Proof::Post(fields) => form.push_str(fields),
            Proof::Signed { signer, audience } => {
                let assertion = signer.assertion(&self.client_id, audience, clock::now());
                let assertion = assertion.ok_or_else(|| failed("no client assertion could be signed".to_owned()))?;
                form.push_str(
                    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
                );
                form.push_str("&client_assertion=");
                form.push_str(&assertion);
            }
            // RFC 8705 §2: the certificate alone does not say which client it is.
            Proof::Tls => {
                form.push_str("&client_id=");
                form.push_str(&encoded(self.client_id.as_bytes()));
            }
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let sent = request.send().await;
        let answer = sent.map_err(|error| failed(fetch::causes(&error.without_url())))?;
        if answer.status() != StatusCode::OK {
            // RFC 6749 §5.2: a request that the issuer does not like, for which the token may be the reason.
            let ending = if answer.status() == StatusCode::BAD_REQUEST { Ending::Neither } else { Ending::Failed };
            return Err(NoAnswer { why: format!("status {}", answer.status().as_u16()), ending });
        }
        if !answer.headers().get(CONTENT_TYPE).is_some_and(|kind| is(kind, self.answers)) {
            return Err(failed(format!("the answer is not {}", self.answers)));
        }
        let body = fetch::body(answer, limits::INTROSPECTION_BYTES).await;
        // What is too large may be what is said of one token.
        body.map_err(|why| NoAnswer { why, ending: Ending::Neither })
    }
}

impl Proof {
    /// With what a file holds; or what is wrong with it, and what would be right.
    fn new(issuer: &str, rules: &Introspection, content: &[u8]) -> Result<Self, (&'static str, &'static str)> {
        let id = &rules.client_id;
        match &rules.auth {
            ClientAuth::SecretBasic(_) => {
                let header = secret(content).and_then(|secret| basic(id, secret));
                header.map(Self::Basic).ok_or((NO_SECRET, SECRET))
            }
            ClientAuth::SecretPost(_) => {
                let secret = encoded(secret(content).ok_or((NO_SECRET, SECRET))?);
                Ok(Self::Post(format!("&client_id={}&client_secret={secret}", encoded(id.as_bytes()))))
            }
            ClientAuth::PrivateKeyJwt(jwt) => {
                let signer = Signer::read(content, jwt.algorithm, jwt.key_id.as_deref());
                let signer = signer.map_err(|what| (what, "give one private key, PEM (PKCS#8) or JWK"))?;
                Ok(Self::Signed { signer, audience: jwt.audience.clone().unwrap_or_else(|| issuer.to_owned()) })
            }
            ClientAuth::Tls { .. } => Ok(Self::Tls),
        }
    }
}

const NO_SECRET: &str = "this is no client secret";
const SECRET: &str = "give the secret alone, in visible characters, of 4096 bytes at most";
const NO_IDENTITY: &str = "these are no certificate chain and private key that go together";
const IDENTITY: &str = "give PEM: the chain in `certificate`, leaf first, and its unencrypted key in `key`";

/// The secret in a file, without the line break at its end.
pub fn secret(content: &[u8]) -> Option<&[u8]> {
    let secret = content.strip_suffix(b"\n").unwrap_or(content);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    (!secret.is_empty() && !secret.iter().any(u8::is_ascii_control)).then_some(secret)
}

/// RFC 6749 §2.3.1: both are form-encoded first.
pub fn basic(client_id: &str, secret: &[u8]) -> Option<HeaderValue> {
    let pair = format!("{}:{}", encoded(client_id.as_bytes()), encoded(secret));
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A value of a form: all but unreserved characters (RFC 3986 §2.3) percent-encoded.
pub fn encoded(value: &[u8]) -> String {
    value.iter().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default().to_ascii_uppercase();
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
        text
    })
}

fn is(value: &HeaderValue, media_type: &str) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes())
}
