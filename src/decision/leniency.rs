//! Observe mode and exceptions: the only place where a denial may soften.
//!
//! Leniency never ends the walk. A relaxed denial is recorded and the walk goes on with weaker evidence; a later denial of a
//! class that is not relaxed stands. An exception waives only a demand of the API for a named client until a date: a
//! constraint that the token carries is always checked.

use crate::decision::client::ClientId;
use crate::decision::denial::{Class, Denial, Softens};

/// How an API softens denials.
#[derive(Debug, Default)]
pub struct Leniency {
    /// Classes whose denials are observed instead of enforced; empty in enforce mode.
    pub relaxed: Vec<Class>,
    /// Named clients with a waived demand.
    pub exceptions: Vec<Exception>,
}

/// A demand waived for one client, until a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Who.
    pub client: ClientId,
    /// What is waived.
    pub waives: Waiver,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// When it ends by itself, Unix seconds.
    pub ends_at: i64,
}

/// A demand that an exception may waive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiver {
    /// That the token be bound to a key.
    Proof,
    /// The API's ceiling on the token's lifetime.
    TokenLifetime,
}

impl Waiver {
    /// The word used in the inventory and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::TokenLifetime => "token_lifetime",
        }
    }
}

impl Leniency {
    /// Whether the API is in observe mode.
    #[must_use]
    pub fn observes(&self) -> bool {
        !self.relaxed.is_empty()
    }

    /// Whether this denial is observed instead of enforced.
    #[must_use]
    pub fn softens(&self, denial: Denial) -> bool {
        let row = denial.row();
        row.softens == Softens::Yes && self.relaxed.contains(&row.class)
    }

    /// Whether a demand is waived for this client now.
    #[must_use]
    pub fn waives(&self, waiver: Waiver, client: &ClientId, now: i64) -> bool {
        self.exceptions
            .iter()
            .any(|exception| exception.waives == waiver && exception.client == *client && now < exception.ends_at)
    }

    /// The first class that may not be left out, if `relaxed` leaves one out: where a class is relaxed after which there is no
    /// principal, every later class has nothing to judge and must be relaxed too.
    #[must_use]
    pub fn gap(&self) -> Option<Class> {
        let principal = [Class::Credential, Class::Token];
        let first = self.relaxed.iter().filter(|class| principal.contains(class)).min()?;
        let later = [Class::Token, Class::Client, Class::Binding, Class::Policy];
        later.into_iter().find(|class| class > first && !self.relaxed.contains(class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str) -> ClientId {
        ClientId { issuer: "https://as.test".into(), id: id.into() }
    }

    #[test]
    fn a_denial_softens_only_when_its_class_is_relaxed_and_it_ever_may() {
        let observe = Leniency { relaxed: vec![Class::Binding, Class::Fault, Class::Request], exceptions: vec![] };
        assert!(observe.softens(Denial::ProofReplayed));
        for hard in [
            Denial::ProofSignatureInvalid,
            Denial::TokenExpired,
            Denial::PolicyForbidden,
            Denial::FaultInternal,
            Denial::RequestAuthority,
        ] {
            assert!(!observe.softens(hard), "{hard:?}");
        }
        assert!(!Leniency::default().softens(Denial::ProofReplayed));
    }

    #[test]
    fn an_exception_is_for_one_client_one_demand_and_ends_by_itself() {
        let exception = Exception {
            client: client("a"),
            waives: Waiver::Proof,
            reason: "r".into(),
            owner: "o".into(),
            ends_at: 100,
        };
        let leniency = Leniency { relaxed: vec![], exceptions: vec![exception] };
        assert!(leniency.waives(Waiver::Proof, &client("a"), 99));
        assert!(!leniency.waives(Waiver::Proof, &client("a"), 100));
        assert!(!leniency.waives(Waiver::Proof, &client("b"), 99));
        assert!(!leniency.waives(Waiver::TokenLifetime, &client("a"), 99));
        let elsewhere = ClientId { issuer: "https://other.test".into(), id: "a".into() };
        assert!(!leniency.waives(Waiver::Proof, &elsewhere, 99), "an id is unique only within its issuer");
    }

    #[test]
    fn where_no_principal_can_exist_every_later_class_must_be_relaxed() {
        let gap = |relaxed: &[Class]| Leniency { relaxed: relaxed.to_vec(), exceptions: vec![] }.gap();
        assert_eq!(gap(&[]), None);
        assert_eq!(gap(&[Class::Binding]), None);
        assert_eq!(gap(&[Class::Policy]), None);
        assert_eq!(gap(&[Class::Client, Class::Policy]), None);
        assert_eq!(gap(&[Class::Token, Class::Client, Class::Binding]), Some(Class::Policy));
        assert_eq!(gap(&[Class::Credential, Class::Client, Class::Binding, Class::Policy]), Some(Class::Token));
        assert_eq!(gap(&[Class::Credential, Class::Token, Class::Client, Class::Binding, Class::Policy]), None);
    }
}
