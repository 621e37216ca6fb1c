//! The tables of keys in the documentation, printed from the JSON Schema of a file.

use serde_json::Value;

use super::shape;

/// The table of one key of `parent` and all below it.
pub(crate) fn table(parent: &Value, name: &str) -> String {
    let mut lines = vec!["| key | value | default | meaning |\n|---|---|---|---|".to_owned()];
    if let Some((_, section)) = properties(parent).find(|(key, _)| *key == name) {
        if is_leaf(section) {
            lines.push(row(name, section, is_required(parent, name)));
        } else {
            push_rows(&mut lines, name, section);
        }
    }
    lines.join("\n")
}

/// The keys below a schema: its own, or those of its items.
pub(crate) fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let keys = holder(schema).get("properties").and_then(Value::as_object);
    keys.into_iter().flatten().map(|(name, property)| (name.as_str(), property))
}

/// The schema that holds the keys: that of the items, for a list.
fn holder(schema: &Value) -> &Value {
    schema.get("items").unwrap_or(schema)
}

fn is_leaf(schema: &Value) -> bool {
    properties(schema).next().is_none()
}

fn is_required(parent: &Value, name: &str) -> bool {
    let required = holder(parent).get("required").and_then(Value::as_array);
    required.into_iter().flatten().any(|key| key == name)
}

fn push_rows(lines: &mut Vec<String>, path: &str, parent: &Value) {
    let dot = if parent.get("items").is_some() { "[]." } else { "." };
    for (name, property) in properties(parent) {
        let path = format!("{path}{dot}{name}");
        lines.push(row(&path, property, is_required(parent, name)));
        push_rows(lines, &path, property);
    }
}

fn row(path: &str, property: &Value, required: bool) -> String {
    let default = match property.get("default") {
        _ if required => "required".to_owned(),
        None | Some(Value::Null) => "*not set*".to_owned(),
        Some(Value::Object(_)) => "as below".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    };
    let meaning = one_line(shape::description(Some(property)));
    format!("| `{path}` | {} | {default} | {meaning} |", value_words(property))
}

pub(crate) fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn value_words(property: &Value) -> String {
    let choices = shape::choices(property);
    if !choices.is_empty() {
        let words = choices.iter().map(|(choice, meaning)| match *meaning {
            "" => format!("`{choice}`"),
            meaning => format!("`{choice}`: {}", one_line(meaning)),
        });
        return words.collect::<Vec<_>>().join("; ");
    }
    let json_type = shape::types(property).find(|each| *each != "null").unwrap_or("null");
    match (json_type, shape::range(property)) {
        ("integer", Some((least, most))) => format!("{least} to {most}"),
        ("boolean", _) => "`true`, `false`".to_owned(),
        ("array", _) => match property.get("items").filter(|_| is_leaf(property)) {
            Some(items) if !shape::choices(items).is_empty() => format!("list of {}", value_words(items)),
            Some(_) => "list of texts".to_owned(),
            None => "list".to_owned(),
        },
        ("object", _) if property.get("additionalProperties").is_some_and(Value::is_object) => {
            "mapping of text to text".to_owned()
        }
        ("object", _) => "section".to_owned(),
        _ if shape::types(property).any(|each| each == "array") => "text, or list of texts".to_owned(),
        _ => "text".to_owned(),
    }
}
