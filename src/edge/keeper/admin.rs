//! What the admin listener is kept supplied with: the bearers of its callers, each its own file.

use std::sync::Arc;

use super::told::Taken;
use super::{Keeper, Look, named};
use crate::config::{AdminCaller, AdminCredential};
use crate::edge::files::{self, whole};
use crate::edge::revocations::admin::{Bearers, bearer};

/// The name of the admin listener among doors; no check listener can have it.
pub const ADMIN: &str = "(admin)";
/// A file with a bearer, at most: the longest, and what may stand around it.
const BEARER_FILE: u64 = 1024;

impl Keeper {
    /// The bearers of the admin listener's callers, kept up to date.
    #[must_use]
    pub fn bearers(&self) -> Bearers {
        Arc::clone(&self.bearers)
    }

    /// A file that cannot be read or holds no bearer changes nothing: its caller's last good one stays.
    pub(super) fn look_at_bearers(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut problems = Vec::new();
        for AdminCaller { name, credential, .. } in &config.admin {
            let AdminCredential::Bearer(path) = credential else { continue };
            let seen = format!("bearer of {name}");
            let content = match files::read(path, BEARER_FILE) {
                Ok(content) => content,
                Err(problem) => {
                    problems.extend(self.unreadable(&seen, vec![problem]).err().unwrap_or_default());
                    continue;
                }
            };
            if !self.is_news(&seen, &content) {
                continue;
            }
            match bearer(&content) {
                Ok(hash) => {
                    let mut bearers = self.bearers.load().as_ref().clone();
                    bearers.insert(name.clone(), hash);
                    self.bearers.store(Arc::new(bearers));
                    self.taken.push(Taken::Bearer { caller: name.clone() });
                }
                Err(remedy) => problems.push(whole(path, "this file holds no bearer".to_owned(), remedy)),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(named(&config, problems)) }
    }
}
