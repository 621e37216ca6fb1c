//! Keeps the snapshot: reads the files that config names, builds from them what decisions read, and looks again when they change.
//!
//! The start is strict: one bad file and nothing is served. Afterwards a bad file changes nothing but a log line and a metric; the
//! last good one stays. There is one keeper, so nobody else publishes.

mod admin;
mod bundles;
mod doors;
mod fleet;
mod told;
mod transmitters;
mod trust;

pub use admin::ADMIN;
pub use fleet::FleetSupplies;
pub use told::tell_warning;
pub use transmitters::EVENTS;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tokio::time::MissedTickBehavior;

use crate::config::{self, Config, KeySource};
use crate::decision::binding::nonce::NonceKeys;
use crate::decision::snapshot::{Bundle, Snapshot};
use crate::decision::token::{Issuer, Issuers, Keyring};
use crate::edge::door::Door;
use crate::edge::files::{self, Seen};
use crate::edge::jwks::{Feeds, News};
use crate::edge::known::{self, Leaves, Tokens};
use crate::edge::material;
use crate::edge::redis::Dialer;
use crate::edge::revocations::admin::Bearers;
use crate::edge::revocations::events::Transmitters;
use crate::edge::revocations::list::RevocationList;
use crate::edge::status_lists::Shelf;
use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};
use bundles::{Bundles, Looked, Reader};
use told::{Looks, Taken, tell_refused};
use trust::Trust;

/// Builds snapshots and publishes them.
pub struct Keeper {
    config: Arc<Config>,
    revocations: Arc<RevocationList>,
    trust: Trust,
    nonces: Arc<NonceKeys>,
    bundle: Option<Arc<Bundle>>,
    keys: BTreeMap<String, Arc<Keyring>>,
    known: (Arc<Tokens>, Arc<Leaves>),
    status_lists: Arc<Shelf>,
    seen: BTreeMap<String, Seen>,
    /// The TLS of the listeners that have it, by their names.
    doors: BTreeMap<String, Arc<Door>>,
    bearers: Bearers,
    transmitters: Arc<ArcSwap<Transmitters>>,
    fleet: FleetSupplies,
    taken: Vec<Taken>,
    warnings: Vec<Problem>,
    feeds: Option<Feeds>,
    /// Until they are read on their own thread.
    bundles: Option<Bundles>,
}

/// What a look at one kind of file came to: what was refused, and why. What was taken is kept beside it: one issuer's bad file must
/// not hold up another one's new keys.
type Look = Result<(), Vec<Problem>>;

impl Keeper {
    /// Reads everything for the first time.
    ///
    /// # Errors
    /// Every problem of every file, with the warnings among them.
    pub fn start(config: Arc<Config>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let one = |problem| vec![problem];
        let mut feeds = Feeds::open(&config).map_err(one)?;
        let fleet = FleetSupplies::default();
        let mut keeper = Self {
            keys: feeds.remembered().into_iter().collect(),
            known: known::memories(config.limits.cache_mebibytes),
            status_lists: Arc::new(Shelf::new(&config)),
            revocations: Arc::new(fleet.list(&config)),
            trust: Trust::default(),
            nonces: material::nonce_keys(&[]).map_err(one)?,
            bundle: None,
            seen: BTreeMap::new(),
            doors: BTreeMap::new(),
            bearers: Bearers::default(),
            transmitters: Arc::default(),
            fleet,
            taken: Vec::new(),
            warnings: material::cache_warning(&config).into_iter().collect(),
            feeds: Some(feeds),
            bundles: None,
            config: Arc::clone(&config),
        };
        let mut bundles = Bundles::new(config);
        let redis = keeper.config.redis.clone().map(|redis| Dialer::new(redis).check_files());
        let redis = redis.and_then(Result::err).map(|problem| named(&keeper.config, vec![problem]));
        let mut refused: Vec<_> = KINDS.iter().filter_map(|(_, _, look)| look(&mut keeper).err()).collect();
        match bundles.look() {
            Some(Ok((bundle, warnings))) => {
                keeper.bundle = Some(bundle);
                keeper.warnings.extend(warnings);
            }
            looked => refused.extend(looked.and_then(Result::err)),
        }
        refused.extend(redis);
        keeper.bundles = Some(bundles);
        let mut problems: Vec<_> = material::journal_problem(&keeper.config).into_iter().collect();
        for problem in refused.into_iter().flatten() {
            // A file that is named twice is missing once.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        keeper.taken.clear();
        keeper.publish_transmitters();
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
            rules: Arc::clone(&issuer.rules),
            keys: match issuer.keys {
                KeySource::Nowhere => Some(Arc::new(Keyring::without_keys())),
                KeySource::File(_) | KeySource::Url(_) | KeySource::Discovery => {
                    self.keys.get(&issuer.rules.issuer).cloned()
                }
            },
            signer_keys: issuer.status_signer().and_then(|(name, _)| self.keys.get(name).cloned()),
        };
        Snapshot {
            issuers: Issuers::new(self.config.issuers.iter().map(issuer)),
            tokens: Arc::<Tokens>::clone(&self.known.0),
            leaves: Arc::<Leaves>::clone(&self.known.1),
            status_lists: Arc::<Shelf>::clone(&self.status_lists),
            revocations: Arc::<RevocationList>::clone(&self.revocations),
            certificates: Arc::new(self.config.certificate.rules.clone()),
            trust: self.trust.served(),
            proofs: Arc::new(self.config.proofs.rules.clone()),
            nonces: Arc::clone(&self.nonces),
            metadata: self.config.metadata.enabled,
            bundle: self.bundle.clone(),
        }
    }

    /// The revision of the bundle that is served.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.bundle.as_deref().map(|bundle| bundle.revision.as_str())
    }

    /// The list of what is revoked.
    #[must_use]
    pub fn revocations(&self) -> Arc<RevocationList> {
        Arc::clone(&self.revocations)
    }

    /// The status lists that are kept.
    #[must_use]
    pub fn status_lists(&self) -> Arc<Shelf> {
        Arc::clone(&self.status_lists)
    }

    /// The TLS of a check listener, by its name, or of [`ADMIN`]; none if it has none.
    #[must_use]
    pub fn door(&self, listener: &str) -> Option<Arc<Door>> {
        self.doors.get(listener).cloned()
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
        metrics: Arc<Metrics>,
        now: Arc<Notify>,
        mut news: mpsc::Receiver<News>,
    ) {
        let mut reader = match self.bundles.take().map(Reader::start) {
            Some(Ok(reader)) => reader,
            refused => return tracing::error!(error = ?refused.and_then(Result::err), "no thread reads bundles"),
        };
        let every = Duration::from_secs(self.config.bundle.poll_seconds);
        let mut poll = tokio::time::interval(every);
        // The first tick comes at once, and everything was read just now.
        poll.reset();
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asked = tokio::select! {
                _ = poll.tick() => false,
                () = now.notified() => true,
                Some(news) = news.recv() => {
                    match news {
                        News::Fetched(issuer, ring) => self.take_fetched(&issuer, &ring),
                        News::Lost(issuer) => drop(self.keys.remove(&issuer)),
                        News::List(place, list) => self.take_list(&place, &list, &metrics),
                    }
                    self.publish_transmitters();
                    published.store(Arc::new(self.snapshot()));
                    continue;
                }
                read = reader.looked() => {
                    let Some((looked, tell)) = read else { return };
                    if let Some(Ok((bundle, _))) = &looked {
                        self.bundle = Some(Arc::clone(bundle));
                        published.store(Arc::new(self.snapshot()));
                    }
                    self.tell_bundle(looked, tell, &metrics);
                    continue;
                }
            };
            // Files may be on a disk that is slow: who shares this thread does not wait for it.
            let looked = tokio::task::spawn_blocking(move || {
                let looks = self.look_again();
                (self, looks)
            });
            let Ok(back) = looked.await else { return };
            let looks;
            (self, looks) = back;
            if looks.iter().any(Looks::has_news) {
                self.publish_transmitters();
                published.store(Arc::new(self.snapshot()));
            }
            // Who reads that something is served finds it served.
            for look in &looks {
                look.tell(&metrics);
            }
            core::mem::take(&mut self.warnings).iter().for_each(tell_warning);
            reader.ask(asked && looks.iter().all(Looks::is_empty));
        }
    }

    /// Keys that were fetched; told of only when they are others than before.
    fn take_fetched(&mut self, issuer: &str, ring: &Arc<Keyring>) {
        // The old ones go on, and what was verified with them stays verified.
        if self.keys.get(issuer).is_some_and(|before| before.as_ref() == ring.as_ref()) {
            return;
        }
        self.keys.insert(issuer.to_owned(), Arc::clone(ring));
        let digest = material::digest_of(ring);
        tracing::info!(what = "keys", issuer, keys = ring.len(), digest, "new keys are served");
        for remark in ring.remarks() {
            tracing::warn!(issuer, problem = %remark, remedy = remark.kind.remedy(), "warning");
        }
    }

    /// Reads what has changed beside the bundle; nobody is told yet.
    fn look_again(&mut self) -> Vec<Looks> {
        let look = |(kind, loaded, look): Kind| {
            let refused = look(self).err();
            Looks { kind, loaded, taken: self.taken.drain(..).collect(), refused }
        };
        KINDS.into_iter().map(look).collect()
    }

    /// What a look at the bundle came to. If it is nothing, and nothing else was found, whoever asked for it is told.
    fn tell_bundle(&self, looked: Looked, tell: bool, metrics: &Metrics) {
        let revision = self.revision();
        match looked {
            Some(Ok((bundle, warnings))) => {
                metrics.loaded(Loaded::Bundle, true);
                Taken::Bundle { revision: bundle.revision.clone() }.tell("bundle");
                warnings.iter().for_each(tell_warning);
            }
            Some(Err(problems)) => {
                metrics.loaded(Loaded::Bundle, false);
                tell_refused("bundle", revision, &problems);
            }
            None if tell => tracing::info!(revision, "looked again: no file has changed since the last look"),
            None => {}
        }
    }

    /// Whether a file, by name, holds something else than when it was last looked at.
    fn is_news(&mut self, name: &str, content: &[u8]) -> bool {
        self.seen.entry(name.to_owned()).or_default().is_news(content)
    }

    /// What could not be read is told once, until it can be read again; at the place that names it.
    fn unreadable(&mut self, name: &str, problems: Vec<Problem>) -> Look {
        if !self.seen.entry(name.to_owned()).or_default().is_lost_news() {
            return Ok(());
        }
        Err(named(&self.config, problems))
    }

    fn look_at_keys(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut problems = Vec::new();
        for issuer in &config.issuers {
            let own = (issuer.rules.issuer.as_str(), &issuer.keys);
            for (owner, keys) in core::iter::once(own).chain(issuer.status_signer()) {
                let KeySource::File(path) = keys else { continue };
                problems.extend(self.look_at_keys_of(owner, path).err().unwrap_or_default());
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn look_at_keys_of(&mut self, issuer: &str, path: &Path) -> Look {
        let bytes = match files::read(path, material::KEYS_BYTES) {
            Ok(bytes) => bytes,
            Err(problem) => return self.unreadable(issuer, vec![problem]),
        };
        if !self.is_news(issuer, &bytes) {
            return Ok(());
        }
        let (ring, warnings) = match material::keyring(path, &bytes) {
            Ok(read) => read,
            // The issuer has withdrawn what it had; who has nothing yet is told so as an error.
            Err(problem) if material::is_withdrawal(&bytes) && self.keys.remove(issuer).is_some() => {
                self.taken.push(Taken::Withdrawn { issuer: issuer.to_owned(), why: problem.what });
                return Ok(());
            }
            Err(problem) => return Err(vec![problem]),
        };
        self.warnings.extend(warnings);
        let digest = material::digest_of(&ring);
        self.taken.push(Taken::Keys { issuer: issuer.to_owned(), keys: ring.len(), digest });
        self.keys.insert(issuer.to_owned(), ring);
        Ok(())
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
        let all = joined(keys.iter().map(|(_, key)| Some(key.as_slice())));
        if keys.is_empty() || !self.is_news("nonce keys", &all) {
            return Ok(());
        }
        self.nonces = material::nonce_keys(&keys).map_err(one)?;
        self.taken.push(Taken::Nonces);
        Ok(())
    }
}

/// Several contents as one, so that no byte of one counts as another's.
fn joined<'f>(files: impl IntoIterator<Item = Option<&'f [u8]>>) -> Vec<u8> {
    let one = |file: Option<&'f [u8]>| {
        [&file.map(<[u8]>::len).unwrap_or_default().to_be_bytes(), file.unwrap_or_default()].concat()
    };
    files.into_iter().flat_map(one).collect()
}

type Kind = (&'static str, Loaded, fn(&mut Keeper) -> Look);

/// Each kind of file beside the bundle: its name, what its loads are counted as, and how it is looked at.
const KINDS: [Kind; 9] = [
    ("keys", Loaded::Keys, Keeper::look_at_keys),
    ("transmitter keys", Loaded::Keys, Keeper::look_at_transmitter_keys),
    ("transmitter authorizations", Loaded::Authorizations, Keeper::look_at_authorizations),
    ("trust bundle", Loaded::Trust, Keeper::look_at_trust),
    ("revocation list", Loaded::Crl, Keeper::look_at_lists),
    ("nonce keys", Loaded::Nonces, Keeper::look_at_nonces),
    ("listener tls", Loaded::Tls, Keeper::look_at_doors),
    ("admin bearers", Loaded::Bearers, Keeper::look_at_bearers),
    ("fleet keys", Loaded::FleetKeys, Keeper::look_at_fleet_keys),
];

/// Problems of files at the places in the operator's file that name them.
fn named(config: &Config, problems: Vec<Problem>) -> Vec<Problem> {
    let named = |problem: Problem| {
        let path = PathBuf::from(&problem.place.file);
        config.where_named(&path, problem)
    };
    problems.into_iter().map(named).collect()
}
