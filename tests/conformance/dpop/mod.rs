//! RFC 9449: the DPoP proof, its nonce, and the scheme that announces it.

mod form;
mod keys;
mod nonce;
mod replay;
mod scheme;
mod target;
mod time;
mod token;

use crate::family::Family;
use crate::row::Row;

/// Section 3.1.
pub const FAMILY: Family = Family {
    prefix: "DP",
    title: "RFC 9449, DPoP",
    ids: &[
        "DP-01", "DP-02", "DP-03", "DP-04", "DP-04b", "DP-05", "DP-06", "DP-07", "DP-07b", "DP-08", "DP-09", "DP-10",
        "DP-11", "DP-12", "DP-13", "DP-14", "DP-15", "DP-16", "DP-17", "DP-18", "DP-19", "DP-20", "DP-21", "DP-22",
        "DP-23", "DP-24", "DP-25", "DP-26", "DP-27", "DP-28", "DP-29", "DP-30", "DP-31", "DP-32", "DP-33", "DP-34",
        "DP-35", "DP-36", "DP-37", "DP-38", "DP-39", "DP-40", "DP-41", "DP-42", "DP-43", "DP-44", "DP-45", "DP-46",
        "DP-47",
    ],
    rows,
    throughout: &[
        ("DP-18", "an answer carries at most one `DPoP-Nonce`"),
        ("DP-19", "a nonce is 1*NQCHAR"),
        ("DP-32", "a request with one failed check never reaches the API: every refusing row"),
        ("DP-35", "a 401 to a request with a token names an error"),
    ],
    left_out: &[
        (
            "DP-22",
            "`Cache-Control: no-store` beside a nonce is written by the edge; the rows show when a nonce is sent",
        ),
        ("DP-40", "a hundred identical proofs at once, and two replicas, are for the suite of the stores"),
        (
            "DP-41",
            "capacity and the share of one client are for the suite of the stores; the rows show the size of `jti`",
        ),
        ("DP-46", "a warning of the configuration, not a verdict"),
    ],
};

fn rows() -> Vec<Row> {
    [
        form::rows(),
        keys::rows(),
        target::rows(),
        nonce::rows(),
        time::rows(),
        token::rows(),
        scheme::rows(),
        replay::rows(),
    ]
    .concat()
}
