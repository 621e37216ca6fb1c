//! The only place where the wall clock is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds. A clock before 1970 reads as the far future, where every token has expired: late is a denial.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one reader of the clock")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(i64::MAX)
}

/// Unix milliseconds.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the one reader of the clock")]
pub fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(i64::MAX)
}
