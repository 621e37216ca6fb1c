//! One proof, one JWS, its type, its algorithm, its members.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, proof, request};
use crate::row::{Envoy, Row, row};
use crate::support::{Good, Jws, Setting, SigningKey, base64url, good, good_with, keys};

pub fn rows() -> Vec<Row> {
    [dp_01(), dp_02(), dp_02_text(), dp_03(), dp_04(), dp_05(), dp_44(), dp_45(), dp_47()].concat()
}

fn dp_01() -> Vec<Row> {
    let joined = |join: fn(&str) -> String| {
        good().edit_header("dpop", move |value| join(&String::from_utf8(value).unwrap()).into_bytes())
    };
    let twice = proof("proof_duplicated");
    vec![
        row("DP-01", "one proof is allowed", good(), allow()),
        row("DP-01", "two DPoP fields are refused", good().and_header("dpop", "x.y.z"), twice.clone()),
        row("DP-01", "an empty second DPoP field is refused", good().and_header("DPoP", ""), twice.clone()),
        row(
            "DP-01",
            "the same proof twice, joined by a comma, is refused",
            joined(|one| format!("{one},{one}")),
            twice.clone(),
        ),
        row("DP-01", "a proof with a comma after it is refused", joined(|one| format!("{one},")), twice.clone()),
        row("DP-01", "a proof with a comma before it is refused", joined(|one| format!(",{one}")), twice),
    ]
}

/// The good proof, with its text changed.
fn text(edit: impl Fn(String) -> String + Send + Sync + 'static) -> Good {
    good().proof(|proof| proof.edit_text(edit))
}

fn dp_02() -> Vec<Row> {
    let bad = |sentence: &str, edit: fn(String) -> String| row("DP-02", sentence, text(edit), proof("proof_malformed"));
    vec![
        row("DP-02", "three segments of canonical base64url are allowed", good(), allow()),
        bad("two segments are refused", |text| text.rsplit_once('.').unwrap().0.to_owned()),
        bad("an empty signature is refused", |text| format!("{}.", text.rsplit_once('.').unwrap().0)),
        bad("an empty header is refused", |text| format!(".{}", text.split_once('.').unwrap().1)),
        bad("four segments are refused", |text| format!("{text}.AA")),
        bad("the five segments of a JWE are refused", |text| format!("{text}.AA.AA")),
        bad("dots alone are refused", |_| "..".to_owned()),
        bad("one segment is refused", |text| text.replace('.', "")),
        bad("a JWS in JSON serialisation is refused", |text| format!("{{\"payload\":\"{text}\"}}")),
        bad("padding after the header is refused", |text| text.replacen('.', "=.", 1)),
        bad("padding after the signature is refused", |text| format!("{text}==")),
        bad("a space within is refused", |text| text.replacen('.', ". ", 1)),
        bad("a tab within is refused", |text| text.replacen('.', ".\t", 1)),
        bad("an unused bit set in the last character is refused", |text| {
            // 64 bytes of signature: the last of 86 characters has four unused bits.
            let (rest, last) = text.split_at(text.len() - 1);
            let next = char::from(last.as_bytes()[0] + 1);
            format!("{rest}{next}")
        }),
        bad("base64 with `+` is refused", |text| format!("+{}", &text[1..])),
        bad("an empty value is refused", |_| String::new()),
        bad("a word is refused", |_| "proof".to_owned()),
        bad("characters beyond ASCII are refused", |text| format!("{text}\u{e9}")),
        bad("20 KiB are refused", |text| format!("{text}{}", "A".repeat(20 * 1024))),
        bad("200 KiB of dots are refused", |_| ".".repeat(200 * 1024)).envoy(Envoy::Stops(431)),
    ]
}

fn dp_02_text() -> Vec<Row> {
    let raw = |sentence: &str, value: &[u8]| {
        let request_with = good().header("dpop", value);
        row("DP-02", sentence, request_with, request("request_malformed")).envoy(Envoy::Stops(400))
    };
    let stuffed = |name: &'static str, size: usize| good().proof(|proof| proof.claims[name] = json!("A".repeat(size)));
    vec![
        // Envoy writes a space for it.
        raw("a proof with CR in it is refused with the request", b"a\rb")
            .envoy(Envoy::Becomes(proof("proof_malformed"))),
        raw("a proof with LF in it is refused with the request", b"a\nb"),
        raw("a proof with NUL in it is refused with the request", b"a\0b"),
        row(
            "DP-02",
            "a million dots are refused with the request",
            good().header("dpop", ".".repeat(1_000_000)),
            request("request_limit_exceeded"),
        )
        .envoy(Envoy::Stops(431)),
        row(
            "DP-02",
            "bytes that are not UTF-8 are refused",
            good().header("dpop", b"\xff\xfe.a.b"),
            proof("proof_malformed"),
        ),
        row(
            "DP-02",
            "a JWS in flattened JSON serialisation has commas, so it is two",
            good().header("dpop", br#"{"protected":"e30","payload":"e30","signature":"AA"}"#),
            proof("proof_duplicated"),
        ),
        row("DP-02", "a proof of 4 KiB is allowed", stuffed("extra", 2700), allow()),
        row("DP-02", "a proof of more than 8 KiB is refused", stuffed("extra", 6000), proof("proof_malformed")),
    ]
}

fn dp_03() -> Vec<Row> {
    let mut rows = vec![row("DP-03", "a proof with every member, each of its type, is allowed", good(), allow())];
    for member in ["typ", "alg", "jwk"] {
        let code = if member == "typ" { "proof_type_unexpected" } else { "proof_malformed" };
        let missing = good().proof(|proof| proof.without_header(member));
        rows.push(row("DP-03", format!("a proof without `{member}` is refused"), missing, proof(code)));
        for wrong in [json!(null), json!(1), json!(["x"]), json!(true)] {
            let sentence = format!("a proof whose `{member}` is {wrong} is refused");
            let change = good().proof(|proof| proof.header[member] = wrong);
            rows.push(row("DP-03", sentence, change, proof("proof_malformed")));
        }
    }
    for claim in ["jti", "htm", "htu", "iat", "ath"] {
        let missing = good().proof(|proof| proof.without(claim));
        rows.push(row("DP-03", format!("a proof without `{claim}` is refused"), missing, proof("proof_malformed")));
        let number = if claim == "iat" { json!("1799999999") } else { json!(1) };
        for wrong in [json!(null), number, json!(["x"]), json!({"a": "b"}), json!(true), json!("")] {
            let sentence = format!("a proof whose `{claim}` is {wrong} is refused");
            let change = good().proof(|proof| proof.claims[claim] = wrong);
            rows.push(row("DP-03", sentence, change, proof("proof_malformed")));
        }
    }
    rows
}

/// The good proof with another `typ`.
fn typed(token_type: &str) -> Good {
    good().proof(|proof| proof.header["typ"] = json!(token_type))
}

fn dp_04() -> Vec<Row> {
    let mut rows = vec![row("DP-04", "`dpop+jwt` is allowed", typed("dpop+jwt"), allow())];
    for other in ["JWT", "at+jwt", "secevent+jwt", "dpop+jwt+x", "dpop", " dpop+jwt", ""] {
        let sentence = format!("a proof of type `{other}` is refused");
        rows.push(row("DP-04", sentence, typed(other), proof("proof_type_unexpected")));
    }
    let token_as_proof = good().edit_header("dpop", |_| crate::support::issuers::token().compact().into_bytes());
    rows.push(row(
        "DP-04",
        "an access token offered as proof is refused",
        token_as_proof,
        proof("proof_type_unexpected"),
    ));
    rows.push(row("DP-04b", "the type is one spelling: `dpop+jwt`", typed("dpop+jwt"), allow()));
    for other in ["DPOP+JWT", "application/dpop+jwt", "DPoP+jwt"] {
        let sentence = format!("the type is one spelling: `{other}` is refused");
        rows.push(row("DP-04b", sentence, typed(other), proof("proof_type_unexpected")));
    }
    rows
}

fn dp_05() -> Vec<Row> {
    let named = |algorithm: Value| good().proof(|proof| proof.header["alg"] = algorithm);
    let forbidden = || proof("proof_algorithm_forbidden");
    let mut rows = vec![
        row("DP-05", "ES256 is allowed", good(), allow()),
        row("DP-05", "PS256 is allowed", good_with(&keys().client_rsa, "PS256"), allow()),
        row("DP-05", "EdDSA is allowed", good_with(&keys().client_ed25519, "EdDSA"), allow()),
        row("DP-05", "Ed25519 (RFC 9864) is allowed", good_with(&keys().client_ed25519, "Ed25519"), allow()),
    ];
    for name in
        ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "ES256K", "ES512", "es256", "XX999", " ES256"]
    {
        rows.push(row("DP-05", format!("`alg: {name}` is refused"), named(json!(name)), forbidden()));
    }
    let secret = keys().client.spki();
    let hmac = named(json!("HS256")).proof(|proof| {
        proof.signed_with(move |input| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            aws_lc_rs::hmac::sign(&key, input).as_ref().to_vec()
        });
    });
    let bare = named(json!("none")).proof(|proof| proof.signed_with(|_| Vec::new()));
    let with = |key: &'static SigningKey, algorithm: &'static str| {
        good().token(|token| token.claims["cnf"] = json!({"jkt": key.thumbprint()})).proof(|proof| {
            proof.header["jwk"] = key.jwk();
            proof.header["alg"] = json!(algorithm);
            proof.signed_by(key, algorithm);
        })
    };
    rows.extend([
        row("DP-05", "an HMAC with the public key as its secret is refused", hmac, forbidden()),
        row("DP-05", "`alg: none` without a signature is refused", bare, proof("proof_malformed")),
        row("DP-05", "RS256 is not on the list of proofs", with(&keys().client_rsa, "RS256"), forbidden()),
        row("DP-05", "ES384 is not on the list of proofs", with(&keys().client_p384, "ES384"), forbidden()),
        row(
            "DP-05",
            "RS256 is refused under the profile fapi2",
            with(&keys().client_rsa, "RS256").under(Setting::Fapi2),
            forbidden(),
        ),
        row(
            "DP-05",
            "PS256 is allowed under the profile fapi2",
            good_with(&keys().client_rsa, "PS256").under(Setting::Fapi2),
            allow(),
        ),
        row(
            "DP-05",
            "PS256 is refused where the operator lists ES256 alone",
            good_with(&keys().client_rsa, "PS256").moved_under(Setting::OnlyEs256),
            only_es256("proof_algorithm_forbidden"),
        ),
    ]);
    rows
}

/// The proof, where the challenge lists ES256 alone.
pub fn only_es256(code: &'static str) -> Expect {
    proof(code).challenged(&[
        "Bearer",
        "DPoP algs=\"ES256\", error=\"invalid_dpop_proof\", error_description=\"The sender did not prove possession of the key of the access token\"",
    ])
}

fn dp_44() -> Vec<Row> {
    ["DPoP", "DPOP", "dpop", "dPoP"]
        .into_iter()
        .map(|name| {
            row(
                "DP-44",
                format!("the header may be spelled `{name}`"),
                good().edit_header(name, |value| value),
                allow(),
            )
        })
        .collect()
}

fn dp_45() -> Vec<Row> {
    let changed = |sentence: &str, change: fn(&mut Jws), expect| row("DP-45", sentence, good().proof(change), expect);
    vec![
        changed("header members that nobody knows are ignored", |proof| proof.header["x"] = json!({"y": [1]}), allow()),
        changed("claims that nobody knows are ignored", |proof| proof.claims["x"] = json!({"y": [1]}), allow()),
        changed("a nonce where none is wanted is ignored", |proof| proof.claims["nonce"] = json!("x"), allow()),
        changed("a `kid` is ignored", |proof| proof.header["kid"] = json!("../../x"), allow()),
        changed("`crit` is not ignored", |proof| proof.header["crit"] = json!(["x"]), proof("proof_malformed")),
    ]
}

fn dp_47() -> Vec<Row> {
    let with = |member: &'static str, value: Value| {
        let change = good().proof(|proof| proof.header["jwk"][member] = value);
        row("DP-47", format!("`{member}` in the key is ignored and not part of its thumbprint"), change, allow())
    };
    vec![
        with("kid", json!("other")),
        with("use", json!("sig")),
        with("x5c", json!([base64url([0; 8])])),
        with("x5u", json!("https://169.254.169.254/")),
        with("jku", json!("https://169.254.169.254/")),
        with("x5t#S256", json!("x")),
    ]
}
