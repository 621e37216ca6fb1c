//! The claims that policies read: exactly those that the schema declares, in the types it declares.
//!
//! A declared claim of another type denies: made absent it would disarm a `forbid`, coerced it would mean something else.

use cedar_policy_core::ast::Value as CedarValue;
use smol_str::SmolStr;

use crate::decision::cedar::{self, Record};
use crate::decision::jose::{Map, NumericDate, Value};

/// A claim that the schema declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimSpec {
    /// The attribute's name in Cedar.
    pub attribute: String,
    /// The claim's name in the token; another one than the attribute's by `@claim("…")`.
    pub claim: String,
    /// Its type.
    pub kind: ClaimType,
}

/// The types a claim may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimType {
    /// A JSON string.
    Text,
    /// A JSON integer.
    Long,
    /// A JSON boolean.
    Bool,
    /// A NumericDate (RFC 7519 §2), Cedar's `datetime`.
    Date,
    /// A JSON array whose elements have one type.
    Set(Box<ClaimType>),
    /// A JSON object with these members, all optional.
    Record(Vec<ClaimSpec>),
}

/// A declared claim has another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// Reads the declared claims that are present.
///
/// # Errors
/// [`WrongType`] if one of them has another type than declared; `null` is another type.
pub fn read(claims: &Map, specs: &[ClaimSpec]) -> Result<Record, WrongType> {
    let present = specs.iter().filter_map(|spec| claims.get(&spec.claim).map(|value| (spec, value)));
    present.map(|(spec, value)| Ok((SmolStr::new(&spec.attribute), one(&spec.kind, value)?))).collect()
}

fn one(kind: &ClaimType, value: &Value) -> Result<CedarValue, WrongType> {
    match (kind, value) {
        (ClaimType::Text, Value::String(text)) => Ok(cedar::text(text)),
        (ClaimType::Long, Value::Number(number)) => number.as_i64().map(CedarValue::from).ok_or(WrongType),
        (ClaimType::Bool, Value::Bool(truth)) => Ok(CedarValue::from(*truth)),
        (ClaimType::Date, value) => {
            NumericDate::read(value).and_then(|date| cedar::datetime(date.floor)).ok_or(WrongType)
        }
        (ClaimType::Set(kind), Value::Array(array)) => {
            let elements: Vec<_> = array.iter().map(|element| one(kind, element)).collect::<Result<_, _>>()?;
            Ok(CedarValue::set(elements, None))
        }
        (ClaimType::Record(specs), Value::Object(map)) => read(map, specs).map(cedar::record),
        (ClaimType::Text | ClaimType::Long | ClaimType::Bool | ClaimType::Set(_) | ClaimType::Record(_), _) => {
            Err(WrongType)
        }
    }
}

/// A record or a set in Cedar's evaluator: what it is made of has room for eleven.
const CONTAINER_BYTES: usize = 1_024;
/// A value in one, and in the hash table of a set.
const VALUE_BYTES: usize = 160;

/// What policies are told of these claims takes so much memory at most, with so many audiences and scopes: as if all were declared.
pub fn told_bytes(claims: &Map, listed: usize) -> usize {
    // The token, its claims, its audiences and its scopes; names and texts of audiences and scopes are among the claims.
    let containers = CONTAINER_BYTES.saturating_mul(4).saturating_add(listed.saturating_mul(VALUE_BYTES));
    claims.values().map(bytes).fold(containers, usize::saturating_add)
}

fn bytes(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(array) => array.iter().map(bytes).fold(CONTAINER_BYTES, usize::saturating_add),
        Value::Object(map) => map.values().map(bytes).fold(CONTAINER_BYTES, usize::saturating_add),
    };
    inner.saturating_add(VALUE_BYTES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::{Value, json};

    use crate::decision::jose::parse_object;

    fn spec(attribute: &str, kind: ClaimType) -> ClaimSpec {
        ClaimSpec { attribute: attribute.into(), claim: attribute.into(), kind }
    }

    fn claims(value: &Value) -> Map {
        parse_object(value.to_string().as_bytes()).unwrap()
    }

    fn reading(kind: ClaimType, value: &Value) -> Result<Record, WrongType> {
        let map = claims(&json!({"x": value, "other": 1}));
        read(&map, &[spec("x", kind)])
    }

    #[test]
    fn declared_claims_are_read_and_others_are_not() {
        let map = claims(&json!({"a": "b", "z": [1]}));
        let specs = [spec("a", ClaimType::Text), spec("missing", ClaimType::Long)];
        assert_eq!(read(&map, &specs).unwrap(), [("a".into(), "b".into())].into());
    }

    #[test]
    fn a_namespaced_claim_may_have_a_short_attribute() {
        let map = claims(&json!({"https://x.test/level": 3}));
        let spec = ClaimSpec { attribute: "level".into(), claim: "https://x.test/level".into(), kind: ClaimType::Long };
        assert_eq!(read(&map, &[spec]).unwrap(), [("level".into(), 3.into())].into());
    }

    #[test]
    fn at_11_a_declared_claim_of_the_wrong_type_is_refused() {
        let set = || ClaimType::Set(Box::new(ClaimType::Text));
        let record = || ClaimType::Record(vec![spec("roles", set())]);
        for (kind, good) in [
            (ClaimType::Text, json!("x")),
            (ClaimType::Long, json!(-1)),
            (ClaimType::Bool, json!(false)),
            (ClaimType::Date, json!(1.5)),
            (set(), json!(["a", "b"])),
            (set(), json!([])),
            (record(), json!({"roles": ["a"], "more": 1})),
        ] {
            assert!(reading(kind, &good).is_ok(), "{good}");
        }
        for (kind, bad) in [
            (ClaimType::Text, json!(1)),
            (ClaimType::Text, json!(["x"])),
            (ClaimType::Text, json!(null)),
            (ClaimType::Long, json!("1")),
            (ClaimType::Long, json!(1.5)),
            (ClaimType::Long, json!(u64::MAX)),
            (ClaimType::Bool, json!("true")),
            (ClaimType::Bool, json!(1)),
            (ClaimType::Date, json!("2026-01-01")),
            (set(), json!("a b")),
            (set(), json!(["a", 1])),
            (record(), json!([])),
            (record(), json!({"roles": "a"})),
        ] {
            assert_eq!(reading(kind, &bad), Err(WrongType), "{bad}");
        }
    }
}
