//! A schema as a tree: what each action and entity type declares, with common types put in and a place for everything.

use serde_json::{Map, Value};

use super::outline::{Outline, Spot};

/// Attributes of all types and actions, common types counted where they are used. A schema of 500 actions stays below.
const MAX_ATTRIBUTES: usize = 100_000;

/// An attribute of a record.
pub(super) struct Attribute {
    pub name: String,
    pub required: bool,
    pub kind: Type,
    pub annotations: Vec<(String, String)>,
    /// Byte offset.
    pub at: usize,
}

/// A type, as far as keybound has one for it.
pub(super) enum Type {
    Text,
    Long,
    Bool,
    Datetime,
    Ip,
    Set(Box<Type>),
    Record(Vec<Attribute>),
    /// Any other type, by its name.
    Other(String),
}

impl Type {
    /// As it is written in a schema.
    pub fn words(&self) -> String {
        match self {
            Self::Text => "String".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::Bool => "Bool".to_owned(),
            Self::Datetime => "datetime".to_owned(),
            Self::Ip => "ipaddr".to_owned(),
            Self::Set(element) => format!("Set<{}>", element.words()),
            Self::Record(_) => "a record".to_owned(),
            Self::Other(name) => name.clone(),
        }
    }
}

/// An entity type.
pub(super) struct Entity {
    pub name: String,
    pub attributes: Vec<Attribute>,
    /// Whether it is more than attributes: in a hierarchy, tagged, enumerated.
    pub more: Option<&'static str>,
    pub at: usize,
}

/// An action that applies to something.
pub(super) struct AppliedAction {
    pub name: String,
    pub principals: Vec<String>,
    pub resources: Vec<String>,
    pub context: Vec<Attribute>,
    pub at: usize,
}

/// What a schema declares.
pub(super) struct Declared {
    pub entities: Vec<Entity>,
    /// In the order of the text.
    pub actions: Vec<AppliedAction>,
    /// Annotations of whole declarations: name and place.
    pub annotations: Vec<(String, usize)>,
}

/// The schema expands to more attributes than any real one has.
pub(super) struct TooMuch;

/// Reads Cedar's JSON form of the one namespace without a name; Cedar has accepted the schema before.
pub(super) fn read(namespace: &Value, outline: &Outline<'_>) -> Result<Declared, TooMuch> {
    let mut reader = Reader { named: object(namespace.get("commonTypes")), outline, left: MAX_ATTRIBUTES };
    let mut declared = Declared { entities: Vec::new(), actions: Vec::new(), annotations: Vec::new() };
    for (section, keyword) in [("commonTypes", "type"), ("entityTypes", "entity"), ("actions", "action")] {
        for (name, written) in entries(namespace.get(section)) {
            let at = outline.find(&Spot { keyword, name, path: Vec::new() });
            let names = annotations(written).into_iter().map(|(annotation, _)| (annotation, at));
            declared.annotations.extend(names);
        }
    }
    for (name, written) in entries(namespace.get("entityTypes")) {
        declared.entities.push(reader.entity(name, written)?);
    }
    for (name, written) in entries(namespace.get("actions")) {
        declared.actions.extend(reader.action(name, written)?);
    }
    declared.actions.sort_by_key(|action| action.at);
    Ok(declared)
}

struct Reader<'s> {
    named: Option<&'s Map<String, Value>>,
    outline: &'s Outline<'s>,
    left: usize,
}

impl<'s> Reader<'s> {
    fn entity(&mut self, name: &'s str, written: &'s Value) -> Result<Entity, TooMuch> {
        let spot = Spot { keyword: "entity", name, path: Vec::new() };
        let at = self.outline.find(&spot);
        let more = [("memberOfTypes", "`in`"), ("tags", "`tags`"), ("enum", "`enum`")];
        let more = more.into_iter().find(|(key, _)| written.get(key).is_some()).map(|(_, word)| word);
        let attributes = match written.get("shape").map(|shape| self.kind(shape, &spot)).transpose()? {
            Some(Type::Record(attributes)) => attributes,
            _ => Vec::new(),
        };
        Ok(Entity { name: name.to_owned(), attributes, more, at })
    }

    /// `None` for a group: it applies to nothing.
    fn action(&mut self, name: &'s str, written: &'s Value) -> Result<Option<AppliedAction>, TooMuch> {
        let Some(applies) = written.get("appliesTo") else { return Ok(None) };
        let list = |key: &str| -> Vec<String> {
            let list = applies.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (principals, resources) = (list("principalTypes"), list("resourceTypes"));
        if principals.is_empty() && resources.is_empty() {
            return Ok(None);
        }
        let mut spot = Spot { keyword: "action", name, path: Vec::new() };
        let at = self.outline.find(&spot);
        spot.path.push("context");
        let context = match applies.get("context").map(|context| self.kind(context, &spot)).transpose()? {
            Some(Type::Record(attributes)) => attributes,
            _ => Vec::new(),
        };
        Ok(Some(AppliedAction { name: name.to_owned(), principals, resources, context, at }))
    }

    fn kind(&mut self, written: &'s Value, spot: &Spot<'s>) -> Result<Type, TooMuch> {
        let name = written.get("type").and_then(Value::as_str).unwrap_or_default();
        Ok(match name {
            "Record" => Type::Record(self.record(written, spot)?),
            "Set" => match written.get("element") {
                Some(element) => Type::Set(Box::new(self.kind(element, spot)?)),
                None => Type::Other("Set".to_owned()),
            },
            "Entity" | "EntityOrCommon" | "Extension" => {
                let name = written.get("name").and_then(Value::as_str).unwrap_or(name);
                extension(name).unwrap_or_else(|| Type::Other(name.to_owned()))
            }
            name => match self.named.and_then(|types| types.get_key_value(name)) {
                // Cedar has refused cycles.
                Some((name, named)) => self.kind(named, &Spot { keyword: "type", name, path: Vec::new() })?,
                None => extension(name).unwrap_or_else(|| Type::Other(name.to_owned())),
            },
        })
    }

    fn record(&mut self, written: &'s Value, spot: &Spot<'s>) -> Result<Vec<Attribute>, TooMuch> {
        let mut attributes = Vec::new();
        for (name, attribute) in entries(written.get("attributes")) {
            self.left = self.left.checked_sub(1).ok_or(TooMuch)?;
            let mut spot = spot.clone();
            spot.path.push(name);
            attributes.push(Attribute {
                name: name.to_owned(),
                required: attribute.get("required").and_then(Value::as_bool).unwrap_or(true),
                kind: self.kind(attribute, &spot)?,
                annotations: annotations(attribute),
                at: self.outline.find(&spot),
            });
        }
        Ok(attributes)
    }
}

/// A type that is Cedar's own, unless the schema shadows its name; that is refused.
fn extension(name: &str) -> Option<Type> {
    Some(match name.strip_prefix("__cedar::").unwrap_or(name) {
        "String" => Type::Text,
        "Long" => Type::Long,
        "Bool" | "Boolean" => Type::Bool,
        "datetime" => Type::Datetime,
        "ipaddr" => Type::Ip,
        _ => return None,
    })
}

fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    object(value).into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn annotations(written: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries(written.get("annotations")).map(|(name, value)| (name.to_owned(), text(value))).collect()
}
