//! Security events: a SET is refused in the place of a token or a proof, and what it revokes is refused by what it names.

use serde_json::json;

use crate::expect::{allow, bearer_token, proof, token};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::revoked::{LEFT_AT, LEFT_SERVER};
use crate::support::{Good, Jws, Setting, good, good_bearer};

/// Rows are requests, and SETs are not: what the receiver does with one is shown by its own tests.
pub const FAMILY: Family = Family {
    prefix: "SS",
    title: "security events (RFC 8417, RFC 8935, SSF 1.0, CAEP 1.0)",
    ids: &[
        "SS-01", "SS-02", "SS-03", "SS-04", "SS-05", "SS-06", "SS-07", "SS-08", "SS-09", "SS-10", "SS-11", "SS-12",
        "SS-13",
    ],
    rows,
    throughout: &[],
    left_out: LEFT_OUT,
};

const LEFT_OUT: &[(&str, &str)] = &[
    (
        "SS-01",
        "202 with an empty body after it is stored, 503 if it is not: `ss_01_06_an_event_revokes_once_what_was_issued_until_it_happened`, `ss_01_what_is_not_stored_bites_and_is_asked_for_again`, `a_session_that_is_revoked_is_denied_at_the_next_request_and_after_a_kill`",
    ),
    (
        "SS-02",
        "400 and its codes: `ss_02_each_wrong_set_is_refused_with_its_code`, `ss_02_what_is_wrong_is_told_with_its_code_and_revokes_nothing`, `what_is_no_good_event_is_told_so_and_harms_nobody`",
    ),
    ("SS-03", "`typ`, no `exp`, no `sub`, `sub_id`, one event: `ss_02_each_wrong_set_is_refused_with_its_code`"),
    ("SS-04", "`iss` and `aud`: `ss_02_each_wrong_set_is_refused_with_its_code`"),
    ("SS-05", "required claims, `iat` ahead: `ss_02_each_wrong_set_is_refused_with_its_code`"),
    (
        "SS-06",
        "the same `jti` again: `ss_01_06_an_event_revokes_once_what_was_issued_until_it_happened`, `ss_06_one_set_has_one_entry_and_another_has_another`, `ss_06_a_jti_of_another_event_is_refused_and_the_first_stays`",
    ),
    (
        "SS-07",
        "a list of algorithms of its own: `ss_07_a_transmitter_signs_with_rs256_or_ps256_whatever_tokens_are_signed_with`, `what_is_left_out_is_what_is_safe`",
    ),
    (
        "SS-08",
        "subject formats: `ss_08_a_subject_is_found_by_its_format_or_told_of`. `email`, `phone_number`, `account`, `uri`, `did` and `aliases` revoke nothing and are told of: a token has none of them",
    ),
    (
        "SS-09",
        "complex subjects: `ss_09_a_complex_subject_is_a_user_or_a_session_and_never_a_crowd`. There is no opt-in to wildcards: a token does not say of which tenant, group or device it is",
    ),
    (
        "SS-10",
        "which events are for the worse: `ss_10_what_is_worse_revokes_and_what_is_not_is_recorded`, `ss_10_the_time_of_the_event_is_never_ahead_of_ours`. That a certificate which a credential-change names is revoked by its serial number is left out: the subject's tokens are",
    ),
    (
        "SS-12",
        "verification: `ss_12_a_verification_gives_back_its_state`, `ss_12_what_revokes_nothing_is_counted_and_answered_202`. The state is logged, not compared: keybound asks for no verification",
    ),
    ("SS-13", "the `Authorization` header: `ss_13_a_transmitter_shows_the_header_that_was_agreed_upon`"),
];

fn rows() -> Vec<Row> {
    [ss_10(), ss_11()].concat()
}

/// What an event leaves behind is an entry about what was issued until it happened.
fn ss_10() -> Vec<Row> {
    let issued = |at: i64| {
        let of = move |token: &mut Jws| {
            token.claims["sub"] = json!(LEFT_SERVER);
            token.claims["iat"] = json!(at);
        };
        good().token(of).moved_under(Setting::Revoked)
    };
    let ss = |sentence: &str, good: Good, expect| row("SS-10", sentence, good, expect);
    vec![
        ss(
            "a token of the subject that was issued until the event is refused",
            issued(LEFT_AT),
            token("token_revoked"),
        ),
        ss("or as much later as its issuer's clock may be ahead", issued(LEFT_AT + 10), token("token_revoked")),
        ss("a younger one is allowed", issued(LEFT_AT + 11), allow()),
    ]
}

fn ss_11() -> Vec<Row> {
    let event = |jws: &mut Jws| {
        jws.header["typ"] = json!("secevent+jwt");
        let uri = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
        jws.claims["events"] = json!({ uri: {} });
        jws.claims["sub_id"] = json!({"format": "opaque", "id": "x"});
    };
    let long = |jws: &mut Jws| jws.header["typ"] = json!("application/secevent+jwt");
    let ss = |sentence: &str, good: Good, expect| row("SS-11", sentence, good, expect);
    let unexpected = "token_type_unexpected";
    vec![
        ss("a token is allowed", good(), allow()),
        ss("a SET in its place is refused", good().token(event), token(unexpected)),
        ss("also as a bearer token", good_bearer().token(event), bearer_token(unexpected)),
        ss("by the long name of its type too", good().token(long), token(unexpected)),
        ss("a SET in the place of a proof is refused", good().proof(event), proof("proof_type_unexpected")),
    ]
}
