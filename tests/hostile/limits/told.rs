//! What issuers tell is theirs to choose, and bounded all the same.

use keybound::decision::limits;
use serde_json::json;

use super::{Limit, here, there};
use crate::support::setting::MOST_LIST_BYTES;
use crate::support::{LIST, good_listed, good_opaque};

pub fn all() -> Vec<Limit> {
    core::iter::once(of_answer()).chain(of_lists()).collect()
}

/// What is answered about a token.
fn of_answer() -> Limit {
    let sized = |bytes: usize| {
        good_opaque().token(move |token| {
            token.edit_claims(move |text| format!("{text}{}", " ".repeat(bytes - text.len())));
        })
    };
    here(
        "INTROSPECTION_BYTES",
        limits::INTROSPECTION_BYTES,
        "bytes of what an issuer answers about a token",
        (sized(limits::INTROSPECTION_BYTES), "allowed"),
        (sized(limits::INTROSPECTION_BYTES + 1), "fault_introspection_unavailable"),
    )
}

/// Lists and where they are: signed, and bounded all the same.
fn of_lists() -> Vec<Limit> {
    let at = |bytes: usize| {
        let uri = format!("{LIST}{}", "/".repeat(bytes - LIST.len()));
        let good = good_listed().list(|list| list.claims["sub"] = json!(uri));
        good.token(|token| token.claims["status"]["status_list"]["uri"] = json!(uri))
    };
    let entries = |bytes: usize| good_listed().entries(8, &vec![0; bytes]);
    vec![
        here(
            "STATUS_URI_BYTES",
            limits::STATUS_URI_BYTES,
            "bytes of the URI of a token's status list",
            (at(limits::STATUS_URI_BYTES), "allowed"),
            (at(limits::STATUS_URI_BYTES + 1), "token_claim_malformed"),
        ),
        here(
            "max_kibibytes",
            MOST_LIST_BYTES,
            "bytes of a status list once it is inflated; as configured in these tests, 4 MiB unless another is",
            (entries(MOST_LIST_BYTES), "allowed"),
            (entries(MOST_LIST_BYTES + 1), "fault_status_list_unavailable"),
        ),
        there(
            "max_lists",
            &64,
            "status lists of one issuer, unless configured",
            "who_was_not_used_for_longest_makes_room",
        ),
        there(
            "redirects",
            &3,
            "redirects from a status list's URI, to named hosts",
            "sl_09_what_is_no_list_is_none_and_is_left_alone_for_a_while",
        ),
    ]
}
