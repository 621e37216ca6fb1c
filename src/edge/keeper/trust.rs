//! What client certificates must lead to, and what the CAs there have revoked.
//!
//! A list counts only while a CA of the trust bundle has signed it, so all are read again when the bundle changes. One that is refused,
//! or is older than the one before it from the same place, changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::told::{Taken, tell_refused};
use super::{Keeper, Look};
use crate::config::Crls;
use crate::decision::certificate::{Crl, TrustBundle};
use crate::edge::files::{self, FILE_BYTES, whole};
use crate::edge::{fetch, material};
use crate::problem::Problem;
use crate::telemetry::metrics::{Loaded, Metrics};

const REMEDY: &str = "give lists in PEM or DER, complete, each signed by a CA of `certificate.trust_bundle`";

/// The trust bundle and the lists.
#[derive(Default)]
pub(super) struct Trust {
    bundle: Option<Arc<TrustBundle>>,
    /// By the place that they come from: as it was read, and what it holds.
    lists: BTreeMap<String, (Vec<u8>, Vec<Crl>)>,
    served: Option<Arc<TrustBundle>>,
}

impl Trust {
    /// What certificates are verified against.
    pub fn served(&self) -> Option<Arc<TrustBundle>> {
        self.served.clone()
    }

    /// From now on with this bundle. Lists that it does not vouch for are given up.
    fn take_bundle(&mut self, bundle: Arc<TrustBundle>, crls: Option<&Crls>) -> Result<(), String> {
        for (document, lists) in self.lists.values_mut() {
            *lists = bundle.read_crls(document).unwrap_or_default();
        }
        self.bundle = Some(bundle);
        self.serve(crls)
    }

    /// From now on with what this place holds. Says what is in it.
    fn take_list(&mut self, place: &str, document: &[u8], crls: Option<&Crls>) -> Result<Vec<Crl>, String> {
        let bundle = self.bundle.as_ref().ok_or("there is no trust bundle to verify it with")?;
        let lists = bundle.read_crls(document).map_err(|error| error.to_string())?;
        let before = self.lists.get(place).map(|(_, lists)| lists.as_slice()).unwrap_or_default();
        if lists.iter().any(|list| before.iter().any(|before| before.supersedes(list))) {
            return Err("this list is older than the one that is served".to_owned());
        }
        self.lists.insert(place.to_owned(), (document.to_vec(), lists.clone()));
        self.serve(crls)?;
        Ok(lists)
    }

    fn serve(&mut self, crls: Option<&Crls>) -> Result<(), String> {
        let Some(bundle) = &self.bundle else { return Ok(()) };
        let Some(crls) = crls else {
            self.served = Some(Arc::clone(bundle));
            return Ok(());
        };
        let lists: Vec<_> = self.lists.values().flat_map(|(_, lists)| lists.clone()).collect();
        let asking = bundle.with_crls(&lists, crls.rules).map_err(|error| error.to_string())?;
        self.served = Some(Arc::new(asking));
        Ok(())
    }
}

impl Keeper {
    pub(super) fn look_at_trust(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let Some(path) = &config.certificate.trust_bundle else { return Ok(()) };
        let one = |problem| vec![problem];
        let bytes = match files::read(path, FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(problem) => return self.unreadable("trust bundle", one(problem)),
        };
        if self.is_news("trust bundle", &bytes) {
            let bundle = material::trust_bundle(path, &bytes).map_err(one)?;
            let taken = self.trust.take_bundle(bundle, config.certificate.crls.as_ref());
            taken.map_err(|why| one(whole(path, why, REMEDY)))?;
            self.taken.push(Taken::Trust);
            // Lists that were refused may be good now.
            self.forget_lists(config.certificate.crls.as_ref());
        }
        Ok(())
    }

    pub(super) fn look_at_lists(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let Some(crls) = &config.certificate.crls else { return Ok(()) };
        let mut problems = Vec::new();
        for path in &crls.files {
            problems.extend(self.look_at_list(path, crls).err().unwrap_or_default());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn forget_lists(&mut self, crls: Option<&Crls>) {
        if let Some(crls) = crls {
            let files = crls.files.iter().map(|path| path.display().to_string());
            for place in files.chain(crls.urls.iter().map(|url| fetch::place(url.clone()))) {
                self.seen.remove(&place);
            }
        }
    }

    fn look_at_list(&mut self, path: &Path, crls: &Crls) -> Look {
        let place = path.display().to_string();
        let most = u64::try_from(fetch::LIST_BYTES).unwrap_or(u64::MAX);
        let bytes = match files::read(path, most) {
            Ok(bytes) => bytes,
            Err(problem) => return self.unreadable(&place, vec![problem]),
        };
        if self.is_news(&place, &bytes) {
            let lists = self.trust.take_list(&place, &bytes, Some(crls));
            let lists = lists.map_err(|why| vec![whole(path, why, REMEDY)])?;
            self.taken.extend(lists.iter().map(|list| taken(&place, list)));
        }
        Ok(())
    }

    /// A list that was fetched.
    pub(super) fn take_list(&mut self, place: &str, document: &[u8], metrics: &Metrics) {
        if !self.is_news(place, document) {
            return;
        }
        let config = Arc::clone(&self.config);
        match self.trust.take_list(place, document, config.certificate.crls.as_ref()) {
            Ok(lists) => {
                metrics.loaded(Loaded::Crl, true);
                for list in &lists {
                    taken(place, list).tell("revocation list");
                }
            }
            Err(why) => {
                metrics.loaded(Loaded::Crl, false);
                tell_refused("revocation list", None, &[Problem::at(place, "", 1, 1, why, REMEDY)]);
            }
        }
    }
}

fn taken(place: &str, list: &Crl) -> Taken {
    Taken::List { place: place.to_owned(), entries: list.entries(), until: list.until() }
}
