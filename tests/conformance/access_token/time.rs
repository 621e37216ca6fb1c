//! When a token is good, and for how long.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, token};
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::{Good, NOW, good, good_at, good_second};

pub fn rows() -> Vec<Row> {
    [at_05(), at_05_form(), at_05_skew(), at_05_beginnings(), at_05_lifetime()].concat()
}

fn expiring(good: Good, expires: impl Into<Value>) -> Good {
    let expires = expires.into();
    good.token(|token| token.claims["exp"] = expires)
}

fn at_05() -> Vec<Row> {
    let at = |sentence: &str, expires: i64, expect: Expect| row("AT-05", sentence, expiring(good(), expires), expect);
    vec![
        at("a token that expires in a second is allowed", NOW + 1, allow()),
        at("a token that expires now has expired", NOW, token("token_expired")),
        at("a token that expired a second ago has expired", NOW - 1, token("token_expired")),
        at("a token that expired in 1970 has expired", 0, token("token_expired")),
        at("a token that expired before 1970 has expired", -1, token("token_expired")),
        row("AT-05", "a token that was good expires", good(), allow()).wait(290).again(token("token_expired")),
    ]
}

fn at_05_form() -> Vec<Row> {
    let value = |expires: Value, expect: Expect| {
        let sentence = format!("`exp` of {expires}");
        row("AT-05", sentence, expiring(good(), expires), expect)
    };
    let text = |expires: &'static str, expect: Expect| {
        let change = expiring(good(), "@").token(|t| t.edit_claims(move |text| text.replace("\"@\"", expires)));
        row("AT-05", format!("`exp` written {expires}"), change, expect)
    };
    let malformed = || token("token_claim_malformed");
    vec![
        value(json!("1800000290"), malformed()),
        value(json!(1_800_000_000.5), token("token_expired")),
        value(json!(1_800_000_001.5), allow()),
        value(json!(u64::MAX), malformed()),
        value(json!(i64::MAX), malformed()),
        value(json!(i64::MIN), malformed()),
        value(json!(253_402_300_800_i64), malformed()),
        text("18446744073709551616", malformed()),
        text("1e999", token("token_malformed")),
        text("1e300", malformed()),
        text("Infinity", token("token_malformed")),
        text("1800000290.0", allow()),
        text("1.80000029e9", allow()),
    ]
}

fn at_05_skew() -> Vec<Row> {
    let at = |sentence: &str, expires: i64, expect: Expect| {
        row("AT-05", sentence, expiring(good_second(), expires).token(|t| t.claims["iat"] = json!(NOW - 600)), expect)
    };
    vec![
        at("with 60 s of skew a token that expired 59 s ago is allowed", NOW - 59, allow()),
        at("with 60 s of skew a token that expired 60 s ago has expired", NOW - 60, token("token_expired")),
        at("with 60 s of skew a token that expired 61 s ago has expired", NOW - 61, token("token_expired")),
    ]
}

fn at_05_beginnings() -> Vec<Row> {
    let with = |good: Good, claim: &'static str, value: Value, expect: Expect| {
        let sentence = match value.as_i64() {
            Some(time) => {
                format!("`{claim}` of {} s ahead, where the issuer may be {} s ahead", time - NOW, skew(&good))
            }
            None => format!("`{claim}` of {value}"),
        };
        row("AT-05", sentence, good.token(|token| token.claims[claim] = value), expect)
    };
    let mut rows = Vec::new();
    for claim in ["iat", "nbf"] {
        rows.extend([
            with(good(), claim, json!(NOW), allow()),
            with(good(), claim, json!(NOW + 10), allow()),
            with(good(), claim, json!(NOW + 11), token("token_not_yet_valid")),
            with(good(), claim, json!(1_800_000_010.5), token("token_not_yet_valid")),
            with(good_second(), claim, json!(NOW + 60), allow()),
            with(good_second(), claim, json!(NOW + 61), token("token_not_yet_valid")),
        ]);
    }
    rows
}

/// How far ahead the base's issuer may be.
fn skew(good: &Good) -> i64 {
    if good.base() == good_second().base() { 60 } else { 10 }
}

fn at_05_lifetime() -> Vec<Row> {
    let living = |good: Good, seconds: i64| {
        good.token(|token| {
            token.claims["iat"] = json!(NOW - 100);
            token.claims["exp"] = json!(NOW - 100 + seconds);
        })
    };
    let exceeded = || token("token_lifetime_exceeded");
    vec![
        row("AT-05", "a token that lives as long as its issuer allows is allowed", living(good(), 3600), allow()),
        row("AT-05", "a token that lives a second longer is refused", living(good(), 3601), exceeded()),
        row("AT-05", "an API may allow less: 300 s are allowed", living(good_at(host::SHORT), 300), allow()),
        row("AT-05", "and 301 s are refused", living(good_at(host::SHORT), 301), exceeded()),
        row(
            "AT-05",
            "a life that ends before it begins has expired",
            good().token(|t| {
                t.claims["iat"] = json!(NOW - 10);
                t.claims["exp"] = json!(NOW - 20);
            }),
            token("token_expired"),
        ),
    ]
}
