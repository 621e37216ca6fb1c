//! Keeps the snapshot: reads the files that config names, builds from them what decisions read, and looks again when they change.
//!
//! The start is strict: one bad file and nothing is served. Afterwards a bad file changes nothing but a log line and a metric; the
//! last good one stays. There is one keeper, so nobody else publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use tokio::sync::{Notify, mpsc};

use crate::bundle::{self, Files, Surroundings};
use crate::config::{Config, KeySource, Profile};
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::certificate::{CertificateSource, TrustBundle};
use crate::decision::snapshot::{Bundle, Snapshot};
use crate::decision::token::{Issuer, IssuerRules, Issuers, Keyring, KeysRefused};
use crate::edge::clock;
use crate::edge::jwks::{Feeds, KeyNews};
use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};

/// A JWK Set of a file, at most: 128 RSA-8192 keys with certificates stay below it.
const KEYS_BYTES: u64 = 1024 * 1024;
/// Other files that config names.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Builds snapshots and publishes them.
pub struct Keeper {
    config: Arc<Config>,
    trust: Option<Arc<TrustBundle>>,
    nonces: Arc<NonceKeys>,
    bundle: Arc<Bundle>,
    /// Of the bundle's files as they were last looked at, good or bad.
    bundle_seen: Option<Vec<u8>>,
    keys: BTreeMap<String, Arc<Keyring>>,
    keys_seen: BTreeMap<String, Vec<u8>>,
    feeds: Option<Feeds>,
}

impl Keeper {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Every problem of every file, with the warnings among them.
    pub fn start(config: Arc<Config>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |result: Result<_, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let trust = match &config.certificate.trust_bundle {
            None => None,
            Some(path) => keep(trust_bundle(path)),
        };
        let mut keys = BTreeMap::new();
        let mut keys_seen = BTreeMap::new();
        for issuer in &config.issuers {
            if let KeySource::File(path) = &issuer.keys {
                match read_keys(path) {
                    Ok((ring, hash)) => {
                        keys.insert(issuer.rules.issuer.clone(), ring);
                        keys_seen.insert(issuer.rules.issuer.clone(), hash);
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        let nonces = nonce_keys(&config.proofs.nonce_key_files).map_err(|problem| problems.push(problem)).ok();
        let feeds = feeds(&config).map_err(|problem| problems.push(problem)).ok();
        keys.extend(feeds.iter().flat_map(Feeds::remembered));
        let files = read_bundle(&config.bundle.directory).map_err(|found| problems.extend(found)).ok();
        let loaded = files.map(|files| (load_bundle(&config, &files), seen(&files)));
        let (Some((loaded, bundle_seen)), Some(nonces)) = (loaded, nonces) else { return Err(problems) };
        match loaded {
            Ok((bundle, warnings)) if problems.is_empty() => {
                let bundle_seen = Some(bundle_seen);
                Ok((Self { config, trust, nonces, bundle, bundle_seen, keys, keys_seen, feeds }, warnings))
            }
            Ok((_, warnings)) => Err(problems.into_iter().chain(warnings).collect()),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }

    /// What decisions may read now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let issuer = |issuer: &crate::config::Issuer| Issuer {
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
            bundle: Some(Arc::clone(&self.bundle)),
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
        let bundle = self.look_at_bundle(metrics);
        let keys = self.look_at_keys(metrics);
        bundle || keys
    }

    fn look_at_bundle(&mut self, metrics: &Metrics) -> bool {
        let files = match read_bundle(&self.config.bundle.directory) {
            Ok(files) => files,
            Err(problems) => {
                // Told once, until it can be read again.
                if self.bundle_seen.take().is_some() {
                    refused("bundle", metrics, Loaded::Bundle, &problems);
                }
                return false;
            }
        };
        let seen = seen(&files);
        if self.bundle_seen.as_ref() == Some(&seen) {
            return false;
        }
        self.bundle_seen = Some(seen);
        match load_bundle(&self.config, &files) {
            Ok((bundle, warnings)) => {
                told(&warnings);
                tracing::info!(revision = bundle.revision, "a new bundle is served");
                metrics.loaded(Loaded::Bundle, true);
                self.bundle = bundle;
                true
            }
            Err(problems) => {
                refused("bundle", metrics, Loaded::Bundle, &problems);
                false
            }
        }
    }

    fn look_at_keys(&mut self, metrics: &Metrics) -> bool {
        let mut changed = false;
        for issuer in &self.config.issuers {
            let KeySource::File(path) = &issuer.keys else { continue };
            let name = &issuer.rules.issuer;
            let bytes = match read(path, KEYS_BYTES) {
                Ok(bytes) => bytes,
                Err(problem) => {
                    if self.keys_seen.remove(name).is_some() {
                        refused("keys", metrics, Loaded::Keys, &[problem]);
                    }
                    continue;
                }
            };
            let hash = hash(&bytes).as_ref().to_vec();
            if self.keys_seen.insert(name.clone(), hash.clone()) == Some(hash) {
                continue;
            }
            match keyring(path, &bytes) {
                Ok(ring) => {
                    tracing::info!(issuer = name, keys = ring.len(), "new keys are served");
                    metrics.loaded(Loaded::Keys, true);
                    self.keys.insert(name.clone(), ring);
                    changed = true;
                }
                Err(problem) => refused("keys", metrics, Loaded::Keys, &[problem]),
            }
        }
        changed
    }
}

fn refused(what: &str, metrics: &Metrics, loaded: Loaded, problems: &[Problem]) {
    metrics.loaded(loaded, false);
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        let place = format!("{}:{}:{}", problem.place.file, problem.place.line, problem.place.column);
        tracing::error!(
            what,
            place,
            problem = problem.what,
            remedy = problem.remedy,
            "refused; the last good one stays"
        );
    }
}

fn told(warnings: &[Problem]) {
    for warning in warnings {
        let place = format!("{}:{}:{}", warning.place.file, warning.place.line, warning.place.column);
        tracing::warn!(place, problem = warning.what, remedy = warning.remedy, "warning");
    }
}

type LoadedBundle = Result<(Arc<Bundle>, Vec<Problem>), Vec<Problem>>;

fn load_bundle(config: &Config, files: &Files) -> LoadedBundle {
    let issuers: Vec<IssuerRules> = config.issuers.iter().map(|issuer| issuer.rules.clone()).collect();
    let surroundings = Surroundings {
        issuers: &issuers,
        fapi2: config.profile == Profile::Fapi2,
        certificates: config.certificate.rules.source != CertificateSource::None,
        now: clock::now(),
    };
    let directory = &config.bundle.directory;
    match bundle::load(files, &surroundings) {
        Ok((bundle, warnings)) => Ok((Arc::new(bundle), in_directory(directory, warnings))),
        Err(problems) => Err(in_directory(directory, problems)),
    }
}

/// A problem with a file as a whole.
fn whole(path: &Path, what: String, remedy: &str) -> Problem {
    Problem::at(&path.display().to_string(), "", 1, 1, what, remedy)
}

fn hash(bytes: &[u8]) -> Digest {
    digest(&SHA256, bytes)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |error: std::io::Error| {
        whole(path, format!("this file cannot be read: {error}"), "name a file that exists and that keybound may read")
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > limit {
        return Err(whole(path, format!("this file has {size} bytes"), &format!("at most {limit} are read")));
    }
    std::fs::read(path).map_err(unreadable)
}

fn read_keys(path: &Path) -> Result<(Arc<Keyring>, Vec<u8>), Problem> {
    let bytes = read(path, KEYS_BYTES)?;
    Ok((keyring(path, &bytes)?, hash(&bytes).as_ref().to_vec()))
}

fn keyring(path: &Path, bytes: &[u8]) -> Result<Arc<Keyring>, Problem> {
    Keyring::parse(bytes).map(Arc::new).map_err(|denial| {
        let (what, remedy) = match denial {
            KeysRefused::NotAKeySet => {
                ("this is no JWK Set", "write {\"keys\": [...]} without duplicate members (RFC 7517 §5)")
            }
            KeysRefused::TooMany => ("this JWK Set has too many keys", "keep at most 128"),
            KeysRefused::NoneUsable => (
                "no key of this JWK Set can verify a token",
                "give public signature keys: EC P-256 or P-384, RSA of 2048 bits or more, Ed25519",
            ),
        };
        whole(path, what.to_owned(), remedy)
    })
}

fn feeds(config: &Config) -> Result<Feeds, Problem> {
    let path = config.jwks.ca_file.as_deref();
    let ca = path.map(|path| read(path, FILE_BYTES)).transpose()?;
    Feeds::new(config, ca.as_deref()).map_err(|error| {
        let path = path.unwrap_or(Path::new("jwks.ca_file"));
        whole(path, error.to_string(), "give PEM certificates of CAs")
    })
}

fn trust_bundle(path: &Path) -> Result<Arc<TrustBundle>, Problem> {
    let bytes = read(path, FILE_BYTES)?;
    let bundle = TrustBundle::from_pem(&bytes);
    bundle
        .map(Arc::new)
        .map_err(|error| whole(path, error.to_string(), "give PEM certificates of the CAs, intermediates too"))
}

fn nonce_keys(paths: &[PathBuf]) -> Result<Arc<NonceKeys>, Problem> {
    let mut keys = Vec::new();
    for path in paths {
        let key = read(path, 4096)?;
        if key.len() < 32 {
            let what = format!("this nonce key has {} bytes", key.len());
            return Err(whole(path, what, "give 32 to 4096 random bytes"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        let mut generated = vec![0; 32];
        if aws_lc_rs::rand::fill(&mut generated).is_err() {
            return Err(whole(Path::new("nonce key"), "no random bytes could be had".to_owned(), "try again"));
        }
        keys.push(generated);
    }
    let others = keys.split_off(1);
    Ok(Arc::new(NonceKeys::new(keys.first().map(Vec::as_slice).unwrap_or_default(), &others)))
}

/// Reads the bundle's directory: symlinks are resolved once, and what was read is read again, so that a swap in between is noticed.
fn read_bundle(directory: &Path) -> Result<Files, Vec<Problem>> {
    let files = read_twice(directory).map_err(|problem| vec![problem])?;
    Files::new(files).map_err(|problems| in_directory(directory, problems))
}

fn read_twice(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let unreadable = |error: std::io::Error| {
        let what = format!("this directory cannot be read: {error}");
        whole(directory, what, "name a directory with schema.cedarschema, *.cedar, apis.yaml and clients.yaml")
    };
    let directory = std::fs::canonicalize(directory).map_err(unreadable)?;
    let once = || -> Result<BTreeMap<String, Vec<u8>>, Problem> {
        let mut files = BTreeMap::new();
        for name in names(&directory).map_err(unreadable)? {
            let bytes = read(&directory.join(&name), FILE_BYTES)?;
            files.insert(name, bytes);
        }
        Ok(files)
    };
    let files = once()?;
    if once()? != files {
        return Err(whole(
            &directory,
            "this directory changed while it was read".to_owned(),
            "swap a symlink to a whole new one",
        ));
    }
    Ok(files)
}

/// The bundle knows its files by name; people find them in the directory that config names.
fn in_directory(directory: &Path, mut problems: Vec<Problem>) -> Vec<Problem> {
    for problem in &mut problems {
        problem.place.file = directory.join(&problem.place.file).display().to_string();
    }
    problems
}

/// The bundle's files; everything else in the directory is somebody else's.
fn names(directory: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(directory)? {
        if let Ok(name) = entry?.file_name().into_string() {
            let wanted = matches!(name.as_str(), "schema.cedarschema" | "apis.yaml" | "clients.yaml")
                || Path::new(&name).extension().is_some_and(|extension| extension == "cedar");
            if wanted && !name.starts_with('.') {
                names.insert(name);
            }
        }
    }
    Ok(names)
}

/// A value that is equal only for equal files.
fn seen(files: &Files) -> Vec<u8> {
    files.revision().into_bytes()
}
