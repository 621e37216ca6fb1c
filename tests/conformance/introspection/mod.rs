//! RFC 7662: tokens that their issuer is asked about.

mod answer;
mod ours;
mod signed;

use crate::expect::{allow, bearer_binding};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::{good_opaque_mtls, pki};

/// Section 3.8. Signed answers (RFC 9701) are judged by the tests of `src/decision/token/signed_answer.rs`.
pub const FAMILY: Family = Family {
    prefix: "IN",
    title: "RFC 7662, introspection",
    ids: &["IN-01", "IN-02", "IN-03", "IN-04", "IN-05", "IN-06", "IN-07"],
    rows,
    throughout: &[],
    left_out: &[
        ("IN-03", "how long an answer is kept is shown by the tests of `src/edge/introspection/`"),
        ("IN-04", "the cache itself, and that a hundred equal tokens are one call, are shown there too"),
        ("IN-05", "how keybound authenticates to the issuer is shown there, and by `tests/e2e/`"),
        ("IN-06", "which answers are none is shown there; the rows show what becomes of a request without an answer"),
    ],
};

fn rows() -> Vec<Row> {
    [answer::rows(), ours::rows(), signed::rows()].concat()
}

/// Section 3.2: opaque tokens that are bound to a certificate.
pub fn mt_06() -> Vec<Row> {
    vec![
        row("MT-06", "an opaque token is bound by `cnf` of its introspection", good_opaque_mtls(), allow()),
        row(
            "MT-06",
            "without its certificate it is refused",
            good_opaque_mtls().without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            "MT-06",
            "with another certificate it is refused",
            good_opaque_mtls().certificate(&pki().other),
            bearer_binding("certificate_mismatch"),
        ),
    ]
}
