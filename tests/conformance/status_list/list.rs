//! What is fetched: which lists count, how their entries are read, and what these mean.

use serde_json::{Value, json};

use super::with;
use crate::expect::{Expect, allow, bearer_token, fault, observed, policy, public, token};
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::{
    Good, Jws, LIST, NOW, Setting, good_listed, good_listed_by_signer, good_listed_mtls, keys, status_list,
};

pub fn rows() -> Vec<Row> {
    [sl_03(), sl_03_signer(), sl_04(), sl_05(), sl_06(), sl_07()].concat()
}

/// One change to the list, which then is none.
fn list(sentence: &str, change: impl FnOnce(&mut Jws)) -> Row {
    row("SL-03", sentence, good_listed().list(change), fault("fault_status_list_unavailable"))
}

fn claimed(sentence: &str, claim: &'static str, value: Value) -> Row {
    list(sentence, |list| list.claims[claim] = value)
}

fn typed(sentence: &str, value: &'static str) -> Row {
    list(sentence, |list| list.header["typ"] = json!(value))
}

fn sl_03() -> Vec<Row> {
    let good = |sentence: &str, good: Good| row("SL-03", sentence, good, allow());
    let entries = |sentence: &str, name: &'static str, value: Value| {
        list(sentence, |list| list.claims["status_list"][name] = value)
    };
    let lst = || status_list(2, &[0; 16])["lst"].as_str().unwrap().to_owned();
    vec![
        good("a good list counts", good_listed()),
        good(
            "`typ` may be the whole media type",
            good_listed().list(|list| list.header["typ"] = json!("application/statuslist+jwt")),
        ),
        good(
            "without `exp` and `ttl` it counts",
            good_listed().list(|list| (list.without("exp"), list.without("ttl")).0),
        ),
        good("without `iss` it counts", good_listed().list(|list| list.without("iss"))),
        good(
            "`aggregation_uri` is not followed",
            good_listed().list(|list| {
                list.claims["status_list"]["aggregation_uri"] = json!("https://evil.example.com/");
            }),
        ),
        list("without `typ` it is none", |list| list.without_header("typ")),
        typed("an access token is none", "at+jwt"),
        typed("`JWT` is none", "JWT"),
        typed("`typ` in other letters is none", "StatusList+JWT"),
        typed("the CWT format's `typ` is none", "statuslist+cwt"),
        claimed("`sub` of another list is none", "sub", json!("https://status.example.com/lists/2")),
        claimed("`sub` that differs in a slash is none", "sub", json!(format!("{LIST}/"))),
        claimed("`sub` that is no string is none", "sub", json!([LIST])),
        list("without `sub` it is none", |list| list.without("sub")),
        list("without `iat` it is none", |list| list.without("iat")),
        claimed("`iat` in the future is none", "iat", json!(NOW + 11)),
        claimed("`iat` that is a string is none", "iat", json!("1")),
        claimed("`nbf` in the future is none", "nbf", json!(NOW + 11)),
        claimed("`exp` that has passed is none", "exp", json!(NOW)),
        claimed("`exp` that is a string is none", "exp", json!("9999999999")),
        claimed("`iss` of somebody else is none", "iss", json!("https://second.example.com")),
        list("signed with another key it is none", |list| list.signed_by(&keys().stranger, "ES256")),
        list("signed with a key that nobody knows it is none", |list| list.header["kid"] = json!("other")),
        list("with `alg` none it is none", |list| list.header["alg"] = json!("none")),
        list("with a MAC it is none", |list| list.header["alg"] = json!("HS256")),
        list("with `crit` it is none", |list| list.header["crit"] = json!(["exp"])),
        list("with `zip` it is none", |list| list.header["zip"] = json!("DEF")),
        list("with a claim twice it is none", |list| list.add_to_claims(r#""ttl":300"#)),
        entries("`bits` of 3 is none", "bits", json!(3)),
        entries("`bits` of 16 is none", "bits", json!(16)),
        entries("`bits` of 0 is none", "bits", json!(0)),
        entries("`bits` that is a string is none", "bits", json!("1")),
        entries("`lst` with padding is none", "lst", json!(format!("{}==", lst()))),
        entries("`lst` with more behind it is none", "lst", json!(format!("{}AAAA", lst()))),
        entries("`lst` that is cut is none", "lst", json!(lst()[..lst().len() - 4].to_owned())),
        entries("`lst` that is no text is none", "lst", json!([0, 0])),
        entries("`lst` that is not compressed is none", "lst", json!("AAAA")),
        list("without `status_list` it is none", |list| list.without("status_list")),
        claimed("`status_list` that is no object is none", "status_list", json!("eNpj")),
    ]
}

fn sl_03_signer() -> Vec<Row> {
    let none = || fault("fault_status_list_unavailable");
    let sl = |sentence: &str, good: Good, expect: Expect| row("SL-03", sentence, good, expect);
    vec![
        sl("a list that the configured signer has signed counts", good_listed_by_signer(), allow()),
        sl(
            "under another `iss` it is none",
            good_listed_by_signer().list(|list| {
                list.claims["iss"] = json!("https://as.example.com");
            }),
            none(),
        ),
        sl(
            "where somebody else signs lists, the issuer's own is none",
            good_listed().moved_under(Setting::ListedBySigner),
            none(),
        ),
        sl(
            "where nobody else signs lists, a stranger's is none",
            good_listed_by_signer().moved_under(Setting::Listed),
            none(),
        ),
        sl(
            "nor is one under an algorithm that its signer may not use",
            good_listed_by_signer().list(|list| {
                list.signed_by(&keys().client_ed25519, "EdDSA");
                list.header["alg"] = json!("EdDSA");
            }),
            none(),
        ),
    ]
}

fn sl_04() -> Vec<Row> {
    let at = |index: u32| good_listed().token(|token| token.claims["status"]["status_list"]["idx"] = json!(index));
    vec![
        row("SL-04", "the last entry of a list counts", at(15), allow()),
        row("SL-04", "one beyond it is refused", at(16), token("token_status_unknown")),
        row("SL-04", "one far beyond it is refused", at(u32::MAX), token("token_status_unknown")),
        row("SL-04", "an empty list has no first entry", at(0).entries(1, &[]), token("token_status_unknown")),
    ]
}

fn sl_05() -> Vec<Row> {
    let mut rows = Vec::new();
    for bits in [1, 2, 4, 8] {
        // The token's entry alone is valid, or alone is not.
        let most = u8::MAX >> (8 - bits);
        let mut others = vec![most; 16];
        others[5] = 0;
        let sentence = format!("with {bits} bits the token's own entry is read: it alone is 0");
        rows.push(row("SL-05", sentence, good_listed().entries(bits, &others), allow()));
        let mut own = vec![0; 16];
        own[5] = 1;
        let sentence = format!("with {bits} bits the token's own entry is read: it alone is 1");
        rows.push(row("SL-05", sentence, good_listed().entries(bits, &own), token("token_revoked")));
    }
    let last: usize = (1 << 20) - 1;
    let million = |value: u8| {
        let mut values = vec![1; 1 << 20];
        values[last] = value;
        let good = good_listed().entries(1, &values);
        good.token(|token| token.claims["status"]["status_list"]["idx"] = json!(last))
    };
    rows.push(row("SL-05", "the last of 2^20 entries is read: valid", million(0), allow()));
    rows.push(row("SL-05", "the last of 2^20 entries is read: not", million(1), token("token_revoked")));
    rows
}

fn sl_06() -> Vec<Row> {
    let value = |bits: usize, value: u8| {
        let mut values = vec![0; 16];
        values[5] = value;
        good_listed().entries(bits, &values)
    };
    let sl = |sentence: &str, good: Good, expect: Expect| row("SL-06", sentence, good, expect);
    let observing = |good: Good, host: &'static str| {
        good.host(host).proof(|proof| proof.claims["htu"] = json!(format!("https://{host}/items/7")))
    };
    vec![
        sl("0 is valid", value(8, 0), allow()),
        sl("1 is revoked", value(8, 1), token("token_revoked")),
        sl("2 is suspended", value(8, 2), token("token_suspended")),
        sl("3 means nothing here", value(8, 3), token("token_status_unknown")),
        sl("11 neither", value(4, 11), token("token_status_unknown")),
        sl("255 neither", value(8, 255), token("token_status_unknown")),
        sl(
            "a certificate-bound token is looked up too",
            good_listed_mtls().entries(1, &[1; 16]),
            bearer_token("token_revoked"),
        ),
        sl(
            "what is valid is not yet permitted",
            with(value(8, 0), "groups", json!(["suspended"])),
            policy("policy_forbidden"),
        ),
        sl("observe mode softens no status", observing(value(8, 1), host::LENIENT), token("token_revoked")),
        sl("nor a suspension", observing(value(8, 2), host::LENIENT), token("token_suspended")),
        sl(
            "nor where the sender is not proven",
            observing(value(8, 1), host::OBSERVE).proof(|proof| {
                proof.claims["iat"] = json!(NOW - 100);
            }),
            token("token_revoked"),
        ),
        sl(
            "what is valid it softens as before",
            observing(value(8, 0), host::OBSERVE).proof(|proof| {
                proof.claims["iat"] = json!(NOW - 100);
            }),
            observed(),
        ),
        sl(
            "a public operation needs no list",
            good_listed().path("/health").without("authorization").without("dpop").list_unasked(),
            public(),
        ),
        sl("a revoked token is refused there too", value(8, 1).path("/health"), token("token_revoked")),
        sl("it is looked up each time", value(8, 0), allow())
            .then(value(8, 2), token("token_suspended"))
            .then(value(8, 0), allow()),
    ]
}

fn sl_07() -> Vec<Row> {
    let sl = |sentence: &str, good: Good, expect: Expect| row("SL-07", sentence, good, expect);
    let ttl = |what: &str, value: Value, expect: Expect| {
        let good = good_listed().list(|list| list.claims["ttl"] = value);
        row("SL-07", format!("`ttl` of {what}"), good, expect)
    };
    let none = || fault("fault_status_list_unavailable");
    // Four times what a list may have here, in some kilobytes.
    let bomb = good_listed().entries(8, &vec![0; 1024 * 1024]);
    vec![
        ttl("1 counts", json!(1), allow()),
        ttl("half a second counts", json!(0.5), allow()),
        ttl("0 is none", json!(0), none()),
        ttl("-1 is none", json!(-1), none()),
        ttl("text is none", json!("300"), none()),
        ttl("null is none", json!(null), none()),
        sl("a list that is inflated beyond the bound is none", bomb, none()),
        sl("one that fills it is one", good_listed().entries(8, &vec![0; 256 * 1024]), allow()),
        sl("an `exp` that comes before the list is used again ends it", good_listed(), allow())
            .wait(3_600)
            .then(later(3_600), none()),
    ]
}

/// A good request of so many seconds later, with the same list.
fn later(seconds: i64) -> Good {
    let token = good_listed().token(|token| {
        token.claims["iat"] = json!(NOW + seconds - 10);
        token.claims["exp"] = json!(NOW + seconds + 290);
    });
    token.proof(|proof| proof.claims["iat"] = json!(NOW + seconds))
}
