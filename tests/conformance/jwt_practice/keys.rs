//! Algorithms and keys.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::expect::{allow, fault, request, token};
use crate::row::{Envoy, Row, row};
use crate::support::issuers::{KID, KID_RSA, SECOND, SERVER, with_key_set};
use crate::support::{Good, SigningKey, base64url, good, good_key_set, good_second, keys};

pub fn rows() -> Vec<Row> {
    [jb_01(), jb_02(), jb_03(), jb_04(), jb_05_06(), jb_08(), jb_10(), jb_10_elsewhere()].concat()
}

/// A token "signed" with an HMAC whose secret is public.
fn mac(secret: Vec<u8>, name: &'static str, algorithm: hmac::Algorithm) -> Good {
    good().token(|token| {
        token.header["alg"] = json!(name);
        token.header["kid"] = json!(KID_RSA);
        token.signed_with(move |input| hmac::sign(&hmac::Key::new(algorithm, &secret), input).as_ref().to_vec());
    })
}

fn pem(key: &SigningKey) -> String {
    let body = STANDARD.encode(key.spki());
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

fn jb_01() -> Vec<Row> {
    let key = &keys().server_rsa;
    let secrets: [(&str, Vec<u8>); 6] = [
        ("the PEM", pem(key).into_bytes()),
        ("the PEM without its last newline", pem(key).trim_end().as_bytes().to_vec()),
        ("the PEM after a space", format!(" {}", pem(key)).into_bytes()),
        ("the DER", key.spki()),
        ("the JWK's text", key.jwk().to_string().into_bytes()),
        ("nothing", Vec::new()),
    ];
    let mut rows = vec![row("JB-01", "an algorithm on the issuer's list is allowed", good(), allow())];
    for (what, secret) in secrets {
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let sentence = format!("{name} with {what} of the RSA public key as its secret is refused");
            rows.push(row("JB-01", sentence, mac(secret.clone(), name, algorithm), token("token_algorithm_forbidden")));
        }
    }
    let named = |algorithm: Value| good().token(|token| token.header["alg"] = algorithm);
    for name in ["RS384", "RS512", "PS384", "PS512", "ES512", "ES256K", "es256", "HS1", "XX999", "", " ES256", "dir"] {
        rows.push(row(
            "JB-01",
            format!("`alg: {name}` is refused"),
            named(json!(name)),
            token("token_algorithm_forbidden"),
        ));
    }
    for wrong in [json!(null), json!(1), json!(true), json!(["ES256"])] {
        rows.push(row("JB-01", format!("an `alg` that is {wrong} is refused"), named(wrong), token("token_malformed")));
    }
    rows.push(row(
        "JB-01",
        "a token without `alg` is refused",
        good().token(|t| t.without_header("alg")),
        token("token_malformed"),
    ));
    rows
}

/// A token by the odd key of a key set.
fn by_odd(set: &'static str, key: &'static SigningKey, algorithm: &'static str) -> Good {
    good_key_set(set).token(|token| {
        token.header["kid"] = json!("odd");
        token.header["alg"] = json!(algorithm);
        token.signed_by(key, algorithm);
    })
}

fn jb_02() -> Vec<Row> {
    let rsa = &keys().server_rsa;
    let unknown = || token("token_key_unknown");
    let claims = |set, named: &'static str| by_odd(set, rsa, "RS256").token(|token| token.header["alg"] = json!(named));
    vec![
        row("JB-02", "a key with `alg: RS256` verifies RS256", by_odd("rsa-rs256", rsa, "RS256"), allow()),
        row("JB-02", "a key with `alg: RS256` does not verify PS256", by_odd("rsa-rs256", rsa, "PS256"), unknown()),
        row(
            "JB-02",
            "a key with `alg: RS256` does not verify what is named ES256",
            claims("rsa-rs256", "ES256"),
            unknown(),
        ),
        row("JB-02", "an RSA key without `alg` verifies RS256", by_odd("rsa-plain", rsa, "RS256"), allow()),
        row("JB-02", "an RSA key without `alg` verifies PS256", by_odd("rsa-plain", rsa, "PS256"), allow()),
        row(
            "JB-02",
            "an RSA key without `alg` does not verify what is named ES256",
            claims("rsa-plain", "ES256"),
            unknown(),
        ),
        row(
            "JB-02",
            "an RSA key without `alg` does not verify what is named EdDSA",
            claims("rsa-plain", "EdDSA"),
            unknown(),
        ),
        row(
            "JB-02",
            "an RS256 signature that is named PS256 is refused",
            claims("rsa-plain", "PS256"),
            token("token_signature_invalid"),
        ),
        row(
            "JB-02",
            "a key on P-256 with `alg: ES384` verifies nothing",
            by_odd("algorithm", &keys().second, "ES256"),
            unknown(),
        ),
        row("JB-02", "a key on P-256 does not verify ES384", by_odd("plain", &keys().second, "ES384"), unknown()),
    ]
}

fn jb_03() -> Vec<Row> {
    let mut rows = vec![row("JB-03", "a signed token is allowed", good(), allow())];
    for name in ["none", "None", "NONE", "nOnE", "none "] {
        let signed = good().token(|token| token.header["alg"] = json!(name));
        let bare = signed.clone().token(|token| token.signed_with(|_| Vec::new()));
        let something = signed.clone().token(|token| token.signed_with(|_| vec![0]));
        rows.push(row(
            "JB-03",
            format!("`alg: {name}` with a signature is refused"),
            signed,
            token("token_algorithm_forbidden"),
        ));
        rows.push(row("JB-03", format!("`alg: {name}` without one is refused"), bare, token("token_malformed")));
        rows.push(row(
            "JB-03",
            format!("`alg: {name}` with a zero byte for one is refused"),
            something,
            token("token_algorithm_forbidden"),
        ));
    }
    rows
}

fn jb_04() -> Vec<Row> {
    let flipped = |at: fn(&[u8]) -> usize| {
        good().token(|token| {
            token.signed_with(move |input| {
                let mut other = input.to_vec();
                other[at(input)] ^= 1;
                keys().server.sign("ES256", &other)
            });
        })
    };
    let signature = |edit: fn(Vec<u8>) -> Vec<u8>| good().token(|token| token.edit_signature(edit));
    let invalid = || token("token_signature_invalid");
    vec![
        row("JB-04", "a good signature is allowed", good(), allow()),
        row("JB-04", "a signature over another header is refused", flipped(|_| 3), invalid()),
        row("JB-04", "a signature over another payload is refused", flipped(|input| input.len() - 3), invalid()),
        row(
            "JB-04",
            "a flipped bit in the signature is refused",
            signature(|mut signature| {
                signature[9] ^= 1;
                signature
            }),
            invalid(),
        ),
        row("JB-04", "r = s = 0 is refused", signature(|_| vec![0; 64]), invalid()),
        row(
            "JB-04",
            "a signature in DER is refused",
            signature(|signature| [&[0x30, 0x44, 2, 32], &signature[..32], &[2, 32], &signature[32..]].concat()),
            invalid(),
        ),
    ]
}

fn jb_05_06() -> Vec<Row> {
    let with_secret = good_key_set("symmetric").token(|token| {
        token.header["kid"] = json!("odd");
        token.header["alg"] = json!("HS256");
        token.signed_with(|input| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), input).as_ref().to_vec());
    });
    let symmetric_alone =
        good_key_set("plain").token(|token| token.claims["iss"] = json!(with_key_set("symmetric-only")));
    vec![
        row(
            "JB-05",
            "an issuer's key off its curve is not used, the others are",
            good_key_set("off-the-curve"),
            allow(),
        ),
        row(
            "JB-05",
            "and a token that names it is refused",
            by_odd("off-the-curve", &keys().stranger, "ES256"),
            token("token_key_unknown"),
        ),
        row("JB-06", "an issuer's symmetric key is not used, the others are", good_key_set("symmetric"), allow()),
        row(
            "JB-06",
            "a token under a symmetric key that the issuer publishes is refused",
            with_secret,
            token("token_algorithm_forbidden"),
        ),
        row(
            "JB-06",
            "an issuer with symmetric keys alone has no keys",
            symmetric_alone,
            fault("fault_keys_unavailable"),
        ),
    ]
}

fn jb_08() -> Vec<Row> {
    let of_second = |kid: &'static str| {
        good().token(|token| {
            token.header["kid"] = json!(kid);
            token.signed_by(&keys().second, "ES256");
        })
    };
    let same_kid = |key: &'static SigningKey| {
        good_second().token(|token| {
            token.header["kid"] = json!(KID);
            token.signed_by(key, "ES256");
        })
    };
    vec![
        row(
            "JB-08",
            "the key id of one issuer is unknown at another",
            of_second("only-second"),
            token("token_key_unknown"),
        ),
        row("JB-08", "a key id that two issuers have is each one's own key: the first issuer's", good(), allow()),
        row("JB-08", "the second issuer's", same_kid(&keys().second), allow()),
        row(
            "JB-08",
            "the second's key under the first's name is refused",
            of_second(KID),
            token("token_signature_invalid"),
        ),
        row(
            "JB-08",
            "the first's key under the second's name is refused",
            same_kid(&keys().server),
            token("token_signature_invalid"),
        ),
        row(
            "JB-08",
            "a token by the second issuer that claims to be of the first is refused",
            good_second().token(|t| t.claims["iss"] = json!(SERVER)),
            token("token_key_unknown"),
        ),
        row(
            "JB-08",
            "a token by the first issuer that claims to be of the second is refused",
            good().token(|t| t.claims["iss"] = json!(SECOND)),
            token("token_signature_invalid"),
        ),
    ]
}

fn jb_10() -> Vec<Row> {
    let identified = |kid: Value| good().token(|token| token.header["kid"] = kid);
    let mut rows = vec![row("JB-10", "a key id of the issuer is allowed", good(), allow())];
    for kid in ["../../../dev/null", "' OR '1'='1", "es256\n", "ES256", "", "https://evil.test/jwks.json", "%00"] {
        let sentence = format!("the key id `{}` is unknown", kid.escape_default());
        rows.push(row("JB-10", sentence, identified(json!(kid)), token("token_key_unknown")));
    }
    for kid in
        [json!(null), json!(1), json!(["es256"]), json!({"kid": "es256"}), json!("k".repeat(257)), json!("es256\0")]
    {
        let text: String = kid.to_string().chars().take(20).collect();
        rows.push(row(
            "JB-10",
            format!("a key id that is {text} is refused"),
            identified(kid),
            token("token_malformed"),
        ));
    }
    let large = identified(json!("k".repeat(1024 * 1024)));
    let refused =
        row("JB-10", "a key id of 1 MiB is refused with the request", large, request("request_limit_exceeded"));
    rows.push(refused.envoy(Envoy::Stops(431)));
    rows
}

fn jb_10_elsewhere() -> Vec<Row> {
    let stranger = || keys().stranger.jwk();
    let with = |member: &'static str, value: Value| {
        let signed = good().token(|token| token.header[member] = value);
        let forged = signed.clone().token(|token| token.signed_by(&keys().stranger, "ES256"));
        [
            row("JB-10", format!("`{member}` in a token is ignored"), signed, allow()),
            row(
                "JB-10",
                format!("the key of `{member}` in a token is not used"),
                forged,
                token("token_signature_invalid"),
            ),
        ]
    };
    let without_kid = good().token(|token| {
        token.without_header("kid");
        token.header["jwk"] = stranger();
        token.signed_by(&keys().stranger, "ES256");
    });
    let mut rows: Vec<Row> = [
        with("jku", json!("https://evil.test/jwks.json")),
        with("x5u", json!("http://169.254.169.254/latest/meta-data/")),
        with("x5c", json!([STANDARD.encode(keys().stranger.spki())])),
        with("jwk", stranger()),
        with("x5t#S256", json!(base64url([0; 32]))),
    ]
    .concat();
    rows.push(row("JB-10", "nor without a key id", without_kid, token("token_signature_invalid")));
    rows
}
