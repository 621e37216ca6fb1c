//! Whatever an issuer answers about a token: it is allowed only if a plain reading of the rules says so, and nothing that is cut,
//! doubled or of another type passes.

use serde_json::{Map, Value, json};

use crate::support::issuers::SERVER;
use crate::support::{Encoding, Good, Memory, NOW, good_opaque, judge, keys, model};

/// Values that are something else than what they stand for.
fn odd() -> Vec<Value> {
    let jkt = keys().client.thumbprint();
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(NOW),
        json!(NOW + 290),
        json!(NOW + 11),
        json!(NOW.to_string()),
        json!(9_007_199_254_740_993_i64),
        json!(""),
        json!(" "),
        json!("true"),
        json!("robot"),
        json!("DPoP"),
        json!("bearer"),
        json!("refresh_token"),
        json!("id_token"),
        json!("Bearer DPoP"),
        json!(SERVER),
        json!(format!("{SERVER}/")),
        json!("x".repeat(513)),
        json!([]),
        json!([true]),
        json!(["https://api.example.com"]),
        json!([["https://api.example.com"]]),
        json!({}),
        json!({ "jkt": jkt }),
        json!({ "jkt": jkt, "x5t#S256": jkt }),
        json!({ "jkt": [jkt] }),
        json!({ "kid": "x" }),
    ]
}

/// The members of a good answer, and others that are read.
const MEMBERS: [&str; 17] = [
    "active",
    "token_type",
    "token_use",
    "typ",
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "client_id",
    "scope",
    "cnf",
    "groups",
    "acr",
    "username",
];

/// RFC 7662 §2.2 and RFC 9449 §6.2, and beside that the rules for any token.
fn is_good(answer: &Value) -> bool {
    let member = |name: &str| answer.get(name);
    let kind_is_fine = |name: &str| {
        member(name).is_none_or(|kind| {
            kind.as_str().is_some_and(|kind| {
                let kind = kind.to_lowercase();
                !kind.contains("refresh") && !kind.contains("offline") && kind != "id" && kind != "id_token"
            })
        })
    };
    let is_dpop = member("token_type").and_then(Value::as_str).is_some_and(|name| name.to_lowercase() == "dpop");
    let bound = model::named(member("cnf")) == Some((Some(keys().client.thumbprint().as_str()), None));
    // What an answer may leave out.
    let mut token = answer.clone();
    for (name, usual) in [("iss", SERVER), ("sub", "robot"), ("jti", "x")] {
        if token.get(name).is_none() {
            token[name] = json!(usual);
        }
    }
    member("active") == Some(&json!(true))
        && is_dpop
        && bound
        && kind_is_fine("token_use")
        && kind_is_fine("typ")
        && model::token_is_good(&token)
}

fn answered(text: impl Into<Vec<u8>>) -> Good {
    good_opaque().answered_text(text)
}

fn code(good: &Good) -> &'static str {
    judge(&good.build(), Encoding::Raw, &Memory::new(10, 100), NOW).code
}

fn good_answer() -> Map<String, Value> {
    let answer = good_opaque().build().answer.expect("an answer");
    serde_json::from_slice(&answer).expect("JSON")
}

#[test]
fn an_answer_passes_only_where_the_rules_say_so() {
    let good = good_answer();
    assert!(is_good(&Value::Object(good.clone())));
    let (mut allowed, mut wrong) = (0, Vec::new());
    let mut try_it = |answer: Map<String, Value>, what: String| {
        let answer = Value::Object(answer);
        let code = code(&answered(answer.to_string()));
        allowed += usize::from(code == "allowed");
        if (code == "allowed") != is_good(&answer) {
            wrong.push(format!("{what}: {code}"));
        }
    };
    for name in MEMBERS {
        let mut without = good.clone();
        without.remove(name);
        try_it(without, format!("without {name}"));
        for value in odd() {
            let mut with = good.clone();
            let what = format!("{name}: {value:.60}");
            with.insert(name.to_owned(), value);
            try_it(with, what);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(allowed > 60, "only {allowed} answers were good");
}

#[test]
fn an_answer_that_is_cut_or_doubled_is_none() {
    let text = Value::Object(good_answer()).to_string();
    assert_eq!(code(&answered(text.clone())), "allowed");
    for at in 0..text.len() {
        assert_eq!(code(&answered(&text.as_bytes()[..at])), "fault_introspection_unavailable", "cut at {at}");
    }
    for (name, value) in good_answer() {
        let twice = text.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        assert_eq!(code(&answered(twice)), "fault_introspection_unavailable", "{name} twice");
    }
    for around in [format!("{text}{text}"), format!("[{text}]"), format!("\u{feff}{text}"), format!("{text}\0")] {
        assert_eq!(code(&answered(around)), "fault_introspection_unavailable");
    }
}

#[test]
fn a_byte_that_is_changed_makes_no_inactive_token_active() {
    let text = r#"{"active":false}"#.as_bytes();
    for at in 0..text.len() {
        for byte in 0..=u8::MAX {
            let mut changed = text.to_vec();
            changed[at] = byte;
            assert_ne!(code(&answered(changed)), "allowed", "byte {at} is {byte}");
        }
    }
}
