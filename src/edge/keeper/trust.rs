//! What client certificates must lead to, and what the CAs there have revoked.
//!
//! A list counts only while a CA of the trust bundle has signed it, so all are verified again when the bundle changes. A document that
//! is refused changes nothing; nor does one without a list that the one before it from the same place held, or with an older one:
//! whoever can answer for a URL could make a revoked certificate good with it.

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

const REMEDY: &str =
    "give lists in PEM or DER, all that were there before, each signed by a CA of `certificate.trust_bundle`";

/// The trust bundle and the lists.
#[derive(Default)]
pub(super) struct Trust {
    bundle: Option<Arc<TrustBundle>>,
    /// By the place that they come from.
    lists: BTreeMap<String, Vec<Crl>>,
    served: Option<Arc<TrustBundle>>,
}

impl Trust {
    /// What certificates are verified against.
    pub fn served(&self) -> Option<Arc<TrustBundle>> {
        self.served.clone()
    }

    /// From now on with this bundle. Lists that it does not vouch for are given up.
    fn take_bundle(&mut self, bundle: Arc<TrustBundle>, crls: Option<&Crls>) -> Result<(), String> {
        for lists in self.lists.values_mut() {
            lists.retain(|list| bundle.vouches_for(list));
        }
        self.bundle = Some(bundle);
        self.serve(crls)
    }

    /// From now on with what this place holds. Says what is in it.
    fn take_list(&mut self, place: &str, document: &[u8], crls: Option<&Crls>) -> Result<Vec<Crl>, String> {
        let bundle = self.bundle.as_ref().ok_or("there is no trust bundle to verify it with")?;
        let lists = bundle.read_crls(document).map_err(|error| error.to_string())?;
        let before = self.lists.get(place).map(Vec::as_slice).unwrap_or_default();
        if !before.iter().all(|before| lists.iter().any(|list| list.may_follow(before))) {
            return Err("a list that is served is missing here, or is older than it".to_owned());
        }
        self.lists.insert(place.to_owned(), lists.clone());
        self.serve(crls)?;
        Ok(lists)
    }

    fn serve(&mut self, crls: Option<&Crls>) -> Result<(), String> {
        let Some(bundle) = &self.bundle else { return Ok(()) };
        let Some(crls) = crls else {
            self.served = Some(Arc::clone(bundle));
            return Ok(());
        };
        let lists: Vec<_> = self.lists.values().flatten().cloned().collect();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
        KeyIdMethod, KeyPair, KeyUsagePurpose, date_time_ymd,
    };

    use super::*;
    use crate::decision::certificate::CrlRules;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn list(issuer: &Authority, day: u8) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, day),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: u64::from(day).into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(issuer).unwrap().pem().unwrap()
    }

    fn bundle(authorities: &[&Authority]) -> Arc<TrustBundle> {
        let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
        Arc::new(TrustBundle::from_pem(pem.as_bytes()).unwrap())
    }

    #[test]
    fn what_a_place_told_of_it_goes_on_to_tell_of_while_its_ca_is_trusted() {
        let (one, two) = (authority("one"), authority("two"));
        let rules = CrlRules { accept_expired: false, accept_uncovered: true, leaf_alone: false };
        let crls = Crls { files: Vec::new(), urls: Vec::new(), refresh_seconds: 300, rules };
        let mut trust = Trust::default();
        trust.take_bundle(bundle(&[&one, &two]), Some(&crls)).unwrap();
        let taken = |trust: &mut Trust, text: &str| trust.take_list("here", text.as_bytes(), Some(&crls)).is_ok();
        let both = |day| format!("{}{}", list(&one, day), list(&two, day));
        assert!(taken(&mut trust, &both(2)) && taken(&mut trust, &both(3)));
        for fewer in [list(&one, 4), list(&two, 4), both(2), format!("{}{}", list(&one, 4), list(&two, 2))] {
            assert!(!taken(&mut trust, &fewer));
        }
        // The other one's list stays, though the document as a whole would be refused now.
        trust.take_bundle(bundle(&[&one]), Some(&crls)).unwrap();
        assert_eq!(trust.lists.get("here").map(Vec::len), Some(1));
        assert!(taken(&mut trust, &list(&one, 4)));
    }
}
