//! What the RFCs leave to us: the bundle, the memory of spent proofs, policies, observe mode, exceptions, public operations.

mod judgement;
mod leniency;

use crate::family::Family;
use crate::row::Row;

/// What no RFC decides.
pub const FAMILY: Family = Family {
    prefix: "KB",
    title: "what the RFCs leave to keybound",
    ids: &["KB-01", "KB-02", "KB-03", "KB-04", "KB-05", "KB-06", "KB-07", "KB-08", "KB-09"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "KB-01",
            "more checks than the bound, a decision that is late, and a defect: none is a request; see the tests of the gate",
        ),
        (
            "KB-03",
            "when the room of entries whose time has passed comes back depends on where they lie; see the tests of the memory",
        ),
    ],
};

fn rows() -> Vec<Row> {
    [judgement::rows(), leniency::rows()].concat()
}
