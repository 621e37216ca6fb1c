//! RFC 9068: the JWT access token.

mod claims;
mod form;
mod time;

use crate::family::Family;
use crate::row::Row;

/// Section 3.4.
pub const FAMILY: Family = Family {
    prefix: "AT",
    title: "RFC 9068, JWT access tokens",
    ids: &["AT-01", "AT-02", "AT-03", "AT-04", "AT-05", "AT-06", "AT-07", "AT-08", "AT-09", "AT-10", "AT-11"],
    rows,
    throughout: &[(
        "AT-08",
        "a refused token is told invalid_token, in the same words for every reason: the rows compare the fields whole",
    )],
    left_out: &[("AT-07", "encrypted tokens are not supported, so there is no inner token to unwrap")],
};

fn rows() -> Vec<Row> {
    [form::rows(), claims::rows(), time::rows()].concat()
}
