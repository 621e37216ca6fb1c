//! When a proof was made.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, proof};
use crate::row::{Row, row};
use crate::support::{Good, NOW, good};

pub fn rows() -> Vec<Row> {
    [dp_23_24(), dp_25(), dp_26()].concat()
}

/// The good proof made at another time.
fn issued(iat: impl Into<Value>) -> Good {
    let iat = iat.into();
    good().proof(|proof| proof.claims["iat"] = iat)
}

/// The good proof with this text for `iat`.
fn issued_text(iat: &'static str) -> Good {
    issued("@").proof(|proof| proof.edit_claims(move |text| text.replace("\"@\"", iat)))
}

fn dp_23_24() -> Vec<Row> {
    let at = |id: &'static str, offset: i64, expect: Expect| {
        let sentence = match offset {
            ..0 => format!("a proof made {} s ago", -offset),
            _ => format!("a proof made {offset} s ahead"),
        };
        row(id, sentence, issued(NOW + offset), expect)
    };
    vec![
        at("DP-23", -60, allow()),
        at("DP-23", -61, proof("proof_stale")),
        at("DP-23", -3600, proof("proof_stale")),
        at("DP-23", 11, proof("proof_from_future")),
        at("DP-23", 3600, proof("proof_from_future")),
        at("DP-24", -10, allow()),
        at("DP-24", 0, allow()),
        at("DP-24", 8, allow()),
        at("DP-24", 10, allow()),
    ]
}

fn dp_25() -> Vec<Row> {
    let value = |iat: Value, expect: Expect| {
        let sentence = format!("`iat` of {iat}");
        row("DP-25", sentence, issued(iat), expect)
    };
    let text =
        |iat: &'static str, expect: Expect| row("DP-25", format!("`iat` written {iat}"), issued_text(iat), expect);
    let malformed = || proof("proof_malformed");
    vec![
        value(json!(0), proof("proof_stale")),
        value(json!(-1), proof("proof_stale")),
        value(json!(i64::MIN), malformed()),
        value(json!(i64::MAX), malformed()),
        value(json!(u64::MAX), malformed()),
        value(json!(9_007_199_254_740_993_i64), malformed()),
        value(json!(253_402_300_799_i64), proof("proof_from_future")),
        value(json!("1799999999"), malformed()),
        value(json!(1_799_999_999.5), allow()),
        value(json!(1_799_999_940.5), allow()),
        value(json!(1_799_999_939.5), proof("proof_stale")),
        value(json!(1_800_000_009.5), allow()),
        value(json!(1_800_000_010.5), proof("proof_from_future")),
        text("1e400", malformed()),
        text("-1e400", malformed()),
        text("1e30", malformed()),
        text("18e8", allow()),
        text("1799999999.0", allow()),
        text("99999999999999999999999999", malformed()),
        text("NaN", malformed()),
        text("01799999999", malformed()),
        text("+1799999999", malformed()),
    ]
}

fn dp_26() -> Vec<Row> {
    let with = |sentence: &str, members: &[(&str, Value)], expect: Expect| {
        let change = good().proof(|proof| {
            for (name, value) in members {
                proof.claims[*name] = value.clone();
            }
        });
        row("DP-26", sentence, change, expect)
    };
    vec![
        with(
            "a proof with `nbf` now and `exp` ahead is allowed",
            &[("nbf", json!(NOW)), ("exp", json!(NOW + 300))],
            allow(),
        ),
        with("a proof with `exp` past is refused", &[("exp", json!(NOW - 1))], proof("proof_stale")),
        with("a proof with `exp` now is refused", &[("exp", json!(NOW))], proof("proof_stale")),
        with(
            "a proof with `exp` half a second ahead is refused",
            &[("exp", json!(1_800_000_000.5))],
            proof("proof_stale"),
        ),
        with("a proof with `exp` a second ahead is allowed", &[("exp", json!(NOW + 1))], allow()),
        with("a proof with `nbf` 10 s ahead is allowed", &[("nbf", json!(NOW + 10))], allow()),
        with("a proof with `nbf` 11 s ahead is refused", &[("nbf", json!(NOW + 11))], proof("proof_from_future")),
        with("a proof whose `exp` is a string is refused", &[("exp", json!("1800000300"))], proof("proof_malformed")),
        with("a proof whose `nbf` is null is refused", &[("nbf", json!(null))], proof("proof_malformed")),
    ]
}
