//! Values of Cedar's evaluator, made as they are: a detour through expressions or JSON costs more than all the rest of a decision.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwapOption;
use cedar_policy_core::ast::{ExtensionFunction, Literal, Name, PartialValue, Value};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

/// Attributes and their values.
pub type Record = BTreeMap<SmolStr, Value>;

/// An attribute.
pub(super) fn pair(name: &'static str, value: Value) -> (SmolStr, Value) {
    (SmolStr::new_static(name), value)
}

pub(super) fn text(value: &str) -> Value {
    Value::from(value)
}

/// Each text once.
pub(super) fn texts(values: &[String]) -> Value {
    Value::set_of_lits(values.iter().map(|value| Literal::from(value.as_str())), None)
}

pub(super) fn record(record: Record) -> Value {
    Value::record_arc(Arc::new(record), None)
}

/// `datetime`, of Unix seconds. `None` only for a time that no calendar has.
pub(super) fn datetime(seconds: i64) -> Option<Value> {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let (date, clock) = (time.date(), time.time());
    let (hour, minute, second) = clock.as_hms();
    let year = u16::try_from(date.year()).ok().filter(|year| *year <= 9999)?;
    DATETIME.value(&format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        u8::from(date.month()),
        date.day(),
    ))
}

/// The time of a request. It is asked for many times in a second, and making a `datetime` costs as much as evaluating a policy.
pub(super) fn instant(seconds: i64) -> Option<Value> {
    static LAST: ArcSwapOption<(i64, Value)> = ArcSwapOption::const_empty();
    if let Some(last) = LAST.load().as_deref().filter(|last| last.0 == seconds) {
        return Some(last.1.clone());
    }
    let value = datetime(seconds)?;
    LAST.store(Some(Arc::new((seconds, value.clone()))));
    Some(value)
}

/// `ipaddr`. Behind a mesh a few proxies send all requests, and making the value of a text takes longer than finding it.
pub(super) fn address(address: IpAddr) -> Option<Value> {
    static SEEN: [ArcSwapOption<(IpAddr, Value)>; 256] = [const { ArcSwapOption::const_empty() }; 256];
    let last = match address {
        IpAddr::V4(address) => address.octets().last().copied(),
        IpAddr::V6(address) => address.octets().last().copied(),
    };
    let seen = SEEN.get(usize::from(last?))?;
    if let Some(seen) = seen.load().as_deref().filter(|seen| seen.0 == address) {
        return Some(seen.1.clone());
    }
    let value = IP.value(&address.to_string())?;
    seen.store(Some(Arc::new((address, value.clone()))));
    Some(value)
}

/// A function of Cedar that makes a value of a text.
struct Constructor(Option<&'static ExtensionFunction>);

static DATETIME: LazyLock<Constructor> = LazyLock::new(|| Constructor::named("datetime"));
static IP: LazyLock<Constructor> = LazyLock::new(|| Constructor::named("ip"));

impl Constructor {
    fn named(name: &str) -> Self {
        Self(Name::parse_unqualified_name(name).ok().and_then(|name| Extensions::all_available().func(&name).ok()))
    }

    fn value(&self, text: &str) -> Option<Value> {
        match self.0?.call(&[Value::from(text)]).ok()? {
            PartialValue::Value(value) => Some(value),
            PartialValue::Residual(_) => None,
        }
    }
}
