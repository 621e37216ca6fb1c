//! RFC 7638, RFC 8037: one key, one thumbprint.

use serde_json::{Value, json};

use crate::expect::{allow, binding, proof, token};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::{Good, SigningKey, base64url, from_base64url, good, good_with, hex, keys, sha256, thumbprint};

/// Section 3.7.
pub const FAMILY: Family = Family {
    prefix: "TP",
    title: "RFC 7638 and 8037, thumbprints",
    ids: &["TP-01", "TP-02", "TP-03", "TP-04", "TP-05"],
    rows,
    throughout: &[],
    left_out: &[("TP-05", "that the comparison takes the same time whatever it finds cannot be seen in a verdict")],
};

fn rows() -> Vec<Row> {
    [tp_01(), tp_02(), tp_03(), tp_04(), tp_05()].concat()
}

/// The token names this key; the proof has this `jwk` and is signed by `key`.
fn keyed(jkt: &str, jwk: Value, key: &'static SigningKey, algorithm: &'static str) -> Good {
    good().token(|token| token.claims["cnf"] = json!({"jkt": jkt})).proof(|proof| {
        proof.header["jwk"] = jwk;
        proof.header["alg"] = json!(algorithm);
        proof.signed_by(key, algorithm);
    })
}

/// RFC 8037 Appendix A.1: the seed; A.3: the thumbprint.
fn rfc8037() -> Good {
    let seed = from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let key = SigningKey::ed25519_from_seed(&seed).leak();
    keyed("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", key.jwk(), key, "EdDSA")
}

fn tp_01() -> Vec<Row> {
    let client = &keys().client;
    let hashed_as =
        |template: fn(&Value) -> String| keyed(&sha256(template(&client.jwk())), client.jwk(), client, "ES256");
    let symmetric = json!({"kty": "oct", "k": base64url([7; 32])});
    let lattice = json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQ"});
    let refused = |jwk: Value| keyed(&thumbprint(&jwk), jwk, client, "ES256");
    vec![
        row("TP-01", "an EC key is `crv, kty, x, y`", good(), allow()),
        row("TP-01", "an RSA key is `e, kty, n`", good_with(&keys().client_rsa, "PS256"), allow()),
        row("TP-01", "an OKP key is `crv, kty, x`", good_with(&keys().client_ed25519, "EdDSA"), allow()),
        row("TP-01", "the key of RFC 8037 Appendix A has the thumbprint of its Appendix A.3", rfc8037(), allow()),
        row(
            "TP-01",
            "a hash over the members in another order is another one",
            hashed_as(|jwk| format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":{},\"y\":{}}}", jwk["x"], jwk["y"])),
            binding("proof_key_mismatch"),
        ),
        row(
            "TP-01",
            "a hash over the members with white space is another one",
            hashed_as(|jwk| {
                format!("{{\"crv\": \"P-256\", \"kty\": \"EC\", \"x\": {}, \"y\": {}}}", jwk["x"], jwk["y"])
            }),
            binding("proof_key_mismatch"),
        ),
        row(
            "TP-01",
            "a hash over the SubjectPublicKeyInfo is another one",
            keyed(&sha256(client.spki()), client.jwk(), client, "ES256"),
            binding("proof_key_mismatch"),
        ),
        row(
            "TP-01",
            "a symmetric key is no proof key, though its thumbprint is right",
            refused(symmetric),
            proof("proof_key_forbidden"),
        ),
        row(
            "TP-01",
            "an AKP key is none that we know, though its thumbprint is right",
            refused(lattice),
            proof("proof_key_forbidden"),
        ),
    ]
}

fn tp_02() -> Vec<Row> {
    let spelled = |text: fn(&str, &str) -> String| {
        good().proof(|proof| {
            let jwk = keys().client.jwk();
            let text = text(jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
            proof.header["jwk"] = json!("@");
            proof.edit_header(move |header| header.replace("\"@\"", &text));
        })
    };
    let more = good().proof(|p| {
        for (name, value) in
            [("kid", json!("x")), ("use", json!("sig")), ("alg", json!("ES256")), ("a", json!({"b": 1}))]
        {
            p.header["jwk"][name] = value;
        }
    });
    vec![
        row("TP-02", "members beyond the required ones do not count", more, allow()),
        row(
            "TP-02",
            "the order of the members does not count",
            spelled(|x, y| format!(r#"{{"y":"{y}","x":"{x}","kty":"EC","crv":"P-256"}}"#)),
            allow(),
        ),
        row(
            "TP-02",
            "white space does not count",
            spelled(|x, y| format!("{{ \"crv\" : \"P-256\",\n\"kty\":\"EC\", \"x\":\"{x}\",\t\"y\":\"{y}\" }}")),
            allow(),
        ),
        row(
            "TP-02",
            "escapes in the JSON do not count",
            spelled(|x, y| format!(r#"{{"crv":"P\u002d256","k\u0074y":"EC","x":"{x}","y":"{y}"}}"#)),
            allow(),
        ),
    ]
}

/// Makes a good request.
type Base = fn() -> Good;

fn tp_03() -> Vec<Row> {
    let mut rows = vec![row("TP-03", "a key with every required member is allowed", good(), allow())];
    let families: [(&str, Base, &[&str]); 3] = [
        ("EC", good, &["kty", "crv", "x", "y"]),
        ("RSA", || good_with(&keys().client_rsa, "PS256"), &["kty", "n", "e"]),
        ("OKP", || good_with(&keys().client_ed25519, "EdDSA"), &["kty", "crv", "x"]),
    ];
    for (family, base, members) in families {
        for member in members {
            let without = base().proof(|p| {
                p.header["jwk"].as_object_mut().unwrap().remove(*member).unwrap();
            });
            let sentence = format!("an {family} key without `{member}` is refused");
            rows.push(row("TP-03", sentence, without, proof("proof_key_forbidden")));
            for wrong in [json!(null), json!(1), json!(["x"])] {
                let sentence = format!("an {family} key whose `{member}` is {wrong} is refused");
                let change = base().proof(|p| p.header["jwk"][*member] = wrong);
                rows.push(row("TP-03", sentence, change, proof("proof_key_forbidden")));
            }
        }
    }
    rows
}

fn tp_04() -> Vec<Row> {
    // The token names the thumbprint of the key as spelled: only the spelling is wrong.
    let spelled =
        |sentence: &str, key: &'static SigningKey, algorithm: &'static str, member: &str, edit: fn(&str) -> String| {
            let mut jwk = key.jwk();
            jwk[member] = json!(edit(jwk[member].as_str().unwrap()));
            row("TP-04", sentence, keyed(&thumbprint(&jwk), jwk, key, algorithm), proof("proof_key_forbidden"))
        };
    let (ec, rsa, okp) = (&keys().client, &keys().client_rsa, &keys().client_ed25519);
    let zero_before = |text: &str| base64url([&[0][..], &from_base64url(text)].concat());
    let unused_bit = |text: &str| {
        let (rest, last) = text.split_at(text.len() - 1);
        format!("{rest}{}", char::from(last.as_bytes()[0] + 1))
    };
    vec![
        row("TP-04", "a key in its one spelling is allowed", keyed(&ec.thumbprint(), ec.jwk(), ec, "ES256"), allow()),
        spelled("an EC coordinate with padding is refused", ec, "ES256", "x", |text| format!("{text}=")),
        spelled("an EC coordinate with an unused bit is refused", ec, "ES256", "y", unused_bit),
        spelled("an EC coordinate with a zero before it is refused", ec, "ES256", "x", zero_before),
        spelled("an EC coordinate with a line end is refused", ec, "ES256", "x", |text| format!("{text}\n")),
        spelled("an RSA modulus with padding is refused", rsa, "PS256", "n", |text| format!("{text}==")),
        spelled("an RSA modulus with a zero before it is refused", rsa, "PS256", "n", zero_before),
        spelled("an RSA exponent with a zero before it is refused", rsa, "PS256", "e", zero_before),
        spelled("an OKP point with padding is refused", okp, "EdDSA", "x", |text| format!("{text}=")),
        spelled("an OKP point with an unused bit is refused", okp, "EdDSA", "x", unused_bit),
        spelled("an OKP point in base64 is refused", okp, "EdDSA", "x", |text| {
            format!("{}=", text.replace('-', "+").replace('_', "/"))
        }),
    ]
}

fn tp_05() -> Vec<Row> {
    let jkt = keys().client.thumbprint();
    let bytes = from_base64url(&jkt);
    let named = |jkt: Value| good().token(|token| token.claims["cnf"] = json!({"jkt": jkt}));
    let refused = |sentence: &str, jkt: Value| row("TP-05", sentence, named(jkt), token("token_claim_malformed"));
    let mut other = bytes.clone();
    other[31] ^= 1;
    vec![
        row("TP-05", "`jkt` is 32 bytes in base64url", named(json!(jkt)), allow()),
        row(
            "TP-05",
            "a `jkt` that differs in its last bit names another key",
            named(json!(base64url(other))),
            binding("proof_key_mismatch"),
        ),
        refused("a `jkt` with padding is refused", json!(format!("{jkt}="))),
        refused("a `jkt` in hexadecimal is refused", json!(hex(&bytes))),
        refused("a `jkt` of 31 bytes is refused", json!(base64url(&bytes[..31]))),
        refused("a `jkt` of 33 bytes is refused", json!(base64url([&bytes[..], &[0]].concat()))),
        refused("an empty `jkt` is refused", json!("")),
        refused("a `jkt` that is null is refused", json!(null)),
        refused("a `jkt` that is a number is refused", json!(1)),
        refused("a `jkt` in an array is refused", json!([jkt])),
        refused("a `jkt` that is the key itself is refused", keys().client.jwk()),
    ]
}

/// The thumbprints of the tests are those of the RFCs, apart from the code under test.
#[test]
fn the_tests_compute_thumbprints_as_the_rfcs_do() {
    let rfc7638 = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    let rfc9449 = json!({
        "kty": "EC", "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    });
    assert_eq!(thumbprint(&rfc7638), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(thumbprint(&rfc9449), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}
