//! What replicas that tell each other of revocations are kept supplied with: the keys of the fleet, and where it is told when they were
//! heard of last.

use std::path::PathBuf;
use std::sync::Arc;

use super::told::Taken;
use super::{Keeper, Look, joined};
use crate::config::{Config, OnStale};
use crate::edge::files::{self, whole};
use crate::edge::material::NONCE_KEY_BYTES;
use crate::edge::revocations::fleet::mac::{FleetKeys, Keys};
use crate::edge::revocations::list::{RevocationList, Source};
use crate::problem::Problem;

/// What the fleet's own room is handed.
#[derive(Clone)]
pub struct FleetSupplies {
    /// The keys, which change with their files.
    pub keys: Keys,
    /// How long what is known of the others is good.
    pub heard: Arc<Source>,
}

impl Default for FleetSupplies {
    fn default() -> Self {
        Self { keys: Arc::default(), heard: Source::silent() }
    }
}

impl FleetSupplies {
    /// The list, which depends on hearing of the fleet or is told of it, as the operator wants.
    pub(super) fn list(&self, config: &Config) -> RevocationList {
        let source = || [Arc::clone(&self.heard)];
        match config.revocations.shared.as_ref().map(|shared| shared.on_stale) {
            None => RevocationList::new([]),
            Some(OnStale::Deny) => RevocationList::new(source()),
            Some(OnStale::Serve) => RevocationList::new([]).telling_of(source()),
        }
    }
}

impl Keeper {
    /// What replicas share revocations with.
    #[must_use]
    pub fn fleet(&self) -> FleetSupplies {
        self.fleet.clone()
    }

    /// A file that cannot be read or holds no key changes nothing: the last good keys stay, all of them.
    pub(super) fn look_at_fleet_keys(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let Some(shared) = &config.revocations.shared else { return Ok(()) };
        let read = |path: &PathBuf| files::read(path, *NONCE_KEY_BYTES.end());
        let keys: Vec<_> = match shared.key_files.iter().map(read).collect::<Result<_, Problem>>() {
            Ok(keys) => keys,
            Err(problem) => return self.unreadable("fleet keys", vec![problem]),
        };
        if !self.is_news("fleet keys", &joined(keys.iter().map(|key| Some(key.as_slice())))) {
            return Ok(());
        }
        for (path, key) in shared.key_files.iter().zip(&keys) {
            if !u64::try_from(key.len()).is_ok_and(|length| NONCE_KEY_BYTES.contains(&length)) {
                let what = format!("this key of the fleet has {} bytes", key.len());
                let problem = whole(path, what, "give 32 to 4096 random bytes");
                return Err(super::named(&config, vec![problem]));
            }
        }
        self.fleet.keys.store(Arc::new(FleetKeys::new(&keys)));
        self.taken.push(Taken::FleetKeys { keys: keys.len() });
        Ok(())
    }
}
