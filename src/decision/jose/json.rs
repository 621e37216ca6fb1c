//! A JSON object, read strictly: duplicate members at any depth, depth, count and NUL are refused.
//!
//! RFC 7515 §4 and RFC 7519 §4 let a verifier refuse duplicates; readers that differ on which one counts are how a
//! checked value and a used value come apart.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::decision::limits;

/// A JSON value.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub enum Value {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Map),
}

/// A JSON object: its members by their names, in the order of these, each once.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub struct Map(Vec<(String, Value)>);

impl Value {
    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(map) => Some(map),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }
}

impl Map {
    /// The members, or `None` if two have the same name.
    fn of(mut members: Vec<(String, Value)>) -> Option<Self> {
        members.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let twice = members.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0));
        (!twice).then_some(Self(members))
    }

    /// The member of exactly this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(member, _)| member.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The members, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What the members hold.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Whether there is a member of exactly this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// The text is not one JSON object within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnObject;

/// Reads one JSON object from UTF-8 bytes.
///
/// # Errors
/// [`NotAnObject`] for anything else: other values, duplicates, trailing bytes, invalid UTF-8, lone surrogates, NUL,
/// numbers without a finite value, more than [`limits::JSON_DEPTH`] levels or [`limits::JSON_NODES`] members.
pub fn parse_object(bytes: &[u8]) -> Result<Map, NotAnObject> {
    let mut nodes = limits::JSON_NODES;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value =
        Strict { depth: limits::JSON_DEPTH, nodes: &mut nodes }.deserialize(&mut reader).map_err(|_| NotAnObject)?;
    reader.end().map_err(|_| NotAnObject)?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(NotAnObject),
    }
}

struct Strict<'n> {
    depth: usize,
    nodes: &'n mut usize,
}

impl Strict<'_> {
    fn inner<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Strict { depth, nodes: self.nodes })
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        *self.nodes = self.nodes.checked_sub(1).ok_or_else(|| E::custom("too many members"))?;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        text(value).map(|()| Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        text(&value).map(|()| Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = access.next_element_seed(self.inner()?)? {
            self.count()?;
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        // Room for what most headers and payloads have; an object in them has few members, and there may be many of those.
        let outermost = self.depth == limits::JSON_DEPTH;
        let mut members = Vec::with_capacity(if outermost { 12 } else { 0 });
        while let Some(name) = access.next_key::<String>()? {
            self.count()?;
            text(&name)?;
            let value = access.next_value_seed(self.inner()?)?;
            members.push((name, value));
        }
        Map::of(members).map(Value::Object).ok_or_else(|| A::Error::custom("duplicate member"))
    }
}

/// NUL ends a string for some readers: no token of a real issuer has one.
fn text<E: Error>(value: &str) -> Result<(), E> {
    if value.contains('\0') { Err(E::custom("NUL in a string")) } else { Ok(()) }
}

/// A NumericDate (RFC 7519 §2): seconds since the epoch, an integer or a finite fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericDate {
    /// The second it falls in: what an expiry counts as.
    pub floor: i64,
    /// The second it is over by: what a beginning counts as.
    pub ceil: i64,
}

impl NumericDate {
    /// Reads one; `None` if it is another type, or beyond the year 9999 on either side.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let Value::Number(number) = value else { return None };
        let (floor, ceil) = if let Some(whole) = number.as_i64() {
            (whole, whole)
        } else {
            let fraction = number.as_f64()?;
            (whole(fraction.floor())?, whole(fraction.ceil())?)
        };
        let range = limits::NUMERIC_DATE.checked_neg()?..=limits::NUMERIC_DATE;
        (range.contains(&floor) && range.contains(&ceil)).then_some(Self { floor, ceil })
    }
}

#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "there is no checked conversion from f64; the guard keeps the value far inside i64"
)]
fn whole(value: f64) -> Option<i64> {
    (value.abs() < 1e15).then_some(value as i64)
}

/// What tests write down.
#[cfg(test)]
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        let wrapped = parse_object(serde_json::json!({ "value": value }).to_string().as_bytes());
        wrapped.ok().and_then(|map| map.get("value").cloned()).unwrap_or(Self::Null)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_read_and_nothing_else() {
        assert!(parse_object(br#"{"a":[1,"x",null,{"b":true}]}"#).is_ok());
        for bad in [
            "",
            "[]",
            "1",
            "\"x\"",
            "null",
            "{",
            "{}x",
            "{} {}",
            "\u{feff}{}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\u0000\"}",
            "{\"a\\u0000\":1}",
            "{'a':1}",
            "{\"a\":1,}",
        ] {
            assert_eq!(parse_object(bad.as_bytes()), Err(NotAnObject), "{bad}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(NotAnObject));
    }

    #[test]
    fn duplicates_are_refused_at_any_depth_and_in_any_spelling() {
        for bad in [
            r#"{"alg":1,"alg":1}"#,
            r#"{"alg":1,"\u0061lg":1}"#,
            r#"{"cnf":{"jkt":1,"jkt":2}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
        ] {
            assert_eq!(parse_object(bad.as_bytes()), Err(NotAnObject), "{bad}");
        }
        assert!(parse_object(br#"{"alg":1,"Alg":1,"cnf":{"alg":1}}"#).is_ok());
    }

    #[test]
    fn depth_and_count_are_bounded() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(nested(limits::JSON_DEPTH - 1).as_bytes()).is_ok());
        assert!(parse_object(nested(limits::JSON_DEPTH).as_bytes()).is_err());
        assert!(parse_object(nested(100_000).as_bytes()).is_err());
        let wide = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count].join(","));
        assert!(parse_object(wide(limits::JSON_NODES - 1).as_bytes()).is_ok());
        assert!(parse_object(wide(limits::JSON_NODES).as_bytes()).is_err());
    }

    #[test]
    fn numeric_dates_are_integers_or_finite_fractions() {
        assert_eq!(
            NumericDate::read(&json!(1_562_262_618).into()).unwrap(),
            NumericDate { floor: 1_562_262_618, ceil: 1_562_262_618 }
        );
        assert_eq!(
            NumericDate::read(&json!(1_562_262_618.5).into()).unwrap(),
            NumericDate { floor: 1_562_262_618, ceil: 1_562_262_619 }
        );
        assert_eq!(NumericDate::read(&json!(-0.5).into()).unwrap(), NumericDate { floor: -1, ceil: 0 });
        for bad in [
            json!("1"),
            json!(null),
            json!(true),
            json!([1]),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e300),
            json!(9_007_199_254_740_993_i64),
        ] {
            assert_eq!(NumericDate::read(&bad.clone().into()), None, "{bad}");
        }
    }
}
