//! The file as a tree in which every value knows its place.
//!
//! It is read without a type in mind, so that all that is wrong is found at once and each finding has a place.

use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use crate::problem::{Position, Problem};

/// For what YAML takes for a mapping, such as `/items/{id}` between braces.
pub(super) const QUOTE_BRACES: &str = "quote a value that has { or } in it";

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: Position,
    pub kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    /// Also a whole number beyond 64 bits.
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a repeated key is here twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(crate) struct Key {
    pub at: Position,
    pub name: String,
}

impl Node {
    /// Reads one YAML document.
    pub fn parse(file: &str, source: &str) -> Result<Self, Problem> {
        // The largest file is a registry of clients, some ten nodes each: these bounds are far above any real one, and
        // stop an alias bomb at once.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_events: 2_000_000,
                max_nodes: 1_000_000,
                max_aliases: 100,
                max_anchors: 100,
                max_depth: 16,
                flow_nesting_limit: 16,
                max_total_scalar_bytes: 8_388_608,
            },
            // Repeated keys are kept, to be reported all at once; `<<` is then a key like any other, and unknown.
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
            merge_keys: serde_saphyr::MergeKeyPolicy::AsOrdinary,
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(source, options).map_err(|error| {
            let at = position(error.location());
            let said = UserMessageFormatter.format_message(&error);
            let what = format!("this is not YAML that can be read: {said}");
            if let Some(tab) = indenting_tab(source, at, said.contains("tab")) {
                return Problem::at(
                    file,
                    source,
                    tab.line,
                    tab.column,
                    what,
                    "indent with spaces; YAML takes no tab there",
                );
            }
            let braces = is_at_brace(source, at);
            let remedy = if braces { QUOTE_BRACES } else { "write one YAML document, indented with spaces" };
            Problem::at(file, source, at.line, at.column, what, remedy)
        })
    }

    /// The value of a key; this node itself if the key is absent, so that there always is a place to point at.
    pub fn key(&self, name: &str) -> &Self {
        self.present(name).unwrap_or(self)
    }

    /// The value of a key, if the key is there.
    pub fn present(&self, name: &str) -> Option<&Self> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// The key and the value of every entry, in the order of the file.
    pub fn entries(&self) -> &[(Key, Self)] {
        let Kind::Map(entries) = &self.kind else { return &[] };
        entries
    }

    /// The item of a list; this node itself if there is no such item.
    pub fn item(&self, index: usize) -> &Self {
        let Kind::List(items) = &self.kind else { return self };
        items.get(index).unwrap_or(self)
    }

    /// The same without places. A number outside 64 bits becomes null; the shape has refused it before.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::from(*value),
            Kind::Integer(value) => i64::try_from(*value).map_or(Value::Null, Value::from),
            Kind::Fraction(value) => Value::from(*value),
            Kind::Text(value) => Value::from(value.as_str()),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Map(entries) => entries.iter().map(|(key, value)| (key.name.clone(), value.value())).collect(),
        }
    }
}

impl From<&Node> for Position {
    fn from(node: &Node) -> Self {
        node.at
    }
}

fn position(location: Option<Location>) -> Position {
    let from_one = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).max(1);
    let (line, column) = location.map_or((1, 1), |location| (location.line(), location.column()));
    Position { line: from_one(line), column: from_one(column) }
}

/// The tab that indents a line and stopped YAML there, or a tab that it saw below: it may notice at the end of the value before.
fn indenting_tab(source: &str, stopped: Position, saw_tab: bool) -> Option<Position> {
    let lines = source.lines().enumerate().skip(stopped.line.saturating_sub(1));
    let mut lines = lines.take(if saw_tab { usize::MAX } else { 1 });
    lines.find_map(|(index, line)| {
        let mut indent = line.chars().take_while(|each| each.is_whitespace());
        let width = indent.clone().count();
        let column = indent.position(|each| each == '\t')?.saturating_add(1);
        let fits = saw_tab || stopped.column == width.saturating_add(1);
        fits.then_some(Position { line: index.saturating_add(1), column })
    })
}

/// Whether a brace with something before or after it is why YAML stopped here: `a{`, or `}a`.
fn is_at_brace(source: &str, at: Position) -> bool {
    let mut line = source.lines().nth(at.line.saturating_sub(1)).unwrap_or_default().chars();
    let before = at.column.checked_sub(2).and_then(|skipped| line.nth(skipped));
    let here = line.next();
    let in_word = |each: Option<char>| each.is_some_and(|each| !each.is_whitespace() && !",[]{}:".contains(each));
    (here == Some('{') && in_word(before)) || (before == Some('}') && in_word(here))
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self { at: position(Some(spanned.referenced)), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { at: position(Some(spanned.referenced)), name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        Kind::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Integer(i128::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Integer(i128::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Fraction(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Kind::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Kind, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Kind::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_that_indents_is_pointed_at() {
        for (source, line, column) in [
            ("a:\n\tb: 1\n", 2, 1),
            ("a:\n  b: 1\n\tc: 2\n", 3, 1),
            ("a: 1\n\n# about b\n\tb: 2\n", 4, 1),
            ("a:\n  - b: 1\n  \tc: 2\n", 3, 3),
        ] {
            let told = Node::parse("keybound.yaml", source).map_err(|problem| {
                let remedy = problem.remedy.contains("indent with spaces");
                (problem.place.line, problem.place.column, remedy)
            });
            assert_eq!(told.err(), Some((line, column, true)), "{source}");
        }
        assert!(Node::parse("keybound.yaml", "a: b\tc\n").is_ok(), "inside a value a tab is text");
    }

    #[test]
    fn what_is_not_one_small_yaml_document_is_refused() {
        for source in [
            "a: [",
            "a: !secret x",
            "a: 1\n---\nb: 2\n",
            &"[".repeat(5_000),
            &"a: ".repeat(5_000),
            &format!("a: &a [1]\nb: [{}]\n", "*a, ".repeat(1_000)),
            "? [a]\n: b\n",
        ] {
            assert!(Node::parse("keybound.yaml", source).is_err(), "{source}");
        }
        assert!(Node::parse("keybound.yaml", "a: &a [1]\nb: [*a, *a]\n").is_ok());
    }
}
