//! The nonces of the resource server (RFC 9449 §8, §9).

use serde_json::{Value, json};

use crate::expect::{allow, nonce_required, proof};
use crate::row::{Row, row};
use crate::support::setting::{NONCE_LIFETIME, nonce, nonce_of_nobody, nonce_of_previous_key};
use crate::support::{Good, NOW, fresh_id, good, good_nonce};

pub fn rows() -> Vec<Row> {
    [dp_16(), dp_17(), dp_17_time(), dp_18_20(), dp_21(), dp_22()].concat()
}

/// The good request whose proof has another nonce.
fn with(nonce: impl Into<Value>) -> Good {
    let nonce = nonce.into();
    good_nonce().proof(|proof| proof.claims["nonce"] = nonce)
}

/// The same, made this many seconds later.
fn later(seconds: i64, nonce: &str) -> Good {
    let token_of_some_length = with(nonce).token(|token| token.claims["exp"] = json!(NOW + 900));
    token_of_some_length.proof(|proof| {
        proof.claims["iat"] = json!(NOW + seconds);
        proof.claims["jti"] = json!(fresh_id());
    })
}

fn dp_16() -> Vec<Row> {
    vec![
        row("DP-16", "a nonce of ours is allowed", good_nonce(), allow()),
        row(
            "DP-16",
            "a proof without a nonce is refused where one is wanted, and given one",
            good_nonce().proof(|p| p.without("nonce")),
            nonce_required(),
        )
        .with_nonce(|nonce| with(nonce), allow()),
        row("DP-16", "a nonce that is null is refused", with(Value::Null), nonce_required()),
        row("DP-16", "a nonce that is a number is refused", with(1), nonce_required()),
        row("DP-16", "a nonce in an array is refused", with(json!([nonce("nonce", NOW)])), nonce_required()),
        row("DP-16", "an empty nonce is refused", with(""), nonce_required()),
        row("DP-16", "where no nonce is wanted none is asked for", good(), allow()),
    ]
}

fn dp_17() -> Vec<Row> {
    let ours = nonce("nonce", NOW - 10);
    let cut = ours[..ours.len() - 2].to_owned();
    let tampered = format!("{}{}", if ours.starts_with('A') { "B" } else { "A" }, &ours[1..]);
    let refused = |sentence: &str, nonce: String| row("DP-17", sentence, with(nonce), nonce_required());
    vec![
        refused("a nonce that is not one of ours is refused", "eyJ7S_zG.eyJH0-Z.HX4w-7v".to_owned()),
        refused("the nonce of an authorization server is refused", nonce_of_nobody("nonce", NOW - 10)),
        refused("the nonce of another API is refused", nonce("other-nonce", NOW - 10)),
        refused("a nonce with another first character is refused", tampered),
        refused("a nonce that is cut short is refused", cut),
        refused("a nonce with padding is refused", format!("{ours}==")),
        refused("a nonce with text after it is refused", format!("{ours}AAAA")),
        refused("a nonce of 20 KiB characters is refused", "A".repeat(5000)),
        row(
            "DP-17",
            "whoever brings a wrong nonce gets a right one",
            with(nonce_of_nobody("nonce", NOW)),
            nonce_required(),
        )
        .with_nonce(|nonce| with(nonce), allow()),
    ]
}

fn dp_17_time() -> Vec<Row> {
    let minted = |age: i64| with(nonce("nonce", NOW - age));
    let aged = |iat: i64| good_nonce().proof(|proof| proof.claims["iat"] = json!(iat));
    vec![
        row(
            "DP-17",
            "a nonce at the end of its life is allowed, and replaced",
            minted(NONCE_LIFETIME),
            allow().with_nonce(),
        ),
        row("DP-17", "a nonce a second past its life is refused", minted(NONCE_LIFETIME + 1), nonce_required()),
        row("DP-17", "a nonce of another replica whose clock is 10 s ahead is allowed", minted(-10), allow()),
        row("DP-17", "a nonce from further in the future is refused", minted(-11), nonce_required()),
        row("DP-17", "a nonce that was good expires", good_nonce(), allow())
            .wait(NONCE_LIFETIME)
            .then(later(NONCE_LIFETIME, &nonce("nonce", NOW - 10)), nonce_required())
            .with_nonce(|nonce| later(NONCE_LIFETIME, nonce), allow()),
        row("DP-17", "with a nonce `iat` may be 300 s old", aged(NOW - 300), allow()),
        row("DP-17", "with a nonce `iat` may not be 301 s old", aged(NOW - 301), proof("proof_stale")),
        row("DP-17", "with a nonce `iat` may be 300 s ahead", aged(NOW + 300), allow()),
        row("DP-17", "with a nonce `iat` may not be 301 s ahead", aged(NOW + 301), proof("proof_from_future")),
    ]
}

fn dp_18_20() -> Vec<Row> {
    let guessed = |sentence: &str, edit: fn(&mut Vec<u8>)| {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = engine.decode(nonce("nonce", NOW - NONCE_LIFETIME - 100)).unwrap();
        edit(&mut bytes);
        row("DP-20", sentence, with(engine.encode(bytes)), nonce_required())
    };
    vec![
        row("DP-18", "a refusal for the nonce carries exactly one", with("x"), nonce_required()),
        row(
            "DP-18",
            "another refusal carries none",
            good_nonce().proof(|p| p.claims["htm"] = json!("PUT")),
            proof("proof_method_mismatch"),
        ),
        row("DP-18", "a nonce in the first half of its life is not replaced", with(nonce("nonce", NOW - 150)), allow()),
        row("DP-19", "a nonce that we sent is taken as it is", with("x"), nonce_required())
            .with_nonce(|nonce| with(nonce), allow()),
        guessed("an old nonce cannot be made young by counting its time up", |bytes| {
            bytes[..8].copy_from_slice(&NOW.to_be_bytes());
        }),
        guessed("a nonce without its tag is refused", |bytes| bytes.truncate(8)),
        row("DP-20", "a nonce minted with the key is allowed", with(nonce("nonce", NOW)), allow()),
    ]
}

fn dp_21() -> Vec<Row> {
    let one = nonce("nonce", NOW - 10);
    vec![
        row("DP-21", "a nonce of the previous key is allowed", with(nonce_of_previous_key("nonce", NOW - 10)), allow()),
        row(
            "DP-21",
            "an old nonce of the previous key is refused",
            with(nonce_of_previous_key("nonce", NOW - NONCE_LIFETIME - 1)),
            nonce_required(),
        ),
        row("DP-21", "one nonce is good for two proofs", with(one.as_str()), allow()).then(later(0, &one), allow()),
        row("DP-21", "one nonce does not make one proof good twice", with(one.as_str()), allow())
            .again(proof("proof_replayed")),
    ]
}

fn dp_22() -> Vec<Row> {
    let aged = |age: i64| with(nonce("nonce", NOW - age));
    vec![
        row("DP-22", "in the first half of a nonce's life no nonce is sent with success", aged(150), allow()),
        row(
            "DP-22",
            "in the second half a fresh one is sent with success, and it is good",
            aged(151),
            allow().with_nonce(),
        )
        .with_nonce(|nonce| later(0, nonce), allow()),
        row(
            "DP-22",
            "where no nonce is wanted none is sent",
            good().proof(|p| p.claims["nonce"] = json!("x")),
            allow(),
        ),
    ]
}
