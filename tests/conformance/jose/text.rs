//! Serialisation, base64url, JSON.

use serde_json::json;

use crate::expect::{Expect, allow, malformed, proof, repeated, request, token};
use crate::row::{Envoy, Row, row};
use crate::support::issuers::KID_P384;
use crate::support::{Good, Jws, base64url, good, good_with, keys};

pub fn rows() -> Vec<Row> {
    [jw_05(), jw_06(), jw_08(), jw_08_bounds(), jw_12()].concat()
}

/// The good token, with its text changed.
fn text(edit: impl Fn(String) -> String + Send + Sync + 'static) -> Good {
    good().token(|token| token.edit_text(edit))
}

/// The last character of a text is this many places further in the alphabet of base64url.
fn next_character(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", char::from(last.as_bytes()[0] + 1))
}

fn jw_05() -> Vec<Row> {
    let bad = |sentence: &str, expect: Expect, edit: fn(String) -> String| row("JW-05", sentence, text(edit), expect);
    let unreadable = || token("token_malformed");
    vec![
        row("JW-05", "canonical base64url is allowed", good(), allow()),
        bad("padding after the signature is refused", unreadable(), |text| format!("{text}==")),
        bad("padding after the header is no token68", malformed(), |text| text.replacen('.', "=.", 1)),
        bad("a space in the payload is no token68", malformed(), |text| text.replacen('.', ". ", 1)),
        bad("a line end in the token is refused with the request", request("request_malformed"), |text| {
            text.replacen('.', ".\n", 1)
        })
        .envoy(Envoy::Stops(400)),
        bad("an unused bit set in the last character is refused", unreadable(), |text| next_character(&text)),
        bad("a `+` of base64 is refused", unreadable(), |text| format!("+{}", &text[1..])),
        bad("a `/` of base64 is refused", unreadable(), |text| format!("/{}", &text[1..])),
        bad("a `~` is refused", unreadable(), |text| format!("{text}~")),
        bad("characters beyond ASCII are no token68", malformed(), |text| format!("{text}\u{e9}")),
        bad("a header of one character is refused", unreadable(), |text| {
            format!("e.{}", text.split_once('.').unwrap().1)
        }),
        row(
            "JW-05",
            "padding in the proof's key is refused",
            good().proof(|p| {
                let x = format!("{}=", p.header["jwk"]["x"].as_str().unwrap());
                p.header["jwk"]["x"] = json!(x);
            }),
            proof("proof_key_forbidden"),
        ),
        row(
            "JW-05",
            "an unused bit in the proof's key is refused",
            good().proof(|p| {
                // 32 bytes: the last of 43 characters has two unused bits.
                let x = next_character(p.header["jwk"]["x"].as_str().unwrap());
                p.header["jwk"]["x"] = json!(x);
            }),
            proof("proof_key_forbidden"),
        ),
    ]
}

fn jw_06() -> Vec<Row> {
    let general = |text: String| {
        let (protected, rest) = text.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#)
    };
    let encoded = move |text: String| base64url(general(text));
    let polyglot = |text: String| format!("{text}.{}", base64url("{\"payload\":\"e30\"}"));
    vec![
        row("JW-06", "the compact serialisation is allowed", good(), allow()),
        row("JW-06", "a JSON object is no token68", text(|_| "{\"payload\":\"e30\"}".to_owned()), malformed()),
        row("JW-06", "the general serialisation has commas, so it is two tokens", text(general), repeated()),
        row("JW-06", "the general serialisation in base64url is refused", text(encoded), token("token_malformed")),
        row("JW-06", "compact and JSON in one is refused", text(polyglot), token("token_malformed")),
        row(
            "JW-06",
            "a detached payload is refused",
            text(|text| {
                let (header, rest) = text.split_once('.').unwrap();
                format!("{header}..{}", rest.split_once('.').unwrap().1)
            }),
            token("token_malformed"),
        ),
    ]
}

/// The same payload in a token and in a proof.
fn payload(what: &str, bytes: &'static [u8]) -> [Row; 2] {
    let change = |jws: &mut Jws| jws.replace_claims(move |_| bytes.to_vec());
    [
        row(
            "JW-08",
            format!("a token whose payload is {what} is refused"),
            good().token(change),
            token("token_malformed"),
        ),
        row(
            "JW-08",
            format!("a proof whose payload is {what} is refused"),
            good().proof(change),
            proof("proof_malformed"),
        ),
    ]
}

fn jw_08() -> Vec<Row> {
    let trailing = |tail: &'static str| move |jws: &mut Jws| jws.edit_claims(move |text| format!("{text}{tail}"));
    let mut rows: Vec<Row> = [
        payload("an array", b"[]"),
        payload("a string", b"\"x\""),
        payload("a number", b"1"),
        payload("null", b"null"),
        payload("nothing", b""),
        payload("a word", b"x"),
        payload("half an object", b"{\"iss\":"),
        payload("an object with a trailing comma", b"{\"iss\":\"x\",}"),
        payload("an object with a comment", b"{/**/\"iss\":\"x\"}"),
        payload("an object in single quotes", b"{'iss':'x'}"),
        payload("a number beyond any", b"{\"x\":1e999}"),
    ]
    .concat();
    for tail in ["x", "{}", ",", "\0"] {
        let sentence = format!("a token with `{}` after its payload is refused", tail.escape_default());
        rows.push(row("JW-08", sentence, good().token(trailing(tail)), token("token_malformed")));
    }
    let header = |bytes: &'static [u8]| good().token(|t| t.replace_header(move |_| bytes.to_vec()));
    rows.extend([
        row("JW-08", "white space after the payload is allowed", good().token(trailing(" \n")), allow()),
        row("JW-08", "a header that is an array is refused", header(b"[]"), token("token_malformed")),
        row("JW-08", "an empty header is refused", header(b""), token("token_malformed")),
        row("JW-08", "a header that is an empty object is refused", header(b"{}"), token("token_malformed")),
    ]);
    rows
}

fn jw_08_bounds() -> Vec<Row> {
    let nested = |levels: usize| {
        good().token(|token| {
            token.edit_claims(move |text| {
                text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(levels), "]".repeat(levels)), 1)
            });
        })
    };
    let wide = |count: usize| good().token(|token| token.claims["x"] = json!(vec![0; count]));
    vec![
        row("JW-08", "7 levels in a claim are allowed", nested(7), allow()),
        row("JW-08", "8 levels in a claim are refused", nested(8), token("token_malformed")),
        row("JW-08", "4,000 levels are refused", nested(4_000), token("token_malformed")),
        row("JW-08", "100,000 levels are refused with the request", nested(100_000), request("request_limit_exceeded"))
            .envoy(Envoy::Stops(431)),
        row("JW-08", "2,000 elements are allowed", wide(2_000), allow()),
        row("JW-08", "2,100 elements are refused", wide(2_100), token("token_malformed")),
    ]
}

fn jw_12() -> Vec<Row> {
    let signature = |edit: fn(Vec<u8>) -> Vec<u8>| good().token(|token| token.edit_signature(edit));
    let p384 = |edit: fn(Vec<u8>) -> Vec<u8>| {
        good().token(|token| {
            token.header["alg"] = json!("ES384");
            token.header["kid"] = json!(KID_P384);
            token.signed_by(&keys().server_p384, "ES384");
            token.edit_signature(edit);
        })
    };
    let invalid = || token("token_signature_invalid");
    vec![
        row("JW-12", "64 bytes of ES256 are allowed", good(), allow()),
        row("JW-12", "63 bytes of ES256 are refused", signature(|s| s[..63].to_vec()), invalid()),
        row("JW-12", "65 bytes of ES256 are refused", signature(|s| [&s[..], &[0]].concat()), invalid()),
        row(
            "JW-12",
            "65 bytes of ES256 with a zero before are refused",
            signature(|s| [&[0], &s[..]].concat()),
            invalid(),
        ),
        row("JW-12", "96 bytes of ES384 are allowed", p384(|s| s), allow()),
        row("JW-12", "95 bytes of ES384 are refused", p384(|s| s[..95].to_vec()), invalid()),
        row("JW-12", "97 bytes of ES384 are refused", p384(|s| [&s[..], &[0]].concat()), invalid()),
        row(
            "JW-12",
            "64 bytes of ES256 under the name ES384 are refused",
            good().token(|t| t.header["alg"] = json!("ES384")),
            token("token_key_unknown"),
        ),
        row(
            "JW-12",
            "ES512 is on no list",
            good().token(|t| t.header["alg"] = json!("ES512")),
            token("token_algorithm_forbidden"),
        ),
        row("JW-12", "256 bytes of PS256 are allowed", good_with(&keys().client_rsa, "PS256"), allow()),
        row(
            "JW-12",
            "255 bytes of PS256 are refused",
            good_with(&keys().client_rsa, "PS256").proof(|p| p.edit_signature(|s| s[1..].to_vec())),
            proof("proof_signature_invalid"),
        ),
    ]
}
