//! The TLS of listeners: opened once, and given new files when these change.

use std::sync::Arc;

use super::told::Taken;
use super::{ADMIN, EVENTS, Keeper, Look, joined};
use crate::config::Tls;
use crate::edge::door::{Door, Manner};
use crate::edge::material;

impl Keeper {
    pub(super) fn look_at_doors(&mut self) -> Look {
        let config = Arc::clone(&self.config);
        let mut problems = Vec::new();
        for listener in &config.listeners.check {
            let Some(tls) = &listener.tls else { continue };
            problems.extend(self.look_at_door(&listener.name, tls, Manner::default()).err().unwrap_or_default());
        }
        if let Some((admin, tls)) = config.listeners.admin.as_ref().and_then(|admin| Some((admin, admin.tls.as_ref()?)))
        {
            let manner = Manner { http1: true, certificate_optional: admin.certificate_optional };
            problems.extend(self.look_at_door(ADMIN, tls, manner).err().unwrap_or_default());
        }
        if let Some(tls) = config.listeners.events.as_ref().and_then(|events| events.tls.as_ref()) {
            let manner = Manner { http1: true, ..Manner::default() };
            problems.extend(self.look_at_door(EVENTS, tls, manner).err().unwrap_or_default());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The files of one listener are one: a chain and the key of another one refuse each other.
    fn look_at_door(&mut self, listener: &str, tls: &Tls, manner: Manner) -> Look {
        let name = format!("listener {listener}");
        let one = |problem| vec![problem];
        let files = match material::door_files(tls) {
            Ok(files) => files,
            Err(problem) => return self.unreadable(&name, one(problem)),
        };
        let all = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
        if !self.is_news(&name, &joined(all.map(|file| file.map(Vec::as_slice)))) {
            return Ok(());
        }
        if let Some(door) = self.doors.get(listener) {
            door.renew(tls, &files).map_err(one)?;
        } else {
            let door = Door::open_as(manner, listener, tls, &files).map_err(one)?;
            self.doors.insert(listener.to_owned(), Arc::new(door));
        }
        self.taken.push(Taken::Door { listener: listener.to_owned() });
        Ok(())
    }
}
