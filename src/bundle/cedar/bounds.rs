//! How deep Cedar text may nest, found in its tokens before Cedar reads it.
//!
//! Cedar's parser and validator, and we after them, descend into an expression by recursion, and a stack that overflows
//! ends the process: no last good bundle would stay. Where the stack runs low, Cedar's type checker gives up on a policy
//! without a word. `bundle::load` gives them a stack that is several times what the deepest text within these bounds needs.

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

/// What stands between two brackets, without what is within brackets there. Operators by rank, weakest first: an operator
/// has operands of the ranks behind its own.
#[derive(Clone, Copy, Default)]
struct Level {
    operators: [usize; RANKS],
    /// The deepest operand, so far, of the operators of each rank; and the deepest of what is within brackets, at the end.
    operands: [usize; RANKS],
}

const RANKS: usize = 6;

impl Level {
    /// The rank of an operator, and whether it nests: `then` only ends an operand.
    fn rank(token: &Token<'_>) -> Option<(usize, bool)> {
        Some(match token.text {
            "if" | "when" | "unless" => (0, true),
            "then" | "else" => (0, false),
            "|" => (1, true),
            "&" => (2, true),
            "=" | "<" | ">" | "in" | "has" | "like" | "is" => (3, true),
            "+" | "-" | "*" => (4, true),
            "." | "!" => (5, true),
            _ => return None,
        })
    }

    fn add(&mut self, rank: usize, nests: bool) {
        let operand = self.depth_behind(rank);
        for (each, (operators, operands)) in self.operators.iter_mut().zip(&mut self.operands).enumerate() {
            if each == rank {
                *operators = operators.saturating_add(usize::from(nests));
                *operands = operand.max(*operands);
            } else if each > rank {
                (*operators, *operands) = (0, 0);
            }
        }
    }

    /// What is within brackets is an operand of the strongest operators.
    fn add_brackets(&mut self, depth: usize) {
        if let Some(operands) = self.operands.last_mut() {
            *operands = depth.saturating_add(BRACKET).max(*operands);
        }
    }

    /// Of the operand that is read: any of its operators may be around its first operand, or around its last.
    fn depth_behind(&self, rank: usize) -> usize {
        let behind = self.operators.iter().zip(&self.operands).skip(rank.saturating_add(1)).rev();
        behind.fold(0, |depth, (operators, operands)| depth.max(*operands).saturating_add(*operators))
    }

    fn depth(&self) -> usize {
        let [operators, ..] = self.operators;
        let [operands, ..] = self.operands;
        self.depth_behind(0).max(operands).saturating_add(operators)
    }

    /// How deep a bracket is that opens here.
    fn around(&self) -> usize {
        self.operators.iter().fold(BRACKET, |sum, count| sum.saturating_add(*count))
    }
}

/// Where a policy becomes too deep.
pub(super) fn too_deep<'t, 's>(policy: &'t [Token<'s>]) -> Option<&'t Token<'s>> {
    let mut level = Level::default();
    // Each with the deepest of what commas have ended there.
    let mut around: Vec<(Level, usize)> = Vec::new();
    let (mut outside, mut ended) = (0usize, 0usize);
    let mut before: Option<&Token<'_>> = None;
    let mut after_operand = false;
    for token in policy {
        // A keyword is a name behind these.
        let named = before.is_some_and(|before| before.is(".") || before.is("::"));
        let operator = Level::rank(token).filter(|_| !named);
        if is_open(token) {
            // An index or a call nests as `.` does.
            if after_operand {
                level.add(RANKS.saturating_sub(1), true);
            }
            outside = outside.saturating_add(level.around());
            around.push((core::mem::take(&mut level), core::mem::take(&mut ended)));
        } else if is_close(token) {
            let within = level.depth().max(ended);
            (level, ended) = around.pop().unwrap_or_default();
            outside = outside.saturating_sub(level.around());
            level.add_brackets(within);
        } else if token.is(",") {
            ended = level.depth().max(ended);
            level = Level::default();
        } else if let Some((rank, nests)) = operator {
            // `||` is two tokens, and one operator.
            let second = before.is_some_and(|before| before.text == token.text && before.end() == token.at);
            if !(second && matches!(rank, 1..=3)) {
                level.add(rank, nests);
            }
        }
        if outside.saturating_add(level.depth().max(ended)) > MAX_POLICY_DEPTH {
            return Some(token);
        }
        after_operand = is_close(token) || (token.name().is_some() && operator.is_none());
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
    fn what_follows_an_operand_is_as_deep_as_what_goes_before_it() {
        let policy = |body: &str| format!("forbid (principal, action, resource) when {{ {body} }};");
        for link in
            [".a", "[\"a\"]", ".f()", "(1)", ".in", ".in[\"a\"]", "[\"a\"].has", " + 1", " && a", "[if a then 1else b]"]
        {
            let chain = |count: usize| deep(&policy(&format!("context{}", link.repeat(count))));
            assert_eq!(chain(120), None, "{link}");
            assert!(chain(400).is_some(), "{link}");
        }
        // Each bracket is around a chain of its own.
        for link in [".a", "[1]", " + 1", " || a"] {
            let chains = format!("{})", link.repeat(20)).repeat(50);
            assert!(deep(&policy(&format!("{}1{chains}", "(".repeat(50)))).is_some(), "{link}");
        }
        // A chain of each rank is around the first operand of the next one.
        let each = |count: usize| [".a", " * 1", " == 1", " && a", " || a"].map(|link| link.repeat(count)).concat();
        assert_eq!(deep(&policy(&format!("a{}", each(70)))), None);
        assert!(deep(&policy(&format!("a{}", each(90)))).is_some());
        // A list is as deep as the deepest in it.
        let deepest = ".a".repeat(300);
        assert_eq!(deep(&policy(&format!("[a{deepest}, 1]"))), None);
        assert!(deep(&policy(&format!("[a{deepest}, 1]{deepest}"))).is_some());
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
