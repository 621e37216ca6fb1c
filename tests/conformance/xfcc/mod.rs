//! Envoy's `x-forwarded-client-cert`.

mod choice;
mod grammar;

use crate::expect::{Expect, bearer_binding};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::{Good, Setting, good_mtls_by_header, pki};

/// Section 3.10.
pub const FAMILY: Family = Family {
    prefix: "XF",
    title: "x-forwarded-client-cert",
    ids: &["XF-01", "XF-02", "XF-03", "XF-04", "XF-05", "XF-06", "XF-07", "XF-08", "XF-09", "XF-10", "XF-11", "XF-12"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "XF-07",
            "what a proxy forwards is its own configuration; the rows show that the header counts only as the configured source",
        ),
        (
            "XF-11",
            "`Connection: x-forwarded-client-cert` makes Envoy remove the header before it asks: then there is no certificate",
        ),
    ],
};

fn rows() -> Vec<Row> {
    [grammar::rows(), choice::rows()].concat()
}

const NAME: &str = "x-forwarded-client-cert";

/// `Hash=` of the client that the token names.
fn hash() -> String {
    format!("Hash={}", pki().client.hash())
}

/// The good request: the last element has the certificate's hash.
fn good_header() -> Good {
    good_mtls_by_header(Setting::Xfcc, NAME, hash())
}

fn with(id: &'static str, sentence: &str, value: impl AsRef<[u8]>, expect: Expect) -> Row {
    row(id, sentence, good_header().header(NAME, value), expect)
}

fn malformed() -> Expect {
    bearer_binding("certificate_malformed")
}
