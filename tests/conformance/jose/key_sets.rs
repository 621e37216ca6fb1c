//! The key sets that issuers publish.

use serde_json::json;

use crate::expect::{allow, fault, token};
use crate::row::{Row, row};
use crate::support::issuers::{KEYLESS, with_key_set};
use crate::support::{Good, SigningKey, good_key_set, keys};

pub fn rows() -> Vec<Row> {
    [jw_09(), jw_10(), jw_11()].concat()
}

/// A token by the odd key of a key set.
fn by_odd(set: &'static str, key: &'static SigningKey, algorithm: &'static str) -> Good {
    good_key_set(set).token(|token| {
        token.header["kid"] = json!("odd");
        token.header["alg"] = json!(algorithm);
        token.signed_by(key, algorithm);
    })
}

/// A key that is not used, beside one that is.
fn skipped(
    id: &'static str,
    set: &'static str,
    what: &str,
    key: &'static SigningKey,
    algorithm: &'static str,
) -> [Row; 2] {
    [
        row(id, format!("{what} is not used"), by_odd(set, key, algorithm), token("token_key_unknown")),
        row(id, format!("the key beside it is: {what}"), good_key_set(set), allow()),
    ]
}

fn jw_09() -> Vec<Row> {
    let of_second = |set, what| skipped("JW-09", set, what, &keys().second, "ES256");
    let used = |set, what: &str| row("JW-09", format!("{what} is used"), by_odd(set, &keys().second, "ES256"), allow());
    let mut rows: Vec<Row> = [
        of_second("encryption", "a key with `use: enc`"),
        of_second("operations", "a key whose `key_ops` has no `verify`"),
        of_second("unknown-algorithm", "a key with an `alg` that nobody knows"),
        of_second("type", "a key with a `kty` that nobody knows"),
        of_second("curve", "a key on a curve that we do not know"),
        of_second("wrong-curve", "a key with the name of another curve"),
        of_second("private", "a key with its private part"),
    ]
    .concat();
    rows.push(used("plain", "a key without `use`, `key_ops` and `alg`"));
    rows.push(used("signature", "a key with `use: sig`, `key_ops: [verify]` and its own `alg`"));
    let keyless = good_key_set("plain").token(|t| t.claims["iss"] = json!(KEYLESS));
    rows.push(row("JW-09", "an issuer without one usable key has none", keyless, fault("fault_keys_unavailable")));
    rows
}

fn jw_10() -> Vec<Row> {
    let invalid = || token("token_signature_invalid");
    let by = |set: &'static str, key: &'static SigningKey, algorithm: &'static str| {
        good_key_set(set).token(|token| {
            token.header["alg"] = json!(algorithm);
            token.signed_by(key, algorithm);
        })
    };
    // The fifth key of the id is the one that signed: no more than four are tried.
    let crowded = good_key_set("plain").token(|t| t.claims["iss"] = json!(with_key_set("same-kid-many")));
    vec![
        row(
            "JW-10",
            "of two keys with one id and kind, the second may be the one",
            by("same-kid", &keys().server, "ES256"),
            allow(),
        ),
        row("JW-10", "or the first", by("same-kid", &keys().stranger, "ES256"), allow()),
        row("JW-10", "but no third", by("same-kid", &keys().second, "ES256"), invalid()),
        row(
            "JW-10",
            "of two keys with one id, the kind chooses: EC",
            by("same-kid-other-type", &keys().server, "ES256"),
            allow(),
        ),
        row(
            "JW-10",
            "of two keys with one id, the kind chooses: RSA",
            by("same-kid-other-type", &keys().server_rsa, "RS256"),
            allow(),
        ),
        row("JW-10", "of five keys with one id, four are tried", crowded, invalid()),
    ]
}

fn jw_11() -> Vec<Row> {
    [
        skipped(
            "JW-11",
            "leading-zero-modulus",
            "an RSA key whose `n` has a leading zero",
            &keys().server_rsa,
            "RS256",
        ),
        skipped(
            "JW-11",
            "leading-zero-exponent",
            "an RSA key whose `e` has a leading zero",
            &keys().server_rsa,
            "RS256",
        ),
        skipped("JW-11", "short-coordinate", "an EC key with a short coordinate", &keys().second, "ES256"),
        skipped("JW-11", "long-coordinate", "an EC key with a long coordinate", &keys().second, "ES256"),
    ]
    .concat()
}
