//! YAML that people write: a tree whose values know their place, checked against the JSON Schema of the type it becomes.
//!
//! The operator's file and the bundle's files share it. One Rust type per file says keys, types, ranges and choices; the
//! schema derived from it is what `shape` checks, what editors read and what `reference` prints, so no two can
//! disagree. Refused rather than guessed: unknown and repeated keys, YAML merges, other spellings of true and false.

mod node;
pub(crate) mod reference;
pub(crate) mod shape;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use node::{Kind, Node};

use crate::problem::{Findings, Problem};

/// Reads a file into its type, or reports all that its shape does not allow. The tree tells places afterwards.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(
    file: &str,
    source: &str,
    findings: &mut Findings<'_>,
) -> Option<(T, Node)> {
    let tree = Node::parse(file, source).map_err(|problem| findings.keep(problem)).ok()?;
    shape::check(&schema_of::<T>(), &tree, "", findings);
    if findings.has_errors() {
        return None;
    }
    match serde_json::from_value(tree.value()) {
        Ok(written) => Some((written, tree)),
        Err(error) => {
            let remedy = "compare the file with the reference in docs/";
            findings.keep(Problem::at(file, source, 1, 1, format!("the file cannot be read: {error}"), remedy));
            None
        }
    }
}

/// The JSON Schema of a file.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let settings = settings.with_transform(RecursiveTransform(refuse_empty_text));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// No key means something when its text is empty.
fn refuse_empty_text(schema: &mut Schema) {
    let is_text = shape::types(schema.as_value()).any(|each| each == "string");
    if is_text && ["enum", "oneOf", "const"].iter().all(|choice| schema.get(*choice).is_none()) {
        schema.insert("minLength".to_owned(), Value::from(1));
    }
}
