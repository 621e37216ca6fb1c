//! Keeps the snapshot: reads the files that config names, builds from them what decisions read, and looks again when they change.
//!
//! The start is strict: one bad file and nothing is served. Afterwards a bad file changes nothing but a log line and a metric; the
//! last good one stays. There is one keeper, so nobody else publishes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};

use crate::bundle::{self, Files, Surroundings};
use crate::config::{self, Config, KeySource, Profile};
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::certificate::{CertificateSource, TrustBundle};
use crate::decision::snapshot::{Bundle, Snapshot};
use crate::decision::token::{Issuer, IssuerRules, Issuers, Keyring};
use crate::edge::files::{self, FILE_BYTES, Seen};
use crate::edge::jwks::{Feeds, KeyNews};
use crate::edge::{clock, material};
use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};

/// Builds snapshots and publishes them.
pub struct Keeper {
    config: Arc<Config>,
    trust: Option<Arc<TrustBundle>>,
    nonces: Arc<NonceKeys>,
    bundle: Option<Arc<Bundle>>,
    keys: BTreeMap<String, Arc<Keyring>>,
    seen: BTreeMap<String, Seen>,
    warnings: Vec<Problem>,
    half_taken: bool,
    feeds: Option<Feeds>,
}

/// What a look at one kind of file came to: whether something new was taken; or why it was refused.
type Look = Result<bool, Vec<Problem>>;

impl Keeper {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Every problem of every file, with the warnings among them.
    pub fn start(config: Arc<Config>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let one = |problem| vec![problem];
        let mut feeds = material::feeds(&config).map_err(one)?;
        let mut keeper = Self {
            keys: feeds.remembered().into_iter().collect(),
            trust: None,
            nonces: material::nonce_keys(&[]).map_err(one)?,
            bundle: None,
            seen: BTreeMap::new(),
            warnings: Vec::new(),
            half_taken: false,
            feeds: Some(feeds),
            config,
        };
        let looks = KINDS.map(|(_, _, look)| look(&mut keeper));
        let mut problems: Vec<_> = looks.into_iter().filter_map(Result::err).flatten().collect();
        let warnings = core::mem::take(&mut keeper.warnings);
        if problems.is_empty() {
            return Ok((keeper, warnings));
        }
        problems.extend(warnings);
        Err(problems)
    }

    /// What decisions may read now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let issuer = |issuer: &config::Issuer| Issuer {
            rules: Arc::new(issuer.rules.clone()),
            keys: self.keys.get(&issuer.rules.issuer).cloned(),
        };
        Snapshot {
            issuers: Issuers::new(self.config.issuers.iter().map(issuer)),
            certificates: Arc::new(self.config.certificate.rules.clone()),
            trust: self.trust.clone(),
            proofs: Arc::new(self.config.proofs.rules.clone()),
            nonces: Arc::clone(&self.nonces),
            metadata: self.config.metadata.enabled,
            bundle: self.bundle.clone(),
        }
    }

    /// The keys that are fetched; once.
    pub fn take_feeds(&mut self) -> Option<Feeds> {
        self.feeds.take()
    }

    /// Looks at the files on a short poll and whenever `now` is notified, for ever. Content counts, not names or times, so that a
    /// ConfigMap's symlink swap is noticed.
    pub async fn keep(
        mut self,
        published: Arc<ArcSwap<Snapshot>>,
        mut metrics: Arc<Metrics>,
        now: Arc<Notify>,
        mut news: mpsc::Receiver<KeyNews>,
    ) {
        let every = Duration::from_secs(self.config.bundle.poll_seconds);
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = now.notified() => {}
                Some(news) = news.recv() => {
                    match news {
                        KeyNews::Fetched(issuer, ring) => drop(self.keys.insert(issuer, ring)),
                        KeyNews::Lost(issuer) => drop(self.keys.remove(&issuer)),
                    }
                    published.store(Arc::new(self.snapshot()));
                    continue;
                }
            }
            // Parsing a large bundle takes long enough to hold up whoever shares this thread.
            let looked = tokio::task::spawn_blocking(move || {
                let changed = self.look_again(&metrics);
                (self, metrics, changed)
            });
            let Ok(back) = looked.await else { return };
            (self, metrics) = (back.0, back.1);
            if back.2 {
                published.store(Arc::new(self.snapshot()));
            }
        }
    }

    /// Reads what has changed; whether something new was taken.
    fn look_again(&mut self, metrics: &Metrics) -> bool {
        let mut changed = false;
        for (kind, loaded, look) in KINDS {
            match look(self) {
                Ok(taken) => {
                    if taken {
                        tracing::info!(what = kind, revision = self.revision(), "new files are served");
                        metrics.loaded(loaded, true);
                    }
                    changed |= taken;
                }
                Err(problems) => {
                    metrics.loaded(loaded, false);
                    tell_refused(kind, &problems);
                }
            }
        }
        for warning in core::mem::take(&mut self.warnings) {
            let place = place(&warning);
            tracing::warn!(place, problem = warning.what, remedy = warning.remedy, "warning");
        }
        changed | core::mem::take(&mut self.half_taken)
    }

    fn revision(&self) -> Option<&str> {
        self.bundle.as_ref().map(|bundle| bundle.revision.as_str())
    }

    /// Whether a file, by name, holds something else than when it was last looked at.
    fn is_news(&mut self, name: &str, content: &[u8]) -> bool {
        self.seen.entry(name.to_owned()).or_default().is_news(content)
    }

    /// What could not be read is told once, until it can be read again.
    fn unreadable(&mut self, name: &str, problems: Vec<Problem>) -> Look {
        if self.seen.entry(name.to_owned()).or_default().is_lost_news() { Err(problems) } else { Ok(false) }
    }

    fn look_at_bundle(&mut self) -> Look {
        let files = match files::bundle(&self.config.bundle.directory) {
            Ok(files) => files,
            Err(problems) => return self.unreadable("bundle", problems),
        };
        if !self.is_news("bundle", files.revision().as_bytes()) {
            return Ok(false);
        }
        let (bundle, warnings) = load_bundle(&self.config, &files)?;
        self.warnings.extend(warnings);
        self.bundle = Some(Arc::new(bundle));
        Ok(true)
    }

    fn look_at_keys(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut taken = false;
        let mut problems = Vec::new();
        for issuer in &config.issuers {
            let KeySource::File(path) = &issuer.keys else { continue };
            let name = &issuer.rules.issuer;
            match files::read(path, material::KEYS_BYTES) {
                Ok(bytes) if self.is_news(name, &bytes) => match material::keyring(path, &bytes) {
                    Ok(ring) => {
                        self.keys.insert(name.clone(), ring);
                        taken = true;
                    }
                    Err(problem) => problems.push(problem),
                },
                Ok(_) => {}
                Err(problem) => problems.extend(self.unreadable(name, vec![problem]).err().unwrap_or_default()),
            }
        }
        // One issuer's bad file must not hold up another one's new keys.
        self.half_taken |= taken;
        if problems.is_empty() { Ok(taken) } else { Err(problems) }
    }

    fn look_at_trust(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let Some(path) = &config.certificate.trust_bundle else { return Ok(false) };
        let one = |problem| vec![problem];
        let bytes = match files::read(path, FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(problem) => return self.unreadable("trust bundle", one(problem)),
        };
        if !self.is_news("trust bundle", &bytes) {
            return Ok(false);
        }
        self.trust = Some(material::trust_bundle(path, &bytes).map_err(one)?);
        Ok(true)
    }

    fn look_at_nonces(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let paths = &config.proofs.nonce_key_files;
        let one = |problem| vec![problem];
        let read = |path: &PathBuf| Ok((path.clone(), files::read(path, *material::NONCE_KEY_BYTES.end())?));
        let keys: Vec<_> = match paths.iter().map(read).collect::<Result<_, Problem>>() {
            Ok(keys) => keys,
            Err(problem) => return self.unreadable("nonce keys", one(problem)),
        };
        let all: Vec<u8> = keys.iter().flat_map(|(_, key)| [&key.len().to_be_bytes()[..], key].concat()).collect();
        if keys.is_empty() || !self.is_news("nonce keys", &all) {
            return Ok(false);
        }
        self.nonces = material::nonce_keys(&keys).map_err(one)?;
        Ok(true)
    }
}

type Kind = (&'static str, Loaded, fn(&mut Keeper) -> Look);

/// Each kind of file: its name, what its loads are counted as, and how it is looked at.
const KINDS: [Kind; 4] = [
    ("keys", Loaded::Keys, Keeper::look_at_keys),
    ("trust bundle", Loaded::Trust, Keeper::look_at_trust),
    ("nonce keys", Loaded::Nonces, Keeper::look_at_nonces),
    ("bundle", Loaded::Bundle, Keeper::look_at_bundle),
];

fn tell_refused(kind: &str, problems: &[Problem]) {
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        let (place, said, remedy) = (place(problem), &problem.what, &problem.remedy);
        tracing::error!(what = kind, place, problem = said, remedy, "refused; the last good one stays");
    }
}

fn place(problem: &Problem) -> String {
    format!("{}:{}:{}", problem.place.file, problem.place.line, problem.place.column)
}

fn load_bundle(config: &Config, files: &Files) -> Result<(Bundle, Vec<Problem>), Vec<Problem>> {
    let issuers: Vec<IssuerRules> = config.issuers.iter().map(|issuer| issuer.rules.clone()).collect();
    let surroundings = Surroundings {
        issuers: &issuers,
        fapi2: config.profile == Profile::Fapi2,
        certificates: config.certificate.rules.source != CertificateSource::None,
        now: clock::now(),
    };
    let directory = &config.bundle.directory;
    match bundle::load(files, &surroundings) {
        Ok((bundle, warnings)) => Ok((bundle, files::in_directory(directory, warnings))),
        Err(problems) => Err(files::in_directory(directory, problems)),
    }
}
