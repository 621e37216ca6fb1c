//! Token Status List (draft-ietf-oauth-status-list-20): tokens that say where their status is told, and what is told there.

mod list;

use serde_json::{Value, json};

use crate::expect::{Expect, allow, bearer_binding, bearer_token, binding, fault, proof, token};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::{
    Good, LIST, NOW, Setting, good, good_asked, good_at, good_legacy, good_listed, good_listed_mtls, good_mtls,
    good_opaque_bearer, good_second, keys, pki,
};

/// Section 3.16.
pub const FAMILY: Family = Family {
    prefix: "SL",
    title: "Token Status List",
    ids: &["SL-01", "SL-02", "SL-03", "SL-04", "SL-05", "SL-06", "SL-07", "SL-08", "SL-09"],
    rows,
    throughout: &[],
    left_out: &[
        (
            "SL-01",
            "in every row of every family a question for a list that the row does not expect is a defect: none of them asks",
        ),
        (
            "SL-07",
            "how long a list is kept, what is asked of HTTP and redirects are shown by the tests of `src/edge/status_lists/`",
        ),
        ("SL-08", "that only hosts of the operator's file are asked, after a redirect too, is shown there"),
        ("SL-09", "how much longer a list counts that cannot be fetched is shown there, and by `tests/e2e/`"),
    ],
};

fn rows() -> Vec<Row> {
    [sl_01(), sl_02(), list::rows(), sl_08(), sl_09()].concat()
}

fn with(good: Good, claim: &'static str, value: Value) -> Good {
    good.token(|token| token.claims[claim] = value)
}

fn sl_01() -> Vec<Row> {
    let sl = |sentence: &str, good: Good, expect: Expect| row("SL-01", sentence, good.list_unasked(), expect);
    let other = || keys().client_ed25519.thumbprint();
    vec![
        row("SL-01", "a good request is allowed once its list says so", good_listed(), allow()),
        sl("for an expired token nobody asks", with(good_listed(), "exp", json!(NOW)), token("token_expired")),
        sl(
            "nor for one of another audience",
            with(good_listed(), "aud", json!("https://elsewhere.example.com")),
            token("token_audience_mismatch"),
        ),
        sl(
            "nor for one whose signature is wrong",
            good_listed().token(|token| token.signed_by(&keys().stranger, "ES256")),
            token("token_signature_invalid"),
        ),
        sl(
            "nor for one of an API that does not accept its issuer",
            good_listed().host(host::SECOND).proof(|proof| {
                proof.claims["htu"] = json!(format!("https://{}/items/7", host::SECOND));
            }),
            token("token_issuer_unknown"),
        ),
        sl(
            "nor for one that is bound to another key",
            with(good_listed(), "cnf", json!({"jkt": other()})),
            binding("proof_key_mismatch"),
        ),
        sl(
            "nor for one that is bound to another certificate",
            good_listed_mtls().certificate(&pki().other),
            bearer_binding("certificate_mismatch"),
        ),
        sl(
            "nor with a proof for another method",
            good_listed().proof(|proof| proof.claims["htm"] = json!("PUT")),
            proof("proof_method_mismatch"),
        ),
        sl(
            "nor for one without the proof that is demanded",
            good_listed().token(|token| token.without("cnf")).scheme("Bearer").without("dpop"),
            bearer_binding("binding_missing"),
        ),
        row("SL-01", "a replayed proof is refused, whatever the list says", good_listed(), allow())
            .again(proof("proof_replayed")),
    ]
}

/// One change to what the token says of its list.
fn says(sentence: &str, status: Value, expect: Expect) -> Row {
    row("SL-02", sentence, with(good_listed(), "status", status).list_unasked(), expect)
}

fn sl_02() -> Vec<Row> {
    let malformed = || token("token_claim_malformed");
    let unchecked = || token("token_status_unchecked");
    let idx = |what: &str, value: Value| {
        let status = json!({"status_list": {"idx": value, "uri": LIST}});
        says(&format!("`idx` that is {what} is refused"), status, malformed())
    };
    let uri = |what: &str, value: Value| {
        let status = json!({"status_list": {"idx": 5, "uri": value}});
        says(&format!("`uri` that is {what} is refused"), status, malformed())
    };
    let without = |good: Good| good.token(|token| token.without("status")).list_unasked();
    vec![
        row("SL-02", "a token that names no list needs none", without(good_listed()), allow()),
        idx("negative", json!(-1)),
        idx("a fraction", json!(5.5)),
        idx("a float", json!(5.0)),
        idx("a string", json!("5")),
        idx("null", json!(null)),
        idx("larger than any list", json!(4_294_967_296_u64)),
        uri("no string", json!(7)),
        uri("no URL", json!("lists/1")),
        uri("another scheme", json!("ftp://status.example.com/1")),
        uri("with a space", json!("https://status.example.com/lists/ 1")),
        uri("with a backslash", json!("https://status.example.com\\@evil.example.com/")),
        uri("with a fragment", json!("https://status.example.com/lists/1#2")),
        uri("too long", json!(format!("https://status.example.com/{}", "x".repeat(2_048)))),
        says("`idx` that is missing is refused", json!({"status_list": {"uri": LIST}}), malformed()),
        says("`uri` that is missing is refused", json!({"status_list": {"idx": 5}}), malformed()),
        says("`status_list` that is no object is refused", json!({"status_list": [5, LIST]}), malformed()),
        says("`status` that is no object is refused", json!(LIST), malformed()),
        says("a mechanism that nobody knows is refused", json!({"other": {"uri": LIST}}), unchecked()),
        says("`status` of nothing is refused", json!({}), unchecked()),
        row(
            "SL-02",
            "beside a list another mechanism may be named",
            good_listed().token(|token| token.claims["status"]["other"] = json!(1)),
            allow(),
        ),
        row(
            "SL-02",
            "a token without `status` is refused where its issuer must name a list",
            without(good_listed()).moved_under(Setting::ListRequired),
            token("token_claim_missing"),
        ),
        row(
            "SL-02",
            "one that names a list is allowed there",
            good_listed().moved_under(Setting::ListRequired),
            allow(),
        ),
    ]
}

fn sl_08() -> Vec<Row> {
    let at = |uri: &'static str| {
        let good = good_listed().token(|token| token.claims["status"]["status_list"]["uri"] = json!(uri));
        good.list(|list| list.claims["sub"] = json!(uri))
    };
    let refused = |what: &str, uri: &'static str| {
        row("SL-08", format!("{what} is not asked"), at(uri).list_unasked(), token("token_status_unchecked"))
    };
    let allowed = |what: &str, uri: &'static str| row("SL-08", format!("{what} is asked"), at(uri), allow());
    vec![
        allowed("a host that is named", "https://status.example.com/other?list=1"),
        allowed("the root of one", "https://status.example.com"),
        allowed("the port of one that is named", "https://status.example.com:8443/lists/1"),
        refused("another host", "https://evil.example.com/lists/1"),
        refused("another port", "https://status.example.com:8444/lists/1"),
        refused("a host that begins like one", "https://status.example.com.evil.example.com/lists/1"),
        refused("a host behind a user name", "https://status.example.com@evil.example.com/lists/1"),
        refused("a host behind a password", "https://status.example.com:8443@evil.example.com/lists/1"),
        refused("a host in other letters", "https://STATUS.example.com/lists/1"),
        refused("plain http", "http://status.example.com/lists/1"),
        refused("this machine", "https://127.0.0.1/lists/1"),
        refused("a metadata service", "https://169.254.169.254/lists/1"),
    ]
}

fn sl_09() -> Vec<Row> {
    let sl = |sentence: &str, good: Good, expect: Expect| row("SL-09", sentence, good, expect);
    let none = || fault("fault_status_list_unavailable");
    let named =
        |good: Good| good.token(|token| token.claims["status"] = json!({"status_list": {"idx": 5, "uri": LIST}}));
    let lenient = good_at(host::LENIENT).moved_under(Setting::Listed);
    vec![
        sl("with a list it is allowed", good_listed(), allow()),
        sl("without one nobody knows", good_listed().list_unavailable(), none()),
        sl("nor for a certificate-bound token", good_listed_mtls().list_unavailable(), none()),
        sl("an empty answer is no list", good_listed().list_text(""), none()),
        sl("a page is no list", good_listed().list_text("<html></html>"), none()),
        sl("garbage is no list", good_listed().list_text("a.b.c"), none()),
        sl("observe mode does not soften it", named(lenient).list_unavailable(), none()),
        sl(
            "a token that names a list is refused where its issuer has none in config",
            named(good()),
            token("token_status_unchecked"),
        ),
        sl("so is any other mechanism", with(good(), "status", json!({"other": 1})), token("token_status_unchecked")),
        sl("so is whatever `status` is", with(good(), "status", json!(true)), token("token_status_unchecked")),
        sl(
            "so is one of an issuer beside",
            named(good_second()).moved_under(Setting::Listed),
            token("token_status_unchecked"),
        ),
        sl("so is one that is certificate-bound", named(good_mtls()), bearer_token("token_status_unchecked")),
        sl("where config says so it is ignored", named(good_legacy()).moved_under(Setting::Listed), allow()),
        sl(
            "what the issuer tells of an opaque token is its status: no list is followed",
            named(good_opaque_bearer()).moved_under(Setting::Listed),
            allow(),
        ),
        sl(
            "of a JWT that its issuer is asked about too the list is looked into all the same",
            named(good_asked()).moved_under(Setting::Listed).list_unavailable(),
            none(),
        ),
    ]
}
