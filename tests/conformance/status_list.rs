//! Token Status List (draft-ietf-oauth-status-list-20): tokens that say where their status is told, and what is told there.

use serde_json::{Value, json};

use crate::expect::{
    Expect, allow, bearer_binding, bearer_token, binding, fault, observed, policy, proof, public, token,
};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::{
    Good, LIST, NOW, Setting, good, good_asked, good_at, good_legacy, good_listed, good_listed_by_signer,
    good_listed_mtls, good_mtls, good_opaque_bearer, good_second, keys, pki, status_list,
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
    [sl_01(), sl_02(), sl_03(), sl_03_signer(), sl_04(), sl_05(), sl_06(), sl_07(), sl_08(), sl_09()].concat()
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
        uri("another scheme", json!("file:///etc/passwd")),
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

/// One change to the list, which then is none.
fn list(sentence: &str, change: impl FnOnce(&mut crate::support::Jws)) -> Row {
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
    let last = (1 << 20) - 1;
    let million = |value: u8| {
        let mut values = vec![1; 1 << 20];
        values[last as usize] = value;
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
