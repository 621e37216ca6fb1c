//! How deep Cedar text may nest, found in its tokens before Cedar reads it.
//!
//! Cedar's parser and validator, and we after them, descend into an expression by recursion, and a stack that overflows
//! ends the process: no last good bundle would stay. `bundle::load` gives them a stack that is several times what the
//! deepest text within these bounds needs.

use std::collections::HashMap;

use super::scan::{self, Token};

/// Of one policy: each operator of a chain counts one, each bracket around as much as the parser needs for it.
const MAX_POLICY_DEPTH: usize = 400;
const BRACKET: usize = 4;
/// Brackets around each other in a schema; claims nest less.
const MAX_SCHEMA_BRACKETS: usize = 32;
/// What may be within one another by name: common types, groups of actions, entity types.
const MAX_TYPES: usize = 4_000;
const MAX_GROUP_LEVELS: usize = 16;
const MAX_ENTITIES: usize = 64;

/// The operators that are open at one bracket, weakest first; what binds stronger ends with a weaker one.
#[derive(Clone, Copy, Default)]
struct Level([usize; 6]);

impl Level {
    fn rank(token: &Token<'_>) -> Option<usize> {
        Some(match token.text {
            "if" | "when" | "unless" => 0,
            "|" => 1,
            "&" => 2,
            "=" | "<" | ">" | "in" | "has" | "like" | "is" | "then" | "else" => 3,
            "+" | "-" | "*" => 4,
            "." | "!" => 5,
            _ => return None,
        })
    }

    fn add(&mut self, rank: usize) {
        for (each, count) in self.0.iter_mut().enumerate().skip(rank) {
            *count = if each == rank { count.saturating_add(1) } else { 0 };
        }
    }

    fn depth(self) -> usize {
        self.0.iter().fold(BRACKET, |sum, count| sum.saturating_add(*count))
    }
}

/// Where a policy becomes too deep.
pub(super) fn too_deep<'t, 's>(policy: &'t [Token<'s>]) -> Option<&'t Token<'s>> {
    let mut level = Level::default();
    let mut around: Vec<Level> = Vec::new();
    let mut outside = 0usize;
    let mut before: Option<&Token<'_>> = None;
    for token in policy {
        if is_open(token) {
            outside = outside.saturating_add(level.depth());
            around.push(core::mem::take(&mut level));
        } else if is_close(token) {
            level = around.pop().unwrap_or_default();
            outside = outside.saturating_sub(level.depth());
        } else if token.is(",") {
            level = Level::default();
        } else if let Some(rank) = Level::rank(token) {
            // `||` is two tokens, and one operator.
            let second = before.is_some_and(|before| before.text == token.text && before.end() == token.at);
            if !(second && matches!(rank, 1..=3)) {
                level.add(rank);
            }
        }
        if outside.saturating_add(level.depth()) > MAX_POLICY_DEPTH {
            return Some(token);
        }
        before = Some(token);
    }
    None
}

/// Where a schema becomes too deep, and what it has too much of.
pub(super) fn schema_too_deep<'t, 's>(tokens: &'t [Token<'s>]) -> Option<(&'t Token<'s>, &'static str)> {
    let mut depth = 0usize;
    let [mut types, mut entities] = [0usize; 2];
    for token in tokens {
        if is_open(token) || token.is("<") {
            depth = depth.saturating_add(1);
        } else if is_close(token) || token.is(">") {
            depth = depth.saturating_sub(1);
        }
        match token.text {
            "type" => types = types.saturating_add(1),
            "entity" => entities = entities.saturating_add(1),
            _ => {}
        }
        let bounds = [
            (depth, MAX_SCHEMA_BRACKETS, "brackets within brackets"),
            (types, MAX_TYPES, "types"),
            (entities, MAX_ENTITIES, "entity types"),
        ];
        if let Some((_, _, what)) = bounds.into_iter().find(|(count, most, _)| count > most) {
            return Some((token, what));
        }
    }
    too_many_levels(tokens).map(|token| (token, "groups of actions within groups, or a circle of them,"))
}

/// An action that is in a group in a group, and so on.
fn too_many_levels<'t, 's>(tokens: &'t [Token<'s>]) -> Option<&'t Token<'s>> {
    let mut within = Vec::new();
    for statement in scan::statements(tokens) {
        let (_, statement) = scan::annotations(statement);
        let Some((keyword, rest)) = statement.split_first() else { continue };
        let end = rest.iter().position(|token| token.is("appliesTo")).unwrap_or(rest.len());
        let rest = rest.get(..end).unwrap_or_default();
        let start = rest.iter().position(|token| token.is("in")).unwrap_or(rest.len());
        if keyword.is("action")
            && let Some((members, groups)) = rest.split_at_checked(start)
        {
            let groups: Vec<_> = groups.iter().skip(1).filter_map(Token::name).collect();
            for member in members.iter().filter(|token| token.name().is_some()) {
                within.extend(groups.iter().map(|group| (member, *group)));
            }
        }
    }
    let mut levels: HashMap<&str, usize> = HashMap::new();
    // Each round lifts every group above its members; what is within bounds is settled after as many rounds as levels.
    for _ in 0..=MAX_GROUP_LEVELS {
        for (member, group) in &within {
            let below = member.name().and_then(|name| levels.get(name)).copied().unwrap_or_default();
            let level = levels.entry(group).or_default();
            *level = below.saturating_add(1).max(*level);
            if *level > MAX_GROUP_LEVELS {
                return Some(member);
            }
        }
    }
    None
}

fn is_open(token: &Token<'_>) -> bool {
    ["(", "[", "{"].iter().any(|open| token.is(open))
}

fn is_close(token: &Token<'_>) -> bool {
    [")", "]", "}"].iter().any(|close| token.is(close))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "tests")]
    use super::*;

    fn deep(text: &str) -> Option<usize> {
        too_deep(&scan::tokens(text)).map(|token| token.at)
    }

    #[test]
    fn a_long_list_is_not_deep_and_a_long_chain_is() {
        let policy = |body: &str| format!("forbid (principal, action, resource) when {{ {body} }};");
        let alternatives = |count: usize| policy(&vec!["context.http.host == \"a\""; count].join(" || "));
        assert_eq!(deep(&alternatives(300)), None);
        assert!(deep(&alternatives(500)).is_some());
        assert_eq!(deep(&policy(&format!("[{}].contains(1)", "1 + 1, ".repeat(10_000)))), None);
        let brackets = |count: usize| policy(&format!("{}true{}", "(".repeat(count), ")".repeat(count)));
        assert_eq!(deep(&brackets(80)), None);
        let text = brackets(100);
        let within = |at: usize| text.get(..at).is_some_and(|before| before.matches('(').count() > 80);
        assert!(deep(&text).is_some_and(within));
        for count in [1, 100] {
            let chosen = policy(&format!("{}true", "if principal.a == 1 then false else ".repeat(count)));
            assert_eq!(deep(&chosen), None);
        }
        for link in ["principal.", "1 + ", "a && ", "if b then c else ", "!(", "{a: ", "[", "f("] {
            assert!(deep(&policy(&link.repeat(1_000))).is_some(), "{link}");
        }
        assert!(deep(&format!("forbid (principal, action, resource) {};", "when { true } ".repeat(1_000))).is_some());
    }

    #[test]
    fn a_schema_nests_and_names_within_bounds() {
        let what = |text: &str| schema_too_deep(&scan::tokens(text)).map(|(_, what)| what);
        assert_eq!(what(&"type T = { a: { b: Set<Long> } };".repeat(1_000)), None);
        assert_eq!(what(&"type T = Long;".repeat(5_000)), Some("types"));
        assert_eq!(what(&"entity E;".repeat(100)), Some("entity types"));
        assert_eq!(what(&"Set<".repeat(50)), Some("brackets within brackets"));
        let groups = Some("groups of actions within groups, or a circle of them,");
        let group = |each: usize| format!("action a{each} in [b, a{}];", each + 1);
        let chain = |count: usize| (0..count).rev().map(group).collect::<String>();
        assert_eq!((what(&chain(10)), what(&chain(1_000))), (None, groups));
        assert_eq!(what("action a in [b]; action b in [a];"), groups);
        let grouped = "action \"a\" in [\"read\"] appliesTo { principal: Client };".repeat(20_000);
        assert_eq!(what(&grouped), None);
    }
}
