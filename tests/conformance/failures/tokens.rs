//! Access tokens: algorithms, keys, claims and texts that were taken for others.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::expect::{allow, bearer_token, binding, proof, public, token};
use crate::row::{Row, row};
use crate::support::issuers::{KID, KID_RSA, SERVER};
use crate::support::{Good, Jws, NOW, SigningKey, base64url, good, good_bearer, good_key_set, good_with, keys};

pub fn rows() -> Vec<Row> {
    [dates(), thumbprint(), critical(), secrets(), header_decides(), nested(), issuer_first(), none(), fetched()]
        .into_iter()
        .chain([polyglot(), audience_and_issuer(), dots(), member_names(), public_operation()])
        .flatten()
        .collect()
}

fn with(change: impl FnOnce(&mut Jws)) -> Good {
    good().token(change)
}

fn dates() -> Vec<Row> {
    const ID: &str = "cve-2026-25537-dates-as-strings";
    let date = |claim: &'static str, value: Value| with(move |token| token.claims[claim] = value);
    let mut rows = vec![row(ID, "dates that are numbers are allowed", date("nbf", json!(NOW - 5)), allow())];
    for (claim, value) in [("exp", json!("9999999999")), ("nbf", json!("9999999999")), ("iat", json!("1"))] {
        let sentence = format!("`{claim}` of {value} is not as if it were absent");
        rows.push(row(ID, sentence, date(claim, value), token("token_claim_malformed")));
    }
    rows
}

fn thumbprint() -> Vec<Row> {
    const ID: &str = "jsonwebtoken-10.4-okp-thumbprint";
    let ed25519 = || good_with(&keys().client_ed25519, "EdDSA");
    let other = ed25519().token(|token| token.claims["cnf"] = json!({"jkt": keys().client.thumbprint()}));
    vec![
        row(ID, "the thumbprint of an Ed25519 key is that of RFC 8037", ed25519(), allow()),
        row(ID, "and of no other key", other, binding("proof_key_mismatch")),
    ]
}

fn critical() -> Vec<Row> {
    const ID: &str = "cve-2026-32597-unknown-crit";
    let asks = |jws: &mut Jws| {
        jws.header["crit"] = json!(["x"]);
        jws.header["x"] = json!(1);
    };
    vec![
        row(ID, "without `crit` token and proof are allowed", good(), allow()),
        row(ID, "an extension that a token asks for is refused", with(asks), token("token_critical_header")),
        row(ID, "and one that a proof asks for", good().proof(asks), proof("proof_malformed")),
    ]
}

fn secrets() -> Vec<Row> {
    const PUBLIC: &str = "cve-2026-34950-public-key-as-secret";
    const NAMED: &str = "ghsa-869p-cjfg-cm3x-secret-named-by-the-token";
    let mac = |name: &'static str, kid: &'static str, secret: Vec<u8>| {
        with(move |token| {
            token.header["alg"] = json!(name);
            token.header["kid"] = json!(kid);
            token.signed_with(move |input| {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), input).as_ref().to_vec()
            });
        })
    };
    let forbidden = || token("token_algorithm_forbidden");
    let spki = keys().server_rsa.spki();
    vec![
        row(PUBLIC, "a signature of the key is allowed", good(), allow()),
        row(PUBLIC, "an HMAC with the public key is refused", mac("HS256", KID_RSA, spki.clone()), forbidden()),
        row(PUBLIC, "and under a name with a space before it", mac(" HS256", KID_RSA, spki), forbidden()),
        row(NAMED, "a key id of the issuer is allowed", good(), allow()),
        row(NAMED, "a secret that the token names is no key", mac("HS256", "../../dev/null", Vec::new()), forbidden()),
    ]
}

fn header_decides() -> Vec<Row> {
    const ID: &str = "cve-2026-22817-header-decides-for-key-without-alg";
    let by = |key: &'static SigningKey, algorithm: &'static str, named: &'static str| {
        good_key_set("rsa-plain").token(|token| {
            token.header["kid"] = json!("odd");
            token.header["alg"] = json!(named);
            token.signed_by(key, algorithm);
        })
    };
    let rsa = &keys().server_rsa;
    vec![
        row(ID, "an RSA key without `alg` verifies RS256", by(rsa, "RS256", "RS256"), allow()),
        row(ID, "not what is named ES256", by(rsa, "RS256", "ES256"), token("token_key_unknown")),
        row(ID, "nor HS256", by(rsa, "RS256", "HS256"), token("token_algorithm_forbidden")),
    ]
}

fn nested() -> Vec<Row> {
    const ID: &str = "cve-2026-29000-plain-jwt-in-jwe";
    let plain = with(|token| {
        token.edit_text(|text| {
            let header = base64url(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT"}"#);
            let inner = text.split('.').nth(1).unwrap_or_default().to_owned();
            format!("{header}.AA.AA.{inner}.AA")
        });
    });
    vec![
        row(ID, "a signed token is allowed", good(), allow()),
        row(ID, "an encrypted one with claims inside is refused", plain, token("token_malformed")),
    ]
}

fn issuer_first() -> Vec<Row> {
    const ID: &str = "cve-2025-59936-issuer-judged-after-key";
    let foreign = with(|token| {
        token.header["kid"] = json!(KID);
        token.claims["iss"] = json!("https://evil.test");
    });
    let second = with(|token| {
        token.header["kid"] = json!("only-second");
        token.signed_by(&keys().second, "ES256");
    });
    vec![
        row(ID, "a token of the issuer is allowed", good(), allow()),
        row(ID, "one of nobody is refused, though the key is known", foreign, token("token_issuer_unknown")),
        row(ID, "and one under the key of another issuer", second, token("token_key_unknown")),
    ]
}

fn none() -> Vec<Row> {
    const ID: &str = "cve-2022-23540-alg-none-in-any-case";
    let mut rows = vec![row(ID, "a signed token is allowed", good(), allow())];
    for name in ["none", "None", "NONE", "nOnE"] {
        let named = with(|token| token.header["alg"] = json!(name));
        let bare = named.clone().token(|token| token.signed_with(|_| Vec::new()));
        let refused = |sentence: &str, good: Good, code: &'static str| {
            row(ID, format!("`alg: {name}` {sentence} is refused"), good, token(code))
        };
        rows.push(refused("without a signature", bare, "token_malformed"));
        rows.push(refused("with one", named, "token_algorithm_forbidden"));
    }
    rows
}

fn fetched() -> Vec<Row> {
    const ID: &str = "cve-2024-21643-jku-is-fetched";
    let pointing = with(|token| token.header["jku"] = json!("http://169.254.169.254/keys"));
    let forged = pointing.clone().token(|token| token.signed_by(&keys().stranger, "ES256"));
    vec![
        row(ID, "a token that points to keys is judged with the issuer's", pointing, allow()),
        row(ID, "and what is behind the pointer does not verify it", forged, token("token_signature_invalid")),
    ]
}

fn polyglot() -> Vec<Row> {
    const ID: &str = "cve-2022-39227-compact-and-json-at-once";
    let both = with(|token| token.edit_text(|text| format!("{text}.{}", base64url(r#"{"payload":"e30"}"#))));
    let object = with(|token| token.replace_claims(|claims| [&claims[..], b"{}"].concat()));
    vec![
        row(ID, "the compact form is allowed", good(), allow()),
        row(ID, "compact and JSON in one is refused", both, token("token_malformed")),
        row(ID, "and a payload of two objects", object, token("token_malformed")),
    ]
}

fn audience_and_issuer() -> Vec<Row> {
    const EMPTY: &str = "cve-2020-26160-empty-audience";
    const SUBSTRING: &str = "cve-2024-53861-issuer-substring";
    const ARRAY: &str = "cve-2025-30144-issuer-array";
    let audience = |value: Value| with(|token| token.claims["aud"] = value);
    let issuer = |value: Value| with(|token| token.claims["iss"] = value);
    let prefix = SERVER.get(..SERVER.len() - 1).unwrap_or_default();
    let mut rows = vec![
        row(EMPTY, "our audience is allowed", good(), allow()),
        row(EMPTY, "an empty list is not ours", audience(json!([])), token("token_audience_mismatch")),
        row(EMPTY, "nor an empty name", audience(json!("")), token("token_audience_mismatch")),
        row(EMPTY, "nor a list of an empty name", audience(json!([""])), token("token_audience_mismatch")),
        row(SUBSTRING, "the issuer is allowed", good(), allow()),
        row(ARRAY, "the issuer is allowed", good(), allow()),
        row(ARRAY, "a list with it is refused", issuer(json!([SERVER])), token("token_claim_malformed")),
        row(
            ARRAY,
            "and one with another beside it",
            issuer(json!(["https://evil.test", SERVER])),
            token("token_claim_malformed"),
        ),
    ];
    for name in [prefix.to_owned(), format!("{SERVER}/"), format!("{SERVER}.evil.test"), String::new()] {
        let sentence = format!("`{name}` is another issuer");
        rows.push(row(SUBSTRING, sentence, issuer(json!(name)), token("token_issuer_unknown")));
    }
    rows
}

fn dots() -> Vec<Row> {
    const ID: &str = "cve-2025-30204-many-dots";
    let of = |count: usize| with(|token| token.edit_text(move |_| ".".repeat(count)));
    vec![
        row(ID, "two dots with parts between them are allowed", good(), allow()),
        row(ID, "ten thousand dots are refused", of(10_000), token("token_malformed")),
    ]
}

fn member_names() -> Vec<Row> {
    const ID: &str = "ghsa-4gph-2hhr-5mwg-member-names-without-case";
    let unbound = |good: Good| good.token(|token| token.without("cnf"));
    let with_member = |name: &'static str| {
        good_bearer().token(|token| {
            token.claims[name] = token.claims["iss"].clone();
            token.without("iss");
        })
    };
    vec![
        row(ID, "`iss` is the issuer", good_bearer(), allow()),
        row(ID, "`Iss` is not", with_member("Iss"), bearer_token("token_claim_missing")),
        row(
            ID,
            "`CNF` confirms nothing",
            unbound(good()).token(|token| token.claims["CNF"] = json!({"jkt": keys().client.thumbprint()})),
            binding("binding_scheme_mismatch"),
        ),
    ]
}

fn public_operation() -> Vec<Row> {
    const ID: &str = "cve-2021-21378-bad-token-is-no-token";
    let health = || good().path("/health");
    let forged = health().token(|token| token.signed_by(&keys().stranger, "ES256"));
    vec![
        row(
            ID,
            "a public operation asks for no credential",
            health().without("authorization").without("dpop"),
            public(),
        ),
        row(ID, "and a bad one is refused there", forged, token("token_signature_invalid")),
    ]
}
