//! A policy as it is written: what its scope covers, what its conditions are, and where its words stand.

use std::sync::Arc;

use cedar_policy::Policy;
use serde_json::Value;

use super::remembered::Parsed;
use super::scan::Token;

/// A policy and where it is written.
pub(super) struct WrittenPolicy<'f> {
    /// Its id is its `@id`, or a stand-in if that is not sound.
    pub parsed: Parsed,
    /// This text is known to be valid under this schema.
    pub valid: bool,
    pub text: &'f str,
    pub reason: String,
    /// Where its first token is.
    pub start: usize,
    /// Its tokens, annotations left out: the first is `permit` or `forbid`.
    pub tokens: Vec<Token<'f>>,
}

/// One `when` or `unless`.
pub(super) struct Condition {
    /// `when`.
    pub must_hold: bool,
    /// In Cedar's JSON form.
    pub body: Value,
}

impl WrittenPolicy<'_> {
    pub fn effect_at(&self) -> usize {
        self.tokens.first().map_or(self.start, |token| token.at)
    }

    pub fn policy(&self) -> &Policy {
        &self.parsed.policy
    }

    /// `None` if Cedar cannot say them as JSON: nothing is known of the policy then.
    pub fn conditions(&self) -> Option<&[Condition]> {
        self.parsed.conditions.as_deref()
    }
}

impl Parsed {
    pub fn new(policy: Policy) -> Self {
        let conditions = Arc::new(conditions(&policy));
        Self { policy, conditions }
    }
}

fn conditions(policy: &Policy) -> Option<Vec<Condition>> {
    let mut json = policy.to_json().ok()?;
    let Some(Value::Array(conditions)) = json.get_mut("conditions").map(Value::take) else { return None };
    let condition = |mut written: Value| {
        let must_hold = written.get("kind")? == "when";
        Some(Condition { must_hold, body: written.get_mut("body")?.take() })
    };
    conditions.into_iter().map(condition).collect()
}

/// `context.a.b` as its names.
pub(super) fn path(expression: &Value) -> Option<Vec<&str>> {
    if let Some(variable) = expression.get("Var") {
        return Some(vec![variable.as_str()?]);
    }
    let access = expression.get(".")?;
    let mut names = path(access.get("left")?)?;
    names.push(access.get("attr")?.as_str()?);
    Some(names)
}
