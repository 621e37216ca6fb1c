//! Envoy's CheckRequest: what it holds, what may be wrong with it, what must not be believed.

mod headers;
mod message;
mod target;

use crate::family::Family;
use crate::row::Row;

/// Section 3.11.
pub const FAMILY: Family = Family {
    prefix: "EC",
    title: "Envoy's CheckRequest",
    ids: &["EC-01", "EC-02", "EC-03", "EC-04", "EC-05", "EC-06", "EC-07", "EC-08", "EC-09", "EC-10", "EC-11"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "EC-07",
            "which headers the upstream gets is written by the edge; the rows show that those of a client decide nothing",
        ),
        ("EC-09", "clearing the route cache after the check is Envoy's configuration, and documented there"),
        ("EC-10", "what a gRPC client sees of a denial is for the tests with a real Envoy"),
        ("EC-11", "options of Envoy's filter are for the tests with a real Envoy"),
    ],
};

fn rows() -> Vec<Row> {
    [message::rows(), target::rows(), headers::rows()].concat()
}
