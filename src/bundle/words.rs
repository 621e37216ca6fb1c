//! Words that the bundle's files share: names, dates, scopes, methods.

use time::Date;
use time::macros::format_description;

use crate::decision::limits;
use crate::problem::{Findings, Position};

/// 1 to 64 of `a-z`, `0-9` and `-`.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

pub(super) const NAME_REMEDY: &str = "write 1 to 64 of `a-z`, `0-9` and `-`";

/// RFC 6749 §3.3.
pub(super) fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

/// RFC 9110 §5.6.2 and §9.1.
pub(super) fn is_method(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=limits::METHOD_BYTES).contains(&text.len()) && text.bytes().all(token)
}

/// `YYYY-MM-DD`: 00:00 UTC of that day, in Unix seconds.
pub(super) fn date(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if text.len() != 10 || !digits {
        return None;
    }
    let date = Date::parse(text, format_description!("[year]-[month]-[day]")).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}

/// Reads a date or reports it.
pub(super) fn date_at(text: &str, at: Position, findings: &mut Findings<'_>) -> Option<i64> {
    let date = date(text);
    if date.is_none() {
        findings.error(
            at,
            format!("`{text}` is no date"),
            "write a day of the calendar as YYYY-MM-DD; it ends at 00:00 UTC",
        );
    }
    date
}

/// Whether [`check_prose`] has nothing to say.
pub(super) fn is_prose(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control) && text.chars().count() <= 256
}

/// A text for people: something is said in it, and it stays on one line of a log.
pub(super) fn check_prose(text: &str, key: &str, at: Position, findings: &mut Findings<'_>) {
    if text.trim().is_empty() {
        findings.error(at, format!("`{key}` says nothing"), "write who or why, in words");
    } else if !is_prose(text) {
        findings.error(
            at,
            format!("`{key}` is too long or has more than one line"),
            "write one line of up to 256 characters",
        );
    }
}

/// Reports every text of a list that is there twice.
pub(super) fn check_unique<'t>(
    texts: impl Iterator<Item = &'t str>,
    key: &str,
    at: impl Fn(usize) -> Position,
    findings: &mut Findings<'_>,
) {
    let mut seen = std::collections::HashSet::new();
    for (index, text) in texts.enumerate() {
        if !seen.insert(text) {
            findings.error(at(index), format!("`{text}` is in `{key}` twice"), "keep one of the two");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_of_the_calendar_at_midnight_utc() {
        assert_eq!(date("1970-01-02"), Some(86_400));
        assert_eq!(date("2026-12-01"), Some(1_796_083_200));
        assert_eq!(date("2028-02-29"), Some(1_835_395_200));
        for bad in
            ["2027-02-29", "2027-13-01", "2027-1-01", "27-01-01", "2027/01/01", "+027-01-01", "2027-01-01T00:00", ""]
        {
            assert_eq!(date(bad), None, "{bad}");
        }
    }
}
