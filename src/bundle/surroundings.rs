//! What the bundle's files are checked against: the operator's settings, the time, and each other.

use std::collections::HashMap;

use super::cedar::Action;
use crate::decision::client::{ClientId, Registration};
use crate::decision::policy::Evaluation;
use crate::decision::token::IssuerRules;

/// What the bundle is checked against: the operator's settings, and the time.
pub struct Surroundings<'a> {
    /// The issuers of `keybound.yaml`.
    pub issuers: &'a [IssuerRules],
    /// Those of them that can be asked about their tokens.
    pub asked: &'a [String],
    /// Whether `profile: fapi2` is set: APIs ask for nonces unless they say otherwise.
    pub fapi2: bool,
    /// Whether `certificate.source` names one: without it no token can be bound to a certificate.
    pub certificates: bool,
    /// How policies are evaluated.
    pub evaluation: Evaluation,
    /// Unix seconds.
    pub now: i64,
}

impl Surroundings<'_> {
    pub(super) fn known_issuers(&self) -> String {
        let names: Vec<_> = self.issuers.iter().map(|rules| rules.issuer.as_str()).collect();
        format!("write one of: {}; others are added in keybound.yaml", names.join(", "))
    }
}

/// What the inventory is checked against; a file that cannot be read checks nothing.
pub(super) struct Context<'a> {
    pub surroundings: &'a Surroundings<'a>,
    pub clients: Option<&'a HashMap<ClientId, Registration>>,
    pub actions: Option<&'a [Action]>,
}
