//! Text encodings and compression.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, proof, token};
use crate::row::{Row, row};
use crate::support::{Jws, good};

pub fn rows() -> Vec<Row> {
    [jb_07(), jb_07_allowed(), jb_12()].concat()
}

/// The same change to a token and to a proof.
fn both(id: &'static str, what: &str, change: impl Fn(&mut Jws), of_token: Expect, of_proof: Expect) -> [Row; 2] {
    [
        row(id, format!("a token {what}"), good().token(&change), of_token),
        row(id, format!("a proof {what}"), good().proof(&change), of_proof),
    ]
}

/// Adds bytes after the first `{` of a JSON text.
fn after_brace(text: &[u8], bytes: &[u8]) -> Vec<u8> {
    let brace = text.iter().position(|byte| *byte == b'{').unwrap() + 1;
    [&text[..brace], bytes, &text[brace..]].concat()
}

fn utf16(text: Vec<u8>) -> Vec<u8> {
    String::from_utf8(text).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Changes a JSON text.
type Edit = fn(Vec<u8>) -> Vec<u8>;

fn jb_07() -> Vec<Row> {
    let edits: [(&str, Edit); 10] = [
        ("with bytes that are not UTF-8", |text| after_brace(&text, b"\"x\":\"\xff\xfe\",")),
        ("with an overlong encoding", |text| after_brace(&text, b"\"x\":\"\xc0\xaf\",")),
        ("with an encoded surrogate", |text| after_brace(&text, b"\"x\":\"\xed\xa0\x80\",")),
        ("with a name that is not UTF-8", |text| after_brace(&text, b"\"\xff\":1,")),
        ("after a byte order mark", |text| [b"\xef\xbb\xbf", &text[..]].concat()),
        ("with a lone surrogate escape", |text| after_brace(&text, b"\"x\":\"\\ud800\",")),
        ("with an escaped NUL", |text| after_brace(&text, b"\"x\":\"\\u0000\",")),
        ("with an escaped NUL in a name", |text| after_brace(&text, b"\"x\\u0000\":1,")),
        ("with a raw NUL", |text| after_brace(&text, b"\"x\":\"\0\",")),
        ("in UTF-16", utf16),
    ];
    let (of_token, of_proof) = (|| token("token_malformed"), || proof("proof_malformed"));
    let mut rows = Vec::new();
    for (what, edit) in edits {
        rows.extend(both(
            "JB-07",
            &format!("whose header is {what}, is refused"),
            |jws| jws.replace_header(edit),
            of_token(),
            of_proof(),
        ));
        rows.extend(both(
            "JB-07",
            &format!("whose payload is {what}, is refused"),
            |jws| jws.replace_claims(edit),
            of_token(),
            of_proof(),
        ));
    }
    rows
}

fn jb_07_allowed() -> Vec<Row> {
    let add = |value: Value| move |jws: &mut Jws| jws.claims["x"] = value.clone();
    [
        both(
            "JB-07",
            "with text beyond ASCII is allowed",
            add(json!("sm\u{f8}rrebr\u{f8}d \u{1f980}")),
            allow(),
            allow(),
        ),
        both(
            "JB-07",
            "with escaped text is allowed",
            |jws| jws.add_to_claims(r#""x":"\u00e9\ud83e\udd80\n""#),
            allow(),
            allow(),
        ),
        both(
            "JB-07",
            "with white space in its JSON is allowed",
            |jws| jws.edit_claims(|text| text.replacen('{', "{\n  ", 1)),
            allow(),
            allow(),
        ),
    ]
    .concat()
}

fn jb_12() -> Vec<Row> {
    let zipped = |value: Value| move |jws: &mut Jws| jws.header["zip"] = value.clone();
    let (of_token, of_proof) = (|| token("token_critical_header"), || proof("proof_malformed"));
    [
        both("JB-12", "with `zip: DEF` is refused", zipped(json!("DEF")), of_token(), of_proof()),
        both("JB-12", "with `zip: null` is refused", zipped(json!(null)), of_token(), of_proof()),
        both("JB-12", "without `zip` is allowed", |_| {}, allow(), allow()),
        both("JB-12", "with a claim `zip` is allowed", |jws| jws.claims["zip"] = json!("DEF"), allow(), allow()),
    ]
    .concat()
}
