//! The bounds, each with the largest that is taken and the next.

use keybound::decision::limits;
use keybound::edge::revocations::{admin, book, entry};
use keybound::edge::wire;
use serde_json::{Value, json};

use super::{Limit, around, here, there, told};
use crate::support::inventory::host;
use crate::support::wire::encode;
use crate::support::{Encoding, Good, NOW, Setting, good, good_at, good_mtls_by_header, good_nonce, pki};

pub fn all() -> Vec<Limit> {
    let of_callers =
        [of_request(), of_token(), of_proof(), of_keys(), of_certificate(), of_service(), of_revocations()];
    of_callers.into_iter().flatten().chain(told::all()).collect()
}

fn of_request() -> Vec<Limit> {
    let fields = |count: usize| (0..count).fold(good(), |good, index| good.and_header(&format!("x-{index}"), "1"));
    let (few, many) = around(limits::HEADERS, 1_000, |count| headers(&fields(count)).0);
    let sized = |bytes: usize| good().header("x-large", vec![b'x'; bytes]);
    let (small, large) = around(limits::HEADER_BYTES, 1_000_000, |bytes| headers(&sized(bytes)).1);
    let query = |bytes: usize| good().raw_path(&format!("/items/7?{}", "x".repeat(bytes - 9)));
    let segments = |count: usize| good().raw_path(&"/a".repeat(count));
    let method = |bytes: usize| good().raw_method(&"X".repeat(bytes));
    let authority = |bytes: usize| good().host(&"a".repeat(bytes));
    let exceeded = "request_limit_exceeded";
    vec![
        here(
            "METHOD_BYTES",
            limits::METHOD_BYTES,
            "bytes of a method",
            (method(limits::METHOD_BYTES), "operation_unknown"),
            (method(limits::METHOD_BYTES + 1), "request_malformed"),
        ),
        here(
            "AUTHORITY_BYTES",
            limits::AUTHORITY_BYTES,
            "bytes of an authority",
            (authority(limits::AUTHORITY_BYTES), "api_unknown"),
            (authority(limits::AUTHORITY_BYTES + 1), "request_authority"),
        ),
        here(
            "TARGET_BYTES",
            limits::TARGET_BYTES,
            "bytes of path and query",
            (query(limits::TARGET_BYTES), "allowed"),
            (query(limits::TARGET_BYTES + 1), exceeded),
        ),
        here(
            "PATH_SEGMENTS",
            limits::PATH_SEGMENTS,
            "segments of a path",
            (segments(limits::PATH_SEGMENTS), "operation_unknown"),
            (segments(limits::PATH_SEGMENTS + 1), "request_target_ambiguous"),
        ),
        here(
            "HEADERS",
            limits::HEADERS,
            "header fields, Envoy's own among them",
            (fields(few), "allowed"),
            (fields(many), exceeded),
        ),
        here(
            "HEADER_BYTES",
            limits::HEADER_BYTES,
            "bytes of all header names and values",
            (sized(small), "allowed"),
            (sized(large), exceeded),
        ),
    ]
}

/// How many fields and bytes of headers keybound is told of.
fn headers(good: &Good) -> (usize, usize) {
    let message = encode(&good.build(), Encoding::Raw);
    let raw = wire::read(&message).expect("a request");
    (raw.headers.len(), raw.headers.iter().map(|(name, value)| name.len() + value.len()).sum())
}

fn of_token() -> Vec<Limit> {
    let claim = |name: &'static str, value: Value| good().token(move |token| token.claims[name] = value);
    let padded = |bytes: usize| claim("x", json!("x".repeat(bytes)));
    let (small, large) = around(limits::TOKEN_BYTES, 20_000, |bytes| length_of(&padded(bytes)));
    let nested = |levels: usize| {
        good().token(move |token| {
            token.add_to_claims(format!("\"x\":{}{}", "[".repeat(levels), "]".repeat(levels)).leak());
        })
    };
    let wide = |count: usize| claim("x", json!(vec![1; count]));
    let (narrow, broad) = around(limits::JSON_NODES, 4_000, |count| nodes(&claims_of(&wide(count))));
    let kid = |bytes: usize| good().token(move |token| token.header["kid"] = json!("k".repeat(bytes)));
    let scopes = |count: usize| {
        let more = (1..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
        claim("scope", json!(format!("items.read {more}")))
    };
    let audiences = |count: usize| {
        let more = (1..count).map(|n| format!("https://{n}.test"));
        claim("aud", json!(more.chain(["https://api.example.com".to_owned()]).collect::<Vec<_>>()))
    };
    let sub = |bytes: usize| claim("sub", json!("s".repeat(bytes)));
    let malformed = "token_claim_malformed";
    vec![
        here(
            "TOKEN_BYTES",
            limits::TOKEN_BYTES,
            "bytes of an access token",
            (padded(small), "allowed"),
            (padded(large), "request_limit_exceeded"),
        ),
        here(
            "JSON_DEPTH",
            limits::JSON_DEPTH,
            "levels of JSON in a token or proof",
            (nested(limits::JSON_DEPTH - 1), "allowed"),
            (nested(limits::JSON_DEPTH), "token_malformed"),
        ),
        here(
            "JSON_NODES",
            limits::JSON_NODES,
            "members and elements of one JSON text",
            (wide(narrow), "allowed"),
            (wide(broad), "token_malformed"),
        ),
        here(
            "KID_BYTES",
            limits::KID_BYTES,
            "bytes of `kid`",
            (kid(limits::KID_BYTES), "token_key_unknown"),
            (kid(limits::KID_BYTES + 1), "token_malformed"),
        ),
        here(
            "IDENTIFIER_BYTES",
            limits::IDENTIFIER_BYTES,
            "bytes of `sub`, `client_id` or a token's `jti`",
            (sub(limits::IDENTIFIER_BYTES), "allowed"),
            (sub(limits::IDENTIFIER_BYTES + 1), malformed),
        ),
        here(
            "SCOPES",
            limits::SCOPES,
            "scopes of a token",
            (scopes(limits::SCOPES), "allowed"),
            (scopes(limits::SCOPES + 1), malformed),
        ),
        here(
            "AUDIENCES",
            limits::AUDIENCES,
            "audiences of a token",
            (audiences(limits::AUDIENCES), "allowed"),
            (audiences(limits::AUDIENCES + 1), malformed),
        ),
        here(
            "NUMERIC_DATE",
            usize::try_from(limits::NUMERIC_DATE).unwrap(),
            "a date, in seconds: the end of the year 9999",
            (claim("nbf", json!(limits::NUMERIC_DATE)), "token_not_yet_valid"),
            (claim("nbf", json!(limits::NUMERIC_DATE + 1)), malformed),
        ),
    ]
}

fn claims_of(good: &Good) -> Value {
    let mut claims = Value::Null;
    let _ = good.clone().token(|token| claims = token.claims.clone());
    claims
}

fn length_of(good: &Good) -> usize {
    let mut length = 0;
    let _ = good.clone().token(|token| length = token.compact().len());
    length
}

fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.len() + values.iter().map(nodes).sum::<usize>(),
        Value::Object(members) => members.len() + members.values().map(nodes).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn of_proof() -> Vec<Limit> {
    let padded = |bytes: usize| good().proof(move |proof| proof.claims["x"] = json!("x".repeat(bytes)));
    let (small, large) = around(limits::PROOF_BYTES, 10_000, |bytes| {
        let mut length = 0;
        let _ = padded(bytes).proof(|proof| length = proof.compact_for("x").len());
        length
    });
    let jti = |bytes: usize| good().proof(move |proof| proof.claims["jti"] = json!("j".repeat(bytes)));
    let aged = |seconds: i64| good_nonce().proof(move |proof| proof.claims["iat"] = json!(NOW - seconds));
    let window = limits::NONCE_IAT_WINDOW_SECONDS;
    vec![
        here(
            "PROOF_BYTES",
            limits::PROOF_BYTES,
            "bytes of a proof",
            (padded(small), "allowed"),
            (padded(large), "proof_malformed"),
        ),
        here(
            "JTI_BYTES",
            limits::JTI_BYTES,
            "bytes of a proof's `jti`",
            (jti(limits::JTI_BYTES), "allowed"),
            (jti(limits::JTI_BYTES + 1), "proof_malformed"),
        ),
        here(
            "NONCE_IAT_WINDOW_SECONDS",
            usize::try_from(window).unwrap(),
            "seconds that `iat` may be off where a nonce judges time",
            (aged(window), "allowed"),
            (aged(window + 1), "proof_stale"),
        ),
        there(
            "HTU_BYTES",
            &limits::HTU_BYTES,
            "bytes of `htu`; a proof of the largest size holds fewer",
            "an_htu_over_the_limit_names_nothing",
        ),
        there("NONCE_BYTES", &limits::NONCE_BYTES, "bytes of a nonce; longer ones are none of ours", "DP-17"),
    ]
}

fn of_keys() -> Vec<Limit> {
    vec![
        there(
            "REQUEST_ID_BYTES",
            &limits::REQUEST_ID_BYTES,
            "bytes of `X-Request-Id`; a longer one is not recorded",
            "a_request_id_is_recorded_if_it_is_one_short_and_plain",
        ),
        there(
            "KEYS",
            &limits::KEYS,
            "keys of a JWK Set; more refuse the set",
            "jw_10_candidates_fit_kid_family_and_algorithm_and_are_few",
        ),
        there("KEY_TRIES", &limits::KEY_TRIES, "keys of one id and kind that a token is tried with", "JW-10"),
        there(
            "RSA_BITS",
            &format!("{} to {}", limits::RSA_BITS.start(), limits::RSA_BITS.end()),
            "bits of an RSA key",
            "DP-07b",
        ),
    ]
}

fn of_certificate() -> Vec<Limit> {
    const XFCC: &str = "x-forwarded-client-cert";
    let hash = || format!("Hash={}", pki().client.hash());
    let with = |value: String| good_mtls_by_header(Setting::Xfcc, XFCC, hash()).header(XFCC, value);
    let elements = |count: usize| with(vec![hash(); count].join(","));
    let pairs = |count: usize| with(format!("{}{}", "X=1;".repeat(count - 1), hash()));
    let sized = |bytes: usize| with(format!("X={};{}", "x".repeat(bytes - hash().len() - 3), hash()));
    let chain = |count: usize| {
        let one = pki().client.byte_sequence();
        let chain = vec![one.clone(); count].join(",");
        good_mtls_by_header(Setting::ClientCert, "client-cert", one).and_header("client-cert-chain", chain)
    };
    let malformed = "certificate_malformed";
    vec![
        here(
            "elements",
            16,
            "elements of `x-forwarded-client-cert`",
            (elements(16), "allowed"),
            (elements(17), malformed),
        ),
        here("pairs", 128, "pairs of one element", (pairs(128), "allowed"), (pairs(129), malformed)),
        here(
            "bytes",
            65_536,
            "bytes of `x-forwarded-client-cert`",
            (sized(65_536), "allowed"),
            (sized(65_537), malformed),
        ),
        here("chain", 8, "certificates of `Client-Cert-Chain`", (chain(8), "allowed"), (chain(9), malformed)),
    ]
}

fn of_service() -> Vec<Limit> {
    let many =
        |count: usize| good_at(host::ITEMS).bytes(move |message| [&message[..], &[0x0a, 0x00].repeat(count)].concat());
    let held = fields(&good());
    vec![
        here(
            "fields",
            limits::HEADERS * 16,
            "fields of a message that are decoded",
            (many(limits::HEADERS * 16 - held), "allowed"),
            (many(limits::HEADERS * 16 - held + 1), "request_limit_exceeded"),
        ),
        there(
            "message",
            &"16 MiB",
            "bytes of a CheckRequest; a larger one is `request_limit_exceeded`",
            "a_body_over_the_message_limit_is_denied",
        ),
        there(
            "limits.in_flight",
            &"configured",
            "checks at once; one more is `fault_overloaded`",
            "what_is_over_the_bound_is_shed_with_a_code",
        ),
        there(
            "limits.deadline_milliseconds",
            &"configured",
            "time of a check; a later answer is `fault_deadline`",
            "an_answer_that_comes_late_is_a_denial",
        ),
        there("proofs.spent", &"configured", "proofs that are remembered, and one client's share of them", "DP-41"),
    ]
}

fn of_revocations() -> Vec<Limit> {
    let (form, absurd, many, guesses) = (
        "what_is_too_long_or_empty_or_could_name_nothing_is_refused",
        "what_cannot_be_meant_is_refused_with_what_would_be_right",
        "many_are_all_taken_or_none",
        "ten_thousand_guesses_hold_up_nobody_who_may_call",
    );
    let set = "ss_02_what_is_no_set_is_refused_whatever_it_is";
    vec![
        there("SET_BYTES", &limits::SET_BYTES, "bytes of a security event token", set),
        there("reason", &entry::REASON_BYTES, "bytes of a revocation's reason", form),
        there("case", &entry::CASE_BYTES, "bytes of its case reference", form),
        there("name", &entry::NAME_BYTES, "bytes of the name of a certificate's issuer", form),
        there("serial", &entry::SERIAL_BYTES, "digits of a certificate's serial number", form),
        there("body", &admin::BODY_BYTES, "bytes of an admin call about one entry", absurd),
        there("bodies", &admin::MANY_BYTES, "bytes of an admin call about many", absurd),
        there("entries", &admin::MANY, "entries of one admin call", many),
        there(
            "records",
            &book::RECORDS,
            "revocations and cancels that are kept",
            "a_full_book_refuses_entries_and_still_takes_them_back",
        ),
        there("guesses", &32, "callers that do not show who they are, held up at once; more are answered 429", guesses),
    ]
}

/// The fields that are counted of a good message.
fn fields(good: &Good) -> usize {
    let message = encode(&good.build(), Encoding::Raw);
    let (fit, _) = around(limits::HEADERS * 16, limits::HEADERS * 16, |count| {
        let longer = [&message[..], &[0x0a, 0x00].repeat(count)].concat();
        if wire::read(&longer).is_ok() { 0 } else { usize::MAX }
    });
    limits::HEADERS * 16 - fit
}
