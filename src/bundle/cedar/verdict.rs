//! Whether the validator has judged a policy at all.
//!
//! Where its stack runs out, Cedar's type checker gives up on a policy and reports neither an error nor a warning. So each
//! policy without a report is asked about in another way: its scope and conditions as one expression, of which any
//! outcome will do, must have a type for every kind of request.

use std::collections::BTreeSet;

use cedar_policy::{Policy, Schema};

use super::bounds::{is_close, is_open};
use super::scan::Token;
use super::written::WrittenPolicy;

/// The kinds of requests that a schema knows.
pub(super) struct Kinds<'s> {
    schema: &'s Schema,
    count: usize,
}

impl<'s> Kinds<'s> {
    pub fn of(schema: &'s Schema) -> Self {
        let all: BTreeSet<_> = schema.request_envs().collect();
        Self { schema, count: all.len() }
    }

    /// Whether a policy has a type for each of them.
    fn all_have_a_type(&self, policy: &Policy) -> bool {
        policy.get_valid_request_envs(self.schema).count() == self.count
    }
}

/// A policy that has a type wherever the scope and the conditions of another one have a type.
pub(super) struct Probe(Option<Policy>);

impl Probe {
    /// `source` is the file of the policy.
    pub fn of(written: &WrittenPolicy<'_>, source: &str) -> Self {
        let text = text(&written.tokens, source);
        Self(text.and_then(|text| Policy::parse(None, text).ok()))
    }

    pub fn is_judged(&self, kinds: &Kinds<'_>) -> bool {
        self.0.as_ref().is_some_and(|policy| kinds.all_have_a_type(policy))
    }
}

/// `tokens` are those of a policy that Cedar accepts.
fn text(tokens: &[Token<'_>], source: &str) -> Option<String> {
    let mut parts = Vec::new();
    let (mut depth, mut words, mut begins) = (0usize, 0usize, 0usize);
    let mut keyword = "";
    for token in tokens {
        let (open, close) = (is_open(token), is_close(token));
        depth = if open { depth.saturating_add(1) } else { depth.saturating_sub(usize::from(close)) };
        if depth == 0 && !close {
            keyword = token.text;
        } else if (close && depth == 0) || (token.is(",") && depth == 1) {
            // A comment may be the last of it.
            let part = format!("({}\n)", source.get(begins..token.at)?);
            match keyword {
                "unless" => parts.push(format!("!{part}")),
                // A variable alone says nothing.
                _ => parts.extend((keyword == "when" || words > 1).then_some(part)),
            }
        } else if !(open && depth == 1) {
            words = words.saturating_add(1);
            continue;
        }
        (begins, words) = (token.end(), 0);
    }
    let all = if parts.is_empty() { "true".to_owned() } else { parts.join(" && ") };
    Some(format!("permit (principal, action, resource) when {{ if {all} then true else true }};"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::bundle::cedar::scan;

    const SCHEMA: &str = "entity Client = { kind: String }; entity Anonymous; entity Api;
        action a, b appliesTo { principal: [Client, Anonymous], resource: Api, context: { n: Long, r?: { m: Long } } };";

    fn probe(source: &str) -> Probe {
        let written = WrittenPolicy {
            policy: Policy::parse(None, source).unwrap(),
            reason: String::new(),
            start: 0,
            tokens: scan::tokens(source),
        };
        Probe::of(&written, source)
    }

    fn is_judged(source: &str) -> bool {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        probe(source).is_judged(&Kinds::of(&schema))
    }

    #[test]
    fn what_the_validator_accepts_is_judged_for_all_requests() {
        for policy in [
            "permit (principal, action, resource);",
            "permit (principal is Client, action == Action::\"a\", resource == Api::\"x\",);",
            "forbid (principal == Client::\"c\", action in [Action::\"a\", Action::\"b\"], resource is Api);",
            "forbid (principal is Client in Client::\"c\", action, resource) when { principal.kind == \"a\" // it is\n };",
            "forbid (principal, action, resource) unless { principal is Client && principal.kind == \"a\" };",
            "forbid (principal, action, resource) when { context has r.m } unless { [context.r.m, 1].contains(2) };",
            "forbid (principal, action, resource) when { context.n == 1 } when { {n: 1}[\"n\"] == 2 } unless { false };",
        ] {
            assert!(is_judged(policy), "{policy}");
        }
        // What has no type somewhere.
        for condition in ["principal.kind == \"a\"", "context.r.m == 1", "context.n.m == 1", "context.n"] {
            let policy = format!("permit (principal, action, resource) when {{ {condition} }};");
            assert!(!is_judged(&policy), "{policy}");
        }
    }

    #[test]
    fn a_policy_for_which_the_stack_runs_out_is_not_judged() {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let deep =
            format!("forbid (principal is Client, action, resource) when {{ context.n == {}1 }};", "1 + ".repeat(200));
        let judged = |stack: usize| {
            let probe = probe(&deep);
            std::thread::scope(|scope| {
                let judge = || probe.is_judged(&Kinds::of(&schema));
                std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, judge).unwrap().join().unwrap()
            })
        };
        assert_eq!((judged(16 << 20), judged(256 << 10)), (true, false));
    }
}
