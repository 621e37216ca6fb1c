//! Keys, types, ranges and choices: the file against the JSON Schema that is derived from `raw`.
//!
//! Only the keywords that the derivation writes are known here; a test fails when it writes another one.

use serde_json::Value;

use super::node::{Key, Kind, Node, QUOTE_BRACES};
use crate::problem::{Findings, Position};

/// Reports every value that the schema does not allow. `name` is the key that the node belongs to.
pub(crate) fn check(schema: &Value, node: &Node, name: &str, findings: &mut Findings) {
    if !types(schema).any(|allowed| allowed == node.kind.json_type()) {
        let expected = types(schema).find(|allowed| *allowed != "null").unwrap_or("null");
        let what = format!("{} is {}, not {}", place_words(name), node.kind.words(), expected_words(expected));
        return findings.error(node.at, what, type_remedy(schema, expected, &node.kind));
    }
    match &node.kind {
        Kind::Map(entries) => check_keys(schema, node, entries, name, findings),
        Kind::List(items) => {
            if items.is_empty() && schema.get("minItems").is_some() {
                findings.error(
                    node.at,
                    format!("`{name}` is empty"),
                    "name at least one, or leave the key out if it is optional",
                );
            }
            for item in items {
                check(schema.get("items").unwrap_or(&Value::Null), item, name, findings);
            }
        }
        Kind::Integer(value) => {
            if let Some((least, most)) = range(schema)
                && !(least..=most).contains(value)
            {
                findings.error(
                    node.at,
                    format!("`{name}` is {value}, out of range"),
                    format!("write a whole number from {least} to {most}"),
                );
            }
        }
        Kind::Text(text) => check_text(schema, node.at, text, name, findings),
        Kind::Null | Kind::Bool(_) | Kind::Fraction(_) => {}
    }
}

fn check_keys(schema: &Value, node: &Node, entries: &[(Key, Node)], name: &str, findings: &mut Findings) {
    // A mapping of names that the writer chooses has no known keys, but one schema for all values.
    let free = schema.get("additionalProperties").filter(|values| values.is_object());
    let empty = serde_json::Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    if entries.is_empty() && schema.get("minProperties").is_some() {
        findings.error(
            node.at,
            format!("`{name}` is empty"),
            "name at least one, or leave the key out if it is optional",
        );
    }
    let mut seen: Vec<&str> = Vec::new();
    // What is missing because it is misspelled is told once.
    let mut meant: Vec<&str> = Vec::new();
    for (key, value) in entries {
        if seen.contains(&key.name.as_str()) {
            findings.error(key.at, format!("`{}` is here twice", key.name), "keep one of the two");
        }
        seen.push(&key.name);
        if let Some(schema) = known.get(&key.name).or(free) {
            check(schema, value, &key.name, findings);
            continue;
        }
        let known = known.keys().map(String::as_str);
        meant.extend(nearest(&key.name, known.clone()));
        let what = format!("unknown key `{}` in {}", key.name, place_words(name));
        findings.error(key.at, what, did_you_mean(&key.name, known));
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for missing in required.filter(|key| !seen.contains(key) && !meant.contains(key)) {
        findings.error(
            node.at,
            format!("`{missing}` is missing in {}", place_words(name)),
            format!("add `{missing}`: {}", description(known.get(missing))),
        );
    }
}

fn check_text(schema: &Value, at: Position, text: &str, name: &str, findings: &mut Findings) {
    let choices = choices(schema);
    if text.is_empty() && schema.get("minLength").is_some() {
        findings.error(
            at,
            format!("`{name}` is an empty text"),
            "write a value, or leave the key out if it is optional",
        );
    } else if !choices.is_empty() && !choices.iter().any(|(choice, _)| *choice == text) {
        let list: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
        findings.error(
            at,
            format!("`{text}` is not a value of `{name}`"),
            format!("write one of: {}", list.join(", ")),
        );
    }
}

/// The types a schema allows.
pub(crate) fn types(schema: &Value) -> impl Iterator<Item = &str> {
    // A choice among documented values has its type in each of them.
    let holder = schema.pointer("/oneOf/0").unwrap_or(schema);
    let (one, several) = match holder.get("type") {
        Some(Value::Array(several)) => (None, several.as_slice()),
        one => (one, &[][..]),
    };
    one.into_iter().chain(several).filter_map(Value::as_str)
}

/// The values a text may have, each with its meaning; none if any will do.
pub(crate) fn choices(schema: &Value) -> Vec<(&str, &str)> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let plain = plain.filter_map(Value::as_str).map(|choice| (choice, ""));
    let documented = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let documented = documented.filter_map(|each| Some((each.get("const")?.as_str()?, description(Some(each)))));
    plain.chain(documented).collect()
}

/// The least and the most of a number.
pub(crate) fn range(schema: &Value) -> Option<(i128, i128)> {
    let bound = |keyword| schema.get(keyword).and_then(Value::as_i64).map(i128::from);
    Some((bound("minimum")?, bound("maximum")?))
}

/// The doc comment.
pub(crate) fn description(schema: Option<&Value>) -> &str {
    schema.and_then(|schema| schema.get("description")).and_then(Value::as_str).unwrap_or_default()
}

fn place_words(name: &str) -> String {
    if name.is_empty() { "the file".to_owned() } else { format!("`{name}`") }
}

fn expected_words(json_type: &str) -> &'static str {
    match json_type {
        "object" => "a mapping of keys",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "text",
    }
}

fn type_remedy(schema: &Value, expected: &str, found: &Kind) -> String {
    match (expected, found) {
        ("object" | "array", Kind::Null) => {
            "write its content below it, or leave the key out if it is optional".to_owned()
        }
        ("object", _) => "write its keys, one `key: value` per line".to_owned(),
        ("array", _) => "write a list: `[a, b]`, or `- ` before each item".to_owned(),
        ("integer", _) => range(schema).map_or_else(
            || "write a whole number".to_owned(),
            |(least, most)| format!("write a whole number from {least} to {most}"),
        ),
        ("boolean", _) => "write true or false".to_owned(),
        (_, Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction(_)) => {
            "put it in quotes, if it is meant as text".to_owned()
        }
        (_, Kind::Map(_)) => format!("write one text; {QUOTE_BRACES}"),
        _ => "write one text".to_owned(),
    }
}

/// The nearest known name, or all of them.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let list = known.clone().collect::<Vec<_>>().join(", ");
    match nearest(written, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None if list.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {list}"),
    }
}

/// The known name that is meant, if it is a typing error.
pub(crate) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word may be wrong; a bare prefix or another word is no typing error.
    let tolerated = written.chars().count().div_euclid(3).max(1);
    let (distance, name) = known.map(|name| (distance(written, name), name)).min()?;
    (distance <= tolerated).then_some(name)
}

/// Levenshtein's distance: how many characters must be added, removed or replaced.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, character) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index.saturating_add(1);
        let mut next = vec![before];
        for (other, above) in right.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(character != other));
            before = replaced.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

impl Kind {
    fn json_type(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Fraction(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Fraction(_) => "a fraction or a number with too many digits",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping of keys",
        }
    }
}

/// A keyword that the derivation writes and the check does not know would be a rule that is not kept.
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
pub(crate) fn assert_known_keywords(schema: &Value) {
    for (keyword, value) in schema.as_object().unwrap() {
        match keyword.as_str() {
            // What the check goes by.
            "properties" => value.as_object().unwrap().values().for_each(assert_known_keywords),
            "items" => assert_known_keywords(value),
            "oneOf" => value.as_array().unwrap().iter().for_each(|each| assert!(each.get("const").is_some())),
            "additionalProperties" if value.is_object() => assert_known_keywords(value),
            "additionalProperties" => assert_eq!(value, false),
            "minItems" | "minLength" | "minProperties" => assert_eq!(value, 1),
            "minimum" | "maximum" => assert!(range(schema).is_some(), "{schema}"),
            // The check goes by the first three, people and editors by the others.
            "type" | "required" | "enum" | "$schema" | "title" | "description" | "default" | "format" => {}
            other => panic!("{other}: {schema}"),
        }
    }
    let types: Vec<_> = types(schema).collect();
    assert!(!types.is_empty(), "{schema}");
    assert!(!types.contains(&"object") || schema.get("additionalProperties").is_some(), "{schema}");
    assert!(!types.contains(&"integer") || range(schema).is_some(), "{schema}");
}
