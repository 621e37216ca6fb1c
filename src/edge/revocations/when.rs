//! Times as records write them: RFC 3339, in UTC. Whole seconds where tokens are compared, milliseconds where propagation is measured.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::decision::limits::NUMERIC_DATE;

/// RFC 3339 text as Unix milliseconds; `None` if it is no such text, or outside of the years 1970 to 9999.
#[must_use]
pub fn millis_of(text: &str) -> Option<i64> {
    // Nothing above microseconds has a meaning here, and the longest offset is `+00:00`.
    let short = text.len() <= 40;
    let time = short.then(|| OffsetDateTime::parse(text, &Rfc3339).ok()).flatten()?;
    let millis = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    (0..=NUMERIC_DATE.saturating_mul(1_000)).contains(&millis).then_some(millis)
}

/// Unix milliseconds as RFC 3339 text.
#[must_use]
pub fn text_of_millis(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis).saturating_mul(1_000_000));
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Unix seconds as RFC 3339 text.
#[must_use]
pub fn text_of_seconds(seconds: i64) -> String {
    text_of_millis(seconds.saturating_mul(1_000))
}

/// `#[serde(with)]` of Unix milliseconds.
pub mod millis {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub fn serialize<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::text_of_millis(*millis))
    }

    /// Reads them.
    ///
    /// # Errors
    /// It is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        super::millis_of(&String::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(super::NO_TIME))
    }
}

/// `#[serde(with)]` of Unix milliseconds that may be absent.
pub mod some_millis {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    #[allow(clippy::ref_option, reason = "serde passes references")]
    pub fn serialize<S: Serializer>(millis: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match millis {
            Some(millis) => super::millis::serialize(millis, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// It is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        super::millis_of(&text).map(Some).ok_or_else(|| de::Error::custom(super::NO_TIME))
    }
}

/// `#[serde(with)]` of Unix seconds that may be absent; a fraction is cut off.
pub mod some_seconds {
    use serde::{Deserializer, Serializer};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    #[allow(clippy::ref_option, reason = "serde passes references")]
    pub fn serialize<S: Serializer>(seconds: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        super::some_millis::serialize(&seconds.map(|seconds| seconds.saturating_mul(1_000)), serializer)
    }

    /// Reads them.
    ///
    /// # Errors
    /// It is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        Ok(super::some_millis::deserialize(deserializer)?.map(|millis| millis.div_euclid(1_000)))
    }
}

const NO_TIME: &str =
    "not a time: write RFC 3339 with an offset, such as 2026-01-31T12:00:00Z, within the years 1970 to 9999";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rfc_3339_with_an_offset() {
        assert_eq!(millis_of("1970-01-01T00:00:01.5Z"), Some(1_500));
        assert_eq!(millis_of("1970-01-01T01:00:00+01:00"), Some(0));
        for bad in ["", "1970-01-01", "1970-01-01T00:00:00", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "0"] {
            assert_eq!(millis_of(bad), None, "{bad}");
        }
        assert_eq!(millis_of(&format!("1970-01-01T00:00:00.{}Z", "0".repeat(40))), None);
        assert_eq!(text_of_millis(1_500), "1970-01-01T00:00:01.5Z");
        assert_eq!(text_of_seconds(NUMERIC_DATE), "9999-12-31T23:59:59Z");
        assert_eq!(millis_of(&text_of_millis(1_764_000_000_123)), Some(1_764_000_000_123));
    }
}
