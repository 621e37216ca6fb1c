//! What the last bundle that was taken came to, policy by policy: a text that is the same, byte by byte, is not parsed again, and under
//! the same schema not validated again. Most of the time that a large bundle takes is Cedar's, and most of its policies stay.
//!
//! That is sound because Cedar parses and validates each policy alone, by its text and the schema. Nothing else is remembered: ids,
//! annotations, names of clients and APIs, reach and all warnings are looked at each time. Only a bundle that is taken whole is
//! remembered, so no policy is in here that Cedar refused; another schema finds nothing here.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::Policy;

use super::written::{Condition, WrittenPolicy};
use crate::decision::token::ClaimSpec;

/// The policies of one bundle, by their texts. The default remembers nothing.
#[derive(Clone, Default)]
pub struct Remembered {
    /// The text of the schema that all of them are valid under.
    schema: String,
    claims: Arc<[ClaimSpec]>,
    policies: HashMap<String, Parsed>,
}

/// What Cedar makes of a policy's text.
#[derive(Clone)]
pub(super) struct Parsed {
    pub policy: Policy,
    /// `None` if Cedar cannot say them as JSON: nothing is known of the policy then.
    pub conditions: Arc<Option<Vec<Condition>>>,
}

impl Remembered {
    /// Of a bundle that is taken.
    pub(super) fn new<'w>(
        schema: &str,
        claims: &Arc<[ClaimSpec]>,
        policies: impl Iterator<Item = &'w WrittenPolicy<'w>>,
    ) -> Self {
        let one = |written: &WrittenPolicy<'_>| (written.text.to_owned(), written.parsed.clone());
        Self { schema: schema.to_owned(), claims: Arc::clone(claims), policies: policies.map(one).collect() }
    }

    /// Itself, if its policies are valid under this schema.
    pub(in crate::bundle) fn under(&self, schema: Option<&str>) -> Option<&Self> {
        schema.is_some_and(|schema| schema == self.schema).then_some(self)
    }

    pub(super) fn find(&self, text: &str) -> Option<Parsed> {
        self.policies.get(text).cloned()
    }

    /// The claims that the schema declares: what was made by them stays good.
    pub(in crate::bundle) fn claims(&self) -> &Arc<[ClaimSpec]> {
        &self.claims
    }

    /// How many policies there are, and how many of them are what `other` has, not made anew.
    #[cfg(test)]
    pub(in crate::bundle) fn shared_with(&self, other: &Self) -> (usize, usize) {
        let same = |(text, one): &(&String, &Parsed)| {
            other.policies.get(*text).is_some_and(|two| Arc::ptr_eq(&one.conditions, &two.conditions))
        };
        (self.policies.len(), self.policies.iter().filter(same).count())
    }
}
