//! Proofs: with a key that is none, for another place, token or key, or used before.

use serde_json::json;

use crate::expect::{allow, bearer_binding, binding, proof, request, token};
use crate::row::{Envoy, Row, row};
use crate::support::{Good, SigningKey, base64url, fresh_id, good, good_bearer, good_mtls, good_with, keys};

pub fn rows() -> Vec<Row> {
    [private_key(), weak_key(), own_key(), signatures(), places(), replays(), senders(), confirmations(), repeated()]
        .concat()
}

fn private_key() -> Vec<Row> {
    const ID: &str = "cve-2026-54431-private-key-in-proof-jwk";
    let mut rows = vec![row(ID, "the public key alone is allowed", good(), allow())];
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        let of_rsa = !matches!(member, "d" | "k" | "priv");
        let base = if of_rsa { good_with(&keys().client_rsa, "PS256") } else { good() };
        let change = base.proof(|proof| proof.header["jwk"][member] = json!("AQ"));
        rows.push(row(ID, format!("a key with `{member}` is refused"), change, proof("proof_key_forbidden")));
    }
    rows
}

fn weak_key() -> Vec<Row> {
    const ID: &str = "cve-2017-15361-weak-rsa-key-in-proof";
    let base = || good_with(&keys().client_rsa, "PS256");
    let with = |member: &'static str, bytes: &[u8]| base().proof(|p| p.header["jwk"][member] = json!(base64url(bytes)));
    vec![
        row(ID, "2048 bits are allowed", base(), allow()),
        row(ID, "1024 bits are refused", with("n", &[0xff; 128]), proof("proof_key_forbidden")),
        row(ID, "the exponent 1 is refused", with("e", &[1]), proof("proof_key_forbidden")),
    ]
}

fn own_key() -> Vec<Row> {
    const ID: &str = "cve-2018-0114-key-of-the-attacker-in-the-header";
    let proof_by = |key: &'static SigningKey| {
        good().proof(|proof| {
            proof.header["jwk"] = key.jwk();
            proof.signed_by(key, "ES256");
        })
    };
    let token_by = |key: &'static SigningKey| {
        good().token(|token| {
            token.header["jwk"] = key.jwk();
            token.signed_by(key, "ES256");
        })
    };
    vec![
        row(ID, "the key that the token names is allowed", proof_by(&keys().client), allow()),
        row(ID, "another key that signs well is refused", proof_by(&keys().stranger), binding("proof_key_mismatch")),
        row(
            ID,
            "a token does not verify with the key that it brings",
            token_by(&keys().stranger),
            token("token_signature_invalid"),
        ),
    ]
}

fn signatures() -> Vec<Row> {
    const ZEROS: &str = "cve-2022-21449-signature-of-zeros";
    const ENCODED: &str = "cve-2024-48948-signature-in-another-encoding";
    let of_proof = |edit: fn(Vec<u8>) -> Vec<u8>| good().proof(|proof| proof.edit_signature(edit));
    let of_token = |edit: fn(Vec<u8>) -> Vec<u8>| good().token(|token| token.edit_signature(edit));
    let zeros: fn(Vec<u8>) -> Vec<u8> = |_| vec![0; 64];
    let longer: fn(Vec<u8>) -> Vec<u8> = |signature| [&[0], &signature[..]].concat();
    let der: fn(Vec<u8>) -> Vec<u8> =
        |signature| [&[0x30, 0x44, 2, 32], &signature[..32], &[2, 32], &signature[32..]].concat();
    let mut rows = vec![
        row(ZEROS, "a signature of the key is allowed", good(), allow()),
        row(ZEROS, "r = s = 0 over a proof is refused", of_proof(zeros), proof("proof_signature_invalid")),
        row(ZEROS, "r = s = 0 over a token is refused", of_token(zeros), token("token_signature_invalid")),
        row(ENCODED, "64 bytes are allowed", good(), allow()),
    ];
    for (what, edit) in [("a zero byte before it", longer), ("DER", der)] {
        let sentence = |of: &str| format!("a signature with {what} over a {of} is refused");
        rows.push(row(ENCODED, sentence("proof"), of_proof(edit), proof("proof_signature_invalid")));
        rows.push(row(ENCODED, sentence("token"), of_token(edit), token("token_signature_invalid")));
    }
    rows
}

fn places() -> Vec<Row> {
    const HOST: &str = "auth0-dpop-1.9-path-in-host";
    const EXACT: &str = "heimdall-exact-string-target";
    const SCHEME: &str = "cve-2023-35944-mixed-case-scheme";
    let for_other = |authority: &str| {
        good().host(authority).proof(|proof| proof.claims["htu"] = json!("https://rs.example.com/items/8"))
    };
    let target = |htu: &str| good().proof(|proof| proof.claims["htu"] = json!(htu));
    let mut rows = vec![
        row(HOST, "the host alone is allowed", good(), allow()),
        row(
            HOST,
            "and a proof for another path is refused",
            for_other("rs.example.com"),
            proof("proof_target_mismatch"),
        ),
    ];
    for authority in ["rs.example.com/items/8?", "rs.example.com/items/8#", "rs.example.com?"] {
        let sentence = format!("the authority `{authority}` is refused");
        rows.push(row(HOST, sentence, for_other(authority), request("request_authority")).envoy(Envoy::Stops(400)));
    }
    rows.push(row(HOST, "userinfo is refused", for_other("user@rs.example.com"), request("request_authority")));
    for htu in
        ["https://RS.EXAMPLE.COM/items/7", "https://rs.example.com:443/items/%37", "https://rs.example.com/items/7?x=1"]
    {
        rows.push(row(EXACT, format!("`{htu}` names the same target"), target(htu), allow()));
    }
    rows.extend([
        row(EXACT, "another path does not", target("https://rs.example.com/items/77"), proof("proof_target_mismatch")),
        row(SCHEME, "`HTTPS` is https", target("HTTPS://rs.example.com/items/7"), allow()),
        row(SCHEME, "`HtTp` is not", target("HtTp://rs.example.com/items/7"), proof("proof_target_mismatch")),
        row(
            SCHEME,
            "nor when the client says that it came so",
            target("http://rs.example.com/items/7").header("x-forwarded-proto", "HTTP"),
            proof("proof_target_mismatch"),
        ),
    ]);
    rows
}

fn replays() -> Vec<Row> {
    let id = fresh_id();
    let identified = || {
        let id = id.clone();
        good().proof(move |proof| proof.claims["jti"] = json!(id))
    };
    let respelled = identified().proof(|p| p.claims["htu"] = json!("https://RS.example.com:443/items/7?y"));
    vec![
        row("heimdall-get-then-set-jti", "a proof is good once", good(), allow()).again(proof("proof_replayed")),
        row("better-auth-replay-key-of-raw-target", "a `jti` is spent however `htu` is spelled", identified(), allow())
            .then(respelled, proof("proof_replayed")),
    ]
}

fn senders() -> Vec<Row> {
    const OTHER: &str = "keycloak-38333-proof-for-another-token-or-key";
    const LOST: &str = "keycloak-50963-token-that-lost-its-binding";
    const SURFACED: &str = "zeroid-272-binding-surfaced-not-enforced";
    let unbound = |good: Good| good.token(|token| token.without("cnf"));
    vec![
        row(OTHER, "its own proof is allowed", good(), allow()),
        row(
            OTHER,
            "a proof for another token is refused",
            good().proof(|proof| proof.hash_with(|_| base64url([7; 32]))),
            proof("proof_token_mismatch"),
        ),
        row(
            OTHER,
            "a token for another key is refused",
            good().token(|token| token.claims["cnf"] = json!({"jkt": keys().stranger.thumbprint()})),
            binding("proof_key_mismatch"),
        ),
        row(LOST, "a bound token is allowed", good_mtls(), allow()),
        row(LOST, "the same without its binding is refused", unbound(good_mtls()), bearer_binding("binding_missing")),
        row(LOST, "and with a proof beside it too", unbound(good()), binding("binding_scheme_mismatch")),
        row(SURFACED, "a bound token with its certificate is allowed", good_mtls(), allow()),
        row(
            SURFACED,
            "without it, it is refused",
            good_mtls().without_certificate(),
            bearer_binding("certificate_missing"),
        ),
        row(
            SURFACED,
            "a DPoP-bound token sent as Bearer is refused",
            good().scheme("Bearer"),
            bearer_binding("binding_scheme_mismatch"),
        ),
    ]
}

fn confirmations() -> Vec<Row> {
    const EMPTY: &str = "ezpds-empty-cnf-is-bearer";
    const UNDERFLOW: &str = "ezpds-iat-underflow";
    let issued = |date: i64| good().proof(|proof| proof.claims["iat"] = json!(date));
    vec![
        row(EMPTY, "a token without `cnf` is allowed where no proof is demanded", good_bearer(), allow()),
        row(
            EMPTY,
            "an empty `cnf` is no bearer token",
            good_bearer().token(|token| token.claims["cnf"] = json!({})),
            bearer_binding("binding_method_unknown"),
        ),
        row(UNDERFLOW, "an `iat` of now is allowed", good(), allow()),
        row(UNDERFLOW, "the least integer is no date", issued(i64::MIN), proof("proof_malformed")),
        row(UNDERFLOW, "nor is the greatest", issued(i64::MAX), proof("proof_malformed")),
    ]
}

fn repeated() -> Vec<Row> {
    const ID: &str = "cve-2021-32777-last-of-repeated-headers";
    vec![
        row(ID, "one proof is allowed", good(), allow()),
        row(ID, "a good one and a bad one are refused", good().and_header("dpop", "a.b.c"), proof("proof_duplicated")),
        row(ID, "and the same one twice", twice(), proof("proof_duplicated")),
    ]
}

/// The good request, whose proof is there a second time after a comma.
fn twice() -> Good {
    good().edit_header("dpop", |proof| [&proof[..], b",", &proof[..]].concat())
}
