//! What holds for every answer, whatever the row.

use crate::support::{Outcome, Request};

/// The clauses that an answer breaks, each with what is wrong.
pub fn broken(request: &Request, outcome: &Outcome) -> Vec<String> {
    let mut broken = Vec::new();
    if outcome.status == 401 && outcome.challenge.is_empty() {
        broken.push("BR-05: a 401 without WWW-Authenticate".to_owned());
    }
    let about_a_token =
        ["token_", "binding_", "certificate_", "proof_"].iter().any(|step| outcome.code.starts_with(step));
    if outcome.status == 401 && about_a_token && !outcome.challenge.iter().any(|field| field.contains("error=\"")) {
        broken.push("DP-35: a refused token without an error".to_owned());
    }
    if outcome.nonce.len() > 1 {
        broken.push("DP-18: more than one nonce".to_owned());
    }
    if !outcome.nonce.iter().all(|nonce| !nonce.is_empty() && nonce.bytes().all(is_nqchar)) {
        broken.push("DP-19: a nonce that is not 1*NQCHAR".to_owned());
    }
    broken.extend(outcome.challenge.iter().filter_map(|field| malformed(field)).map(|what| format!("BR-06: {what}")));
    let values = request.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let secrets: Vec<_> = values.flat_map(|value| value.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let said = outcome.challenge.join(" ");
    if secrets.iter().any(|secret| secret.len() > 20 && said.contains(secret.as_str())) {
        broken.push("BR-09: the answer repeats what was presented".to_owned());
    }
    broken
}

/// RFC 6749 Appendix A: NQCHAR.
fn is_nqchar(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

/// RFC 6750 §3: `scheme param="value", …`, each parameter once, each value of the characters that it may have.
fn malformed(field: &str) -> Option<&'static str> {
    let (_, parameters) = field.split_once(' ')?;
    let mut names = Vec::new();
    let mut rest = parameters;
    loop {
        let Some((name, after)) = rest.split_once("=\"") else { return Some("a parameter without a quoted value") };
        let Some((value, after)) = after.split_once('"') else { return Some("a value that does not end") };
        if !value.bytes().all(|byte| byte == b' ' || is_nqchar(byte)) {
            return Some("a character that no value may have");
        }
        if names.contains(&name) {
            return Some("a parameter that stands twice");
        }
        names.push(name);
        match after.strip_prefix(", ") {
            Some(more) => rest = more,
            None if after.is_empty() => return None,
            None => return Some("text after a value"),
        }
    }
}

#[test]
fn a_malformed_challenge_is_noticed() {
    assert_eq!(malformed("Bearer"), None);
    assert_eq!(malformed("DPoP algs=\"A B\", error=\"x\""), None);
    for bad in
        ["DPoP algs=\"A\", algs=\"B\"", "DPoP algs=A", "DPoP algs=\"A\" x", "DPoP algs=\"\\\"", "DPoP algs=\"\n\""]
    {
        assert!(malformed(bad).is_some(), "{bad}");
    }
}
