//! Keys by URL and by discovery (RFC 8414 §3, OpenID Connect Discovery §4), fetched in the background, never by a request.
//!
//! One task per issuer, so one fetch at a time. An unknown `kid` asks for a fetch; it comes at most once per cooldown. The last good
//! keys stay, on disk too, to a maximum age.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::{Config, Jwks, KeySource, Url};
use crate::decision::token::{KeyRemark, Keyring, KeysRefused, RemarkKind};
use crate::edge::discovery::{self, Metadata};
use crate::edge::files::{self, whole};
use crate::edge::{clock, fetch, material};
use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};

/// What was fetched, or could not be any more.
pub enum News {
    /// New keys of an issuer.
    Fetched(String, Arc<Keyring>),
    /// The last good keys of an issuer are too old.
    Lost(String),
    /// A certificate revocation list, and where it is from.
    List(String, Vec<u8>),
}

/// Asks for keys of issuers whose tokens named an unknown `kid`.
#[derive(Clone, Default)]
pub struct Wanted(Vec<(String, Arc<Notify>)>);

impl Wanted {
    /// Asks for the keys of one issuer; nothing happens for issuers whose keys are in a file.
    pub fn ask(&self, issuer: &str) {
        for (name, notify) in &self.0 {
            if name == issuer {
                notify.notify_one();
            }
        }
    }
}

/// Fetches the keys of every issuer that is not a file.
pub struct Feeds {
    all: Vec<Feed>,
    client: Client,
    ca: Option<Vec<u8>>,
    rules: Jwks,
    untried: Arc<AtomicUsize>,
}

struct Feed {
    /// Whose keys they are: an issuer, or [`crate::config::keys_name`] of a transmitter.
    owner: String,
    /// What its metadata must say that it is.
    issuer: String,
    /// Where its metadata may be, if they name the URL.
    metadata: Option<Metadata>,
    url: Option<Url>,
    allow_loopback_http: bool,
    wanted: Arc<Notify>,
    /// How old the keys from disk are, if there are any.
    remembered_age: Option<Duration>,
    untried: Arc<AtomicUsize>,
}

/// Why there are no new keys.
enum NoKeys {
    /// The set could not be had, or could not be read: nothing is said about the keys.
    Unknown(String),
    /// The issuer publishes a set without a key that verifies a token: it has withdrawn what it had.
    Withdrawn(String),
}

impl Feeds {
    /// The feeds of a config.
    ///
    /// # Errors
    /// `jwks.ca_file` cannot be read or holds no PEM certificates.
    pub fn open(config: &Config) -> Result<Self, Problem> {
        let path = config.jwks.ca_file.as_deref();
        let read = |path| files::read(path, files::FILE_BYTES).map_err(|problem| config.where_named(path, problem));
        let ca = path.map(read).transpose()?;
        let client = fetch::client(ca.as_deref()).map_err(|error| {
            let path = path.unwrap_or(Path::new("jwks.ca_file"));
            whole(path, error, "give PEM certificates of CAs")
        })?;
        let untried = Arc::new(AtomicUsize::new(0));
        let feed = |owner: String, issuer: &str, keys: &KeySource, allow_loopback_http, of| {
            let (metadata, url) = match keys {
                KeySource::File(_) | KeySource::Nowhere => return None,
                KeySource::Url(url) => (None, Some(url.clone())),
                KeySource::Discovery => (Some(of), None),
            };
            untried.fetch_add(1, Ordering::AcqRel);
            Some(Feed {
                owner,
                issuer: issuer.to_owned(),
                metadata,
                url,
                allow_loopback_http,
                wanted: Arc::new(Notify::new()),
                remembered_age: None,
                untried: Arc::clone(&untried),
            })
        };
        let issuers = config.issuers.iter().filter_map(|issuer| {
            let name = &issuer.rules.issuer;
            feed(name.clone(), name, &issuer.keys, issuer.allow_loopback_http, Metadata::Server)
        });
        let transmitters = config.transmitters.iter().filter_map(|transmitter| {
            let (owner, issuer) = (transmitter.keys_name(), &transmitter.rules.issuer);
            feed(owner, issuer, &transmitter.keys, transmitter.allow_loopback_http, Metadata::Transmitter)
        });
        let signers = config.issuers.iter().filter_map(|issuer| {
            let signer = issuer.status_lists.as_ref()?.signer.as_ref()?;
            let of = Metadata::Server;
            feed(signer.name.clone(), &signer.issuer, &signer.keys, issuer.allow_loopback_http, of)
        });
        let all = issuers.chain(transmitters).chain(signers).collect();
        Ok(Self { all, client, ca, rules: config.jwks.clone(), untried })
    }

    /// Through which keys are asked for.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted(self.all.iter().map(|feed| (feed.owner.clone(), Arc::clone(&feed.wanted))).collect())
    }

    /// What fetches.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The CAs that are trusted when fetching, beside the system's; PEM.
    #[must_use]
    pub fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// How many issuers have not been tried once yet.
    #[must_use]
    pub fn untried(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.untried)
    }

    /// Keys that an earlier run left on disk and that are not too old.
    #[must_use]
    pub fn remembered(&mut self) -> Vec<(String, Arc<Keyring>)> {
        let Some(directory) = self.rules.cache_directory.clone() else { return Vec::new() };
        let max_age = Duration::from_secs(self.rules.max_age_seconds);
        let recall = |feed: &mut Feed| {
            let (ring, age) = recall(&directory, &feed.owner, max_age)?;
            feed.remembered_age = Some(age);
            Some((feed.owner.clone(), ring))
        };
        self.all.iter_mut().filter_map(recall).collect()
    }

    /// Fetches for ever.
    pub async fn follow(self, news: mpsc::Sender<News>, metrics: Arc<Metrics>) {
        let Self { all, client, rules, .. } = self;
        let follow = |feed: Feed| {
            let (client, rules, news, metrics) = (client.clone(), rules.clone(), news.clone(), Arc::clone(&metrics));
            async move { feed.follow(&client, &rules, &news, &metrics).await }
        };
        if all.is_empty() {
            std::future::pending::<()>().await;
        }
        join_all(all.into_iter().map(follow)).await;
    }
}

impl Feed {
    async fn follow(&self, client: &Client, rules: &Jwks, news: &mpsc::Sender<News>, metrics: &Metrics) {
        let refresh = Duration::from_secs(rules.refresh_seconds);
        let cooldown = Duration::from_secs(rules.cooldown_seconds);
        let max_age = Duration::from_secs(rules.max_age_seconds);
        let mut untried = Some(&self.untried);
        // Keys from disk go on ageing from when they were fetched.
        let mut lost_at = self.remembered_age.and_then(|age| Instant::now().checked_add(max_age.saturating_sub(age)));
        loop {
            let begun = Instant::now();
            let fetched = self.fetch(client).await;
            metrics.loaded(Loaded::Keys, fetched.is_ok());
            let wait = match fetched {
                Ok((ring, document)) => {
                    let secrets = secrets(&ring);
                    lost_at = Instant::now().checked_add(max_age);
                    if news.send(News::Fetched(self.owner.clone(), ring)).await.is_err() {
                        return;
                    }
                    self.remember(rules.cache_directory.as_deref(), &document, &secrets);
                    refresh
                }
                Err(NoKeys::Withdrawn(why)) => {
                    lost_at = None;
                    tracing::error!(
                        issuer = self.owner,
                        why,
                        "the issuer has withdrawn its keys: what it signs is denied"
                    );
                    self.forget(rules.cache_directory.as_deref());
                    if news.send(News::Lost(self.owner.clone())).await.is_err() {
                        return;
                    }
                    cooldown.min(refresh)
                }
                Err(NoKeys::Unknown(why)) => {
                    self.tell_unknown(&why, lost_at.is_some());
                    cooldown.min(refresh)
                }
            };
            if let Some(untried) = untried.take() {
                untried.fetch_sub(1, Ordering::AcqRel);
            }
            tokio::select! {
                () = self.pause(begun, wait, cooldown) => {}
                () = at(lost_at) => {
                    lost_at = None;
                    tracing::error!(issuer = self.owner, "the last good keys are too old");
                    if news.send(News::Lost(self.owner.clone())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn tell_unknown(&self, why: &str, some_are_left: bool) {
        let issuer = &self.owner;
        if some_are_left {
            tracing::warn!(issuer, why, "keys could not be fetched; the last good ones stay");
        } else {
            tracing::warn!(issuer, why, "keys could not be fetched and there are none: what it signs is denied");
        }
    }

    /// Until the next fetch is due, or is asked for and the cooldown since the last one is over.
    async fn pause(&self, begun: Instant, wait: Duration, cooldown: Duration) {
        tokio::select! {
            () = sleep(wait) => {}
            () = self.wanted.notified() => at(begun.checked_add(cooldown)).await,
        }
    }

    async fn fetch(&self, client: &Client) -> Result<(Arc<Keyring>, Vec<u8>), NoKeys> {
        let url = match (&self.url, self.metadata) {
            (Some(url), _) => url.clone(),
            (None, Some(of)) => {
                let found = discovery::discover(client, (of, &self.issuer), self.allow_loopback_http, &["/jwks_uri"]);
                found.await.map_err(NoKeys::Unknown)?
            }
            (None, None) => return Err(NoKeys::Unknown("there is no URL".to_owned())),
        };
        let document = fetch::document(client, url).await.map_err(NoKeys::Unknown)?;
        match Keyring::parse(&document) {
            Ok(ring) => Ok((Arc::new(ring), document)),
            Err(refused @ KeysRefused::NoneUsable(_)) => Err(NoKeys::Withdrawn(refused.to_string())),
            Err(refused) => Err(NoKeys::Unknown(material::refusal(&document, &refused).what)),
        }
    }

    /// What was withdrawn must not come back with the next start.
    fn forget(&self, directory: Option<&Path>) {
        let Some(path) = directory.map(|directory| cache_path(directory, &self.owner)) else { return };
        if path.exists()
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::error!(issuer = self.owner, %error, "withdrawn keys stay on disk");
        }
    }

    /// A disk that is full or gone costs nothing now: the keys are served from memory.
    fn remember(&self, directory: Option<&Path>, document: &[u8], secrets: &[usize]) {
        let Some(directory) = directory else { return };
        let Some(keys) = without(document, secrets) else { return };
        let entry = serde_json::json!({ "issuer": self.owner, "fetched_at": clock::now(), "jwks": keys });
        let path = cache_path(directory, &self.owner);
        let partial = path.with_extension("partial");
        let written = std::fs::write(&partial, entry.to_string()).and_then(|()| std::fs::rename(&partial, &path));
        if let Err(error) = written {
            tracing::warn!(issuer = self.owner, %error, "the last good keys could not be written to disk");
        }
    }
}

/// The keys of a set that hold a secret of the issuer's, by index.
fn secrets(ring: &Keyring) -> Vec<usize> {
    let secret = |remark: &&KeyRemark| matches!(remark.kind, RemarkKind::Private | RemarkKind::Symmetric);
    ring.remarks().iter().filter(secret).map(|remark| remark.index).collect()
}

/// A key set without some of its keys: an issuer's secret that was exposed by mistake is not exposed once more, on our disk.
fn without(document: &[u8], indexes: &[usize]) -> Option<Value> {
    let mut set: Value = serde_json::from_slice(document).ok()?;
    let keys = set.get_mut("keys")?.as_array_mut()?;
    let mut index = 0_usize;
    keys.retain(|_| {
        let kept = !indexes.contains(&index);
        index = index.saturating_add(1);
        kept
    });
    Some(set)
}

/// For ever, without an instant.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The keys on disk and how old they are.
fn recall(directory: &Path, issuer: &str, max_age: Duration) -> Option<(Arc<Keyring>, Duration)> {
    let entry: Value = serde_json::from_slice(&std::fs::read(cache_path(directory, issuer)).ok()?).ok()?;
    let same = entry.get("issuer").and_then(Value::as_str) == Some(issuer);
    let age = clock::now().checked_sub(entry.get("fetched_at").and_then(Value::as_i64)?)?;
    let age = Duration::from_secs(u64::try_from(age).ok()?);
    let ring = Keyring::parse(entry.get("jwks")?.to_string().as_bytes()).ok()?;
    (same && age <= max_age).then(|| (Arc::new(ring), age))
}

fn cache_path(directory: &Path, issuer: &str) -> PathBuf {
    let name = crate::decision::jose::base64url_of(digest(&SHA256, issuer.as_bytes()).as_ref());
    directory.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests;
