//! The proof goes with the token and with its key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::expect::{allow, binding, proof, proof_missing, token};
use crate::row::{Row, row};
use crate::support::{base64url, good, good_both, good_opaque, good_with, hex, keys, sha256};

pub fn rows() -> Vec<Row> {
    [dp_27(), dp_28(), dp_29(), dp_30(), dp_31_39()].concat()
}

fn dp_27() -> Vec<Row> {
    let hashed = |sentence: &str, hash: fn(&str) -> String| {
        row("DP-27", sentence, good().proof(|proof| proof.hash_with(hash)), proof("proof_token_mismatch"))
    };
    vec![
        row("DP-27", "`ath` over the token as sent is allowed", good(), allow()),
        row(
            "DP-27",
            "a proof without `ath` is refused",
            good().proof(|proof| proof.without("ath")),
            proof("proof_malformed"),
        ),
        hashed("`ath` of another token is refused", |_| sha256("other")),
        hashed("`ath` with padding is refused", |token| format!("{}=", sha256(token))),
        hashed("`ath` in hexadecimal is refused", |token| hex(digest(token))),
        hashed("`ath` in padded base64 is refused", |token| STANDARD.encode(digest(token))),
        hashed("`ath` of the token and a space is refused", |token| sha256(format!("{token} "))),
        hashed("`ath` of the scheme and the token is refused", |token| sha256(format!("DPoP {token}"))),
        hashed("`ath` of the first 31 bytes is refused", |token| base64url(&digest(token)[..31])),
        hashed("`ath` with a byte more is refused", |token| base64url([&digest(token)[..], &[0]].concat())),
        hashed("`ath` in the other letter case is refused", |token| swap_case(&sha256(token))),
        hashed("the token itself as `ath` is refused", |token| token[..43].to_owned()),
    ]
}

fn digest(token: &str) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref().to_vec()
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}

fn dp_28() -> Vec<Row> {
    let stolen = good().proof(|proof| {
        proof.header["jwk"] = keys().stranger.jwk();
        proof.signed_by(&keys().stranger, "ES256");
    });
    let swapped = good().proof(|proof| proof.header["jwk"] = keys().stranger.jwk());
    let forged = good().proof(|proof| proof.signed_by(&keys().stranger, "ES256"));
    let of_another_kind = good_with(&keys().client_ed25519, "EdDSA").proof(|proof| {
        proof.header["jwk"] = keys().client.jwk();
        proof.header["alg"] = json!("ES256");
        proof.signed_by(&keys().client, "ES256");
    });
    vec![
        row("DP-28", "a proof by the key that the token names is allowed", good(), allow()),
        row("DP-28", "a good proof by another key is refused", stolen, binding("proof_key_mismatch")),
        row(
            "DP-28",
            "another key in the proof, signed by the bound one, is refused",
            swapped,
            binding("proof_key_mismatch"),
        ),
        row(
            "DP-28",
            "the bound key in the proof, signed by another one, is refused",
            forged,
            proof("proof_signature_invalid"),
        ),
        row(
            "DP-28",
            "a good proof by a key of another kind is refused",
            of_another_kind,
            binding("proof_key_mismatch"),
        ),
    ]
}

fn dp_29() -> Vec<Row> {
    let unbound = good().token(|token| token.without("cnf"));
    vec![
        row("DP-29", "a JWT with `cnf.jkt` is bound", good(), allow()),
        row(
            "DP-29",
            "a JWT without `cnf` is not bound, whatever proof comes with it",
            unbound,
            binding("binding_scheme_mismatch"),
        ),
        row(
            "DP-29",
            "`cnf` may have members that we do not know beside `jkt`",
            good().token(|t| t.claims["cnf"]["x"] = json!(1)),
            allow(),
        ),
        row("DP-29", "a token bound to a key and a certificate needs both, and has both", good_both(), allow()),
        row("DP-29", "an opaque token is bound by `cnf.jkt` of its introspection", good_opaque(), allow()),
        row(
            "DP-29",
            "an opaque token with a proof by another key is refused",
            good_opaque().token(|token| token.claims["cnf"]["jkt"] = json!(keys().stranger.thumbprint())),
            binding("proof_key_mismatch"),
        ),
    ]
}

fn dp_30() -> Vec<Row> {
    let typed = |sentence: &str, name: &'static str| {
        let request = good_opaque().token(|token| token.claims["token_type"] = json!(name));
        (sentence.to_owned(), request)
    };
    let (other, bearer) = typed("`token_type` Bearer beside `cnf.jkt` is refused", "Bearer");
    let (same, lower) = typed("`token_type` DPoP in lower case is the same", "dpop");
    vec![
        row("DP-30", "`token_type` DPoP beside `cnf.jkt` is allowed", good_opaque(), allow()),
        row("DP-30", other, bearer, token("token_type_unexpected")),
        row("DP-30", same, lower, allow()),
    ]
}

fn dp_31_39() -> Vec<Row> {
    vec![
        row("DP-31", "with its proof the bound token is allowed", good(), allow()),
        row("DP-31", "the scheme DPoP without a proof is refused", good().without("dpop"), proof_missing()),
        row(
            "DP-31",
            "a proof in another header is no proof",
            good().without("dpop").header("x-dpop", "a.b.c"),
            proof_missing(),
        ),
        row(
            "DP-39",
            "a proof for the authorization server, without `ath`, is refused here",
            good().proof(|p| p.without("ath")),
            proof("proof_malformed"),
        ),
        row("DP-39", "with `ath` it is allowed", good(), allow()),
    ]
}
