//! The proof's key, and its signature.

use serde_json::{Value, json};

use crate::expect::{allow, proof};
use crate::row::{Row, row};
use crate::support::{Good, SigningKey, base64url, from_base64url, good, good_with, keys};

pub fn rows() -> Vec<Row> {
    [dp_06_input(), dp_06_signature(), dp_06_family(), dp_07(), dp_07b_elliptic(), dp_07b_rsa(), dp_07b_ed25519()]
        .concat()
}

/// The order of the base point of P-256 (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of the base point of Ed25519, little-endian (RFC 8032 §5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn dp_06_input() -> Vec<Row> {
    let over = |sentence: &str, flip: fn(&[u8]) -> Vec<u8>| {
        let change = good().proof(|proof| proof.signed_with(move |input| keys().client.sign("ES256", &flip(input))));
        row("DP-06", sentence, change, proof("proof_signature_invalid"))
    };
    vec![
        row("DP-06", "a signature over exactly header and payload is allowed", good(), allow()),
        over("a signature over another header is refused", |input| flip(input, 3)),
        over("a signature over another payload is refused", |input| flip(input, input.len() - 3)),
        over("a signature over the payload alone is refused", |input| {
            let dot = input.iter().position(|byte| *byte == b'.').unwrap();
            input[dot + 1..].to_vec()
        }),
    ]
}

fn flip(input: &[u8], index: usize) -> Vec<u8> {
    let mut input = input.to_vec();
    input[index] ^= 1;
    input
}

fn dp_06_signature() -> Vec<Row> {
    let edited = |sentence: &str, edit: fn(Vec<u8>) -> Vec<u8>| {
        let change = good().proof(|proof| proof.edit_signature(edit));
        row("DP-06", sentence, change, proof("proof_signature_invalid"))
    };
    let eddsa = |sentence: &str, edit: fn(Vec<u8>) -> Vec<u8>| {
        let change = good_with(&keys().client_ed25519, "EdDSA").proof(|proof| proof.edit_signature(edit));
        row("DP-06", sentence, change, proof("proof_signature_invalid"))
    };
    let rsa = |sentence: &str, edit: fn(Vec<u8>) -> Vec<u8>| {
        let change = good_with(&keys().client_rsa, "PS256").proof(|proof| proof.edit_signature(edit));
        row("DP-06", sentence, change, proof("proof_signature_invalid"))
    };
    vec![
        edited("a flipped bit in the signature is refused", |signature| flip(&signature, 9)),
        edited("an ECDSA signature in DER is refused", |signature| der(&signature)),
        edited("r = 0 is refused", |signature| [&[0; 32][..], &signature[32..]].concat()),
        edited("s = 0 is refused", |signature| [&signature[..32], &[0; 32][..]].concat()),
        edited("r = s = 0 is refused", |_| vec![0; 64]),
        edited("r = n is refused", |signature| [&P256_ORDER[..], &signature[32..]].concat()),
        edited("s = n is refused", |signature| [&signature[..32], &P256_ORDER[..]].concat()),
        edited("63 bytes of ES256 are refused", |signature| signature[..63].to_vec()),
        edited("65 bytes of ES256 are refused", |signature| [&signature[..], &[0]].concat()),
        edited("one byte is refused", |_| vec![1]),
        eddsa("a flipped bit in an Ed25519 signature is refused", |signature| flip(&signature, 9)),
        eddsa("an Ed25519 signature with S + L is refused", non_canonical),
        rsa("a flipped bit in an RSA signature is refused", |signature| flip(&signature, 9)),
        rsa("an RSA signature with a zero byte before it is refused", |signature| [&[0], &signature[..]].concat()),
    ]
}

/// `SEQUENCE { INTEGER r, INTEGER s }`.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let bytes = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap()..];
        let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        [&[2, length(&[sign, bytes].concat())], sign, bytes].concat()
    };
    let integers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, length(&integers)], &integers[..]].concat()
}

fn length(content: &[u8]) -> u8 {
    u8::try_from(content.len()).unwrap()
}

/// The same point, S larger by the order: what a lax verifier takes for another good signature.
fn non_canonical(mut signature: Vec<u8>) -> Vec<u8> {
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    signature
}

fn dp_06_family() -> Vec<Row> {
    let under = |key: &'static SigningKey, algorithm: &'static str, named: &'static str| {
        good_with(key, algorithm).proof(|proof| proof.header["alg"] = json!(named))
    };
    let pkcs1 = good_with(&keys().client_rsa, "PS256").proof(|proof| proof.signed_by(&keys().client_rsa, "RS256"));
    let p384 =
        good().token(|token| token.claims["cnf"] = json!({"jkt": keys().client_p384.thumbprint()})).proof(|proof| {
            proof.header["jwk"] = keys().client_p384.jwk();
            proof.signed_by(&keys().client_p384, "ES384");
        });
    let not_for = || proof("proof_key_forbidden");
    vec![
        row("DP-06", "ES256 with a key on P-384 is refused", p384, not_for()),
        row("DP-06", "a PKCS#1 signature under PS256 is refused", pkcs1, proof("proof_signature_invalid")),
        row("DP-06", "PS256 with an EC key is refused", under(&keys().client, "ES256", "PS256"), not_for()),
        row("DP-06", "ES256 with an RSA key is refused", under(&keys().client_rsa, "PS256", "ES256"), not_for()),
        row("DP-06", "EdDSA with an EC key is refused", under(&keys().client, "ES256", "EdDSA"), not_for()),
        row(
            "DP-06",
            "ES256 with an Ed25519 key is refused",
            under(&keys().client_ed25519, "EdDSA", "ES256"),
            not_for(),
        ),
    ]
}

/// The good proof whose key has one more member, or another one.
fn key_with(base: Good, member: &str, value: Value) -> Good {
    base.proof(|proof| proof.header["jwk"][member] = value)
}

fn dp_07() -> Vec<Row> {
    let mut rows = vec![row("DP-07", "a public key is allowed", good(), allow())];
    let mut refused = |base: Good, kind: &str, member: &str, value: Value| {
        let sentence = format!("an {kind} key with `{member}: {value}` is refused");
        rows.push(row("DP-07", sentence, key_with(base, member, value), proof("proof_key_forbidden")));
    };
    for value in [json!("AQ"), json!(""), json!(null), json!(1)] {
        refused(good(), "EC", "d", value.clone());
        refused(good_with(&keys().client_ed25519, "EdDSA"), "OKP", "d", value);
    }
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        for value in [json!("AQ"), json!(null)] {
            refused(good_with(&keys().client_rsa, "PS256"), "RSA", member, value);
        }
    }
    refused(good(), "EC", "k", json!("AQ"));
    refused(good(), "EC", "priv", json!("AQ"));
    refused(good(), "EC", "p", json!(null));
    let replaced = |jwk: Value| good().proof(|proof| proof.header["jwk"] = jwk);
    let symmetric = replaced(json!({"kty": "oct", "k": base64url([1; 32])}));
    let lattice = replaced(json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQ", "priv": "AQ"}));
    rows.push(row("DP-07", "a symmetric key is refused", symmetric, proof("proof_key_forbidden")));
    rows.push(row("DP-07", "an AKP key with its seed is refused", lattice, proof("proof_key_forbidden")));
    rows
}

fn dp_07b_elliptic() -> Vec<Row> {
    let zero = || json!(base64url([0; 32]));
    let with = |sentence: &str, members: &[(&str, Value)]| {
        let mut change = good();
        for (member, value) in members {
            change = key_with(change, member, value.clone());
        }
        row("DP-07b", sentence, change, proof("proof_key_forbidden"))
    };
    let client = keys().client.jwk();
    let x = from_base64url(client["x"].as_str().unwrap());
    vec![
        row("DP-07b", "a point on P-256 is allowed", good(), allow()),
        with("a point off the curve is refused", &[("y", keys().stranger.jwk()["y"].clone())]),
        with("the point (0, 0) is refused", &[("x", zero()), ("y", zero())]),
        with("the point at infinity is refused", &[("x", json!("")), ("y", json!(""))]),
        with("a coordinate beyond the field is refused", &[("x", json!(base64url([0xff; 32])))]),
        with("a coordinate of 31 bytes is refused", &[("x", json!(base64url(&x[..31])))]),
        with("a coordinate of 33 bytes is refused", &[("x", json!(base64url([&[0][..], &x].concat())))]),
        with("P-256 coordinates under P-384 are refused", &[("crv", json!("P-384"))]),
        with("the curve secp256k1 is refused", &[("crv", json!("secp256k1"))]),
        with("an unknown `kty` is refused", &[("kty", json!("XYZ"))]),
    ]
}

fn dp_07b_rsa() -> Vec<Row> {
    let base = || good_with(&keys().client_rsa, "PS256");
    let with = |sentence: &str, member: &str, bytes: &[u8]| {
        row("DP-07b", sentence, key_with(base(), member, json!(base64url(bytes))), proof("proof_key_forbidden"))
    };
    vec![
        row("DP-07b", "an RSA key of 2048 bits is allowed", base(), allow()),
        with("an RSA key of 1024 bits is refused", "n", &[0xff; 128]),
        with("an RSA key of 2047 bits is refused", "n", &[&[0x7f][..], &[0xff; 255]].concat()),
        with("an RSA key of more than 8192 bits is refused", "n", &[0xff; 1025]),
        with("an even modulus is refused", "n", &[0xfe; 256]),
        with("e = 1 is refused", "e", &[1]),
        with("e = 4 is refused", "e", &[4]),
        with("an empty e is refused", "e", &[]),
        with("an exponent of five bytes is refused", "e", &[1, 0, 0, 0, 1]),
    ]
}

fn dp_07b_ed25519() -> Vec<Row> {
    let base = || good_with(&keys().client_ed25519, "EdDSA");
    let with = |sentence: &str, point: &[u8]| {
        row("DP-07b", sentence, key_with(base(), "x", json!(base64url(point))), proof("proof_key_forbidden"))
    };
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut above_the_field = [0xff; 32];
    (above_the_field[0], above_the_field[31]) = (0xf0, 0x7f);
    vec![
        row("DP-07b", "an Ed25519 key is allowed", base(), allow()),
        with("the neutral Ed25519 point is refused", &one),
        with("the Ed25519 point of order 2 is refused", &minus_one),
        with("an Ed25519 point of order 4 is refused", &[0; 32]),
        with("an Ed25519 point that is not reduced is refused", &above_the_field),
        with("an Ed25519 point of 31 bytes is refused", &[9; 31]),
        row(
            "DP-07b",
            "an X25519 key is refused",
            key_with(base(), "crv", json!("X25519")),
            proof("proof_key_forbidden"),
        ),
    ]
}
