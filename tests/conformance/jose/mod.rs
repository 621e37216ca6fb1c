//! RFC 7515, 7517, 7518, 7519 and 7797: what a JWS is, and what is in it.

mod key_sets;
mod members;
mod text;

use crate::family::Family;
use crate::row::Row;

/// Section 3.6.
pub const FAMILY: Family = Family {
    prefix: "JW",
    title: "RFC 7515 to 7519 and 7797, JOSE",
    ids: &[
        "JW-01", "JW-02", "JW-03", "JW-04", "JW-05", "JW-06", "JW-07", "JW-08", "JW-09", "JW-10", "JW-11", "JW-12",
        "JW-13",
    ],
    rows,
    throughout: &[],
    left_out: &[("JW-13", "fetching and rotating keys is for the suite of the edge")],
};

fn rows() -> Vec<Row> {
    [members::rows(), text::rows(), key_sets::rows()].concat()
}
