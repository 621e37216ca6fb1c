//! What the events listener is kept supplied with: the keys of transmitters, and what their `Authorization` headers must be.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::told::Taken;
use super::{Keeper, Look, named};
use crate::config::{KeySource, Transmitter};
use crate::decision::security_event;
use crate::edge::files::{self, whole};
use crate::edge::revocations::events::{Transmitters, authorization};

/// The name of the events listener among doors; no check listener can have it.
pub const EVENTS: &str = "(events)";
/// A file with an `Authorization` header, at most: the longest, and what may stand around it.
const AUTHORIZATION_FILE: u64 = 2048;

impl Keeper {
    /// The transmitters with what is known of them, kept up to date.
    #[must_use]
    pub fn transmitters(&self) -> Arc<ArcSwap<Transmitters>> {
        Arc::clone(&self.transmitters)
    }

    pub(super) fn publish_transmitters(&self) {
        let with_keys = |transmitter: &Transmitter| security_event::Transmitter {
            rules: Arc::clone(&transmitter.rules),
            keys: self.keys.get(&transmitter.keys_name()).cloned(),
        };
        let all = self.config.transmitters.iter().map(with_keys).collect();
        let authorizations = self.transmitters.load().authorizations.clone();
        self.transmitters.store(Arc::new(Transmitters { all, authorizations }));
    }

    pub(super) fn look_at_transmitter_keys(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut problems = Vec::new();
        for transmitter in &config.transmitters {
            let KeySource::File(path) = &transmitter.keys else { continue };
            problems.extend(self.look_at_keys_of(&transmitter.keys_name(), path).err().unwrap_or_default());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// A file that cannot be read or holds no header changes nothing: the last good one stays.
    pub(super) fn look_at_authorizations(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut problems = Vec::new();
        for transmitter in &config.transmitters {
            let name = &transmitter.rules.name;
            let Some(path) = &transmitter.authorization_file else { continue };
            let seen = format!("authorization of {name}");
            let content = match files::read(path, AUTHORIZATION_FILE) {
                Ok(content) => content,
                Err(problem) => {
                    problems.extend(self.unreadable(&seen, vec![problem]).err().unwrap_or_default());
                    continue;
                }
            };
            if !self.is_news(&seen, &content) {
                continue;
            }
            match authorization(&content) {
                Ok(hash) => {
                    let Transmitters { all, mut authorizations } = self.transmitters.load().as_ref().clone();
                    authorizations.insert(name.clone(), hash);
                    self.transmitters.store(Arc::new(Transmitters { all, authorizations }));
                    self.taken.push(Taken::Authorization { transmitter: name.clone() });
                }
                Err(remedy) => problems.push(whole(path, "this file holds no header value".to_owned(), remedy)),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(named(&config, problems)) }
    }
}
