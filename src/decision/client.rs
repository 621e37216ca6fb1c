//! The registry of clients: (issuer, client id) everywhere, because an id is unique only within its issuer.

use crate::decision::denial::Denial;
use crate::decision::lookup::Lookup;

/// A client, named so that nobody else has the name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    /// The issuer that knows it.
    pub issuer: String,
    /// Its id at that issuer.
    pub id: String,
}

/// What the registry says about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Who answers for it.
    pub owner: String,
    /// What it is: `service`, `agent`, `partner` …
    pub kind: String,
    /// What it is for.
    pub purposes: Vec<String>,
    /// When the registration ends, Unix seconds.
    pub ends_at: Option<i64>,
}

/// Every registered client.
#[derive(Debug, Default)]
pub struct Registry(Lookup<ClientId, Registration>);

impl Registry {
    /// A registry of these clients.
    #[must_use]
    pub fn new(clients: impl IntoIterator<Item = (ClientId, Registration)>) -> Self {
        Self(clients.into_iter().collect())
    }

    /// What is known about a client; `None` where an unregistered one is accepted.
    ///
    /// # Errors
    /// `client_unknown` where the API wants registered clients, `client_expired` everywhere.
    pub fn admit(&self, client: &ClientId, registered_only: bool, now: i64) -> Result<Option<&Registration>, Denial> {
        match self.0.get(client) {
            None if registered_only => Err(Denial::ClientUnknown),
            None => Ok(None),
            Some(registration) if registration.ends_at.is_some_and(|end| now >= end) => Err(Denial::ClientExpired),
            Some(registration) => Ok(Some(registration)),
        }
    }

    /// Every client.
    pub fn iter(&self) -> impl Iterator<Item = (&ClientId, &Registration)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unknown_and_the_expired_are_told_apart() {
        let id = |issuer: &str| ClientId { issuer: issuer.into(), id: "robot".into() };
        let registration =
            Registration { owner: "o".into(), kind: "service".into(), purposes: vec![], ends_at: Some(100) };
        let registry = Registry::new([(id("https://a.test"), registration.clone())]);
        assert_eq!(registry.admit(&id("https://a.test"), true, 99), Ok(Some(&registration)));
        assert_eq!(registry.admit(&id("https://a.test"), false, 100), Err(Denial::ClientExpired));
        assert_eq!(registry.admit(&id("https://b.test"), true, 99), Err(Denial::ClientUnknown));
        assert_eq!(registry.admit(&id("https://b.test"), false, 99), Ok(None));
    }
}
