//! RFC 8725: the best current practice for JWTs.

mod keys;
mod kinds;
mod text;

use crate::family::Family;
use crate::row::Row;

/// Section 3.5.
pub const FAMILY: Family = Family {
    prefix: "JB",
    title: "RFC 8725, JWT best practice",
    ids: &["JB-01", "JB-02", "JB-03", "JB-04", "JB-05", "JB-06", "JB-07", "JB-08", "JB-09", "JB-10", "JB-11", "JB-12"],
    rows,
    throughout: &[],
    left_out: &[
        ("JB-09", "the audience is shown by AT-03"),
        (
            "JB-10",
            "that nothing is fetched follows from `src/decision/` having no sockets; `tests/tidy.rs` holds it to that",
        ),
        (
            "JB-11",
            "the places for SETs, introspection answers and status lists come with them; the rows hold their tokens against the two places that exist",
        ),
    ],
};

fn rows() -> Vec<Row> {
    [keys::rows(), text::rows(), kinds::rows()].concat()
}
