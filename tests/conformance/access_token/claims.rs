//! The claims that a token must have, the scopes, and the claims that policies read.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, bearer_token, client, policy, request, token};
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::{Good, NOW, good, good_at, good_bearer, good_legacy, good_mtls, good_second};

pub fn rows() -> Vec<Row> {
    [at_06(), at_06_legacy(), at_06_clients(), at_08(), at_10(), at_10_other(), at_11()].concat()
}

fn at_06() -> Vec<Row> {
    let mut rows = vec![row("AT-06", "a token with every claim, each of its type, is allowed", good(), allow())];
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let without = good().token(|token| token.without(claim));
        rows.push(row("AT-06", format!("a token without `{claim}` is refused"), without, token("token_claim_missing")));
        let mut wrong = vec![json!(null), json!(true), json!({"x": "y"})];
        wrong.extend(match claim {
            "exp" | "iat" => vec![json!("1800000290"), json!([NOW])],
            "aud" => vec![json!(1)],
            _ => vec![json!(1), json!(["x"])],
        });
        for value in wrong {
            let sentence = format!("a token whose `{claim}` is {value} is refused");
            let change = good().token(|token| token.claims[claim] = value);
            rows.push(row("AT-06", sentence, change, token("token_claim_malformed")));
        }
    }
    for claim in ["sub", "client_id", "jti"] {
        let sized = |bytes: usize| good().token(|token| token.claims[claim] = json!("x".repeat(bytes)));
        rows.push(row("AT-06", format!("an empty `{claim}` is refused"), sized(0), token("token_claim_malformed")));
        rows.push(row("AT-06", format!("a `{claim}` of 512 bytes is allowed"), sized(512), allow()));
        rows.push(row(
            "AT-06",
            format!("a `{claim}` of 513 bytes is refused"),
            sized(513),
            token("token_claim_malformed"),
        ));
    }
    rows
}

fn at_06_legacy() -> Vec<Row> {
    let without = |claim: &str| good_legacy().token(|token| token.without(claim));
    let second = |claim: &str| good_second().token(|token| token.without(claim));
    vec![
        row("AT-06", "a legacy issuer may leave out `jti`", without("jti"), allow()),
        row("AT-06", "a legacy issuer may leave out `sub`", without("sub"), allow()),
        row("AT-06", "a legacy issuer may not leave out `exp`", without("exp"), bearer_token("token_claim_missing")),
        row("AT-06", "a legacy issuer may not leave out `iat`", without("iat"), bearer_token("token_claim_missing")),
        row(
            "AT-06",
            "a legacy issuer may not leave out the client",
            without("client_id"),
            bearer_token("token_claim_missing"),
        ),
        row("AT-06", "the claim that names the client may be another one, per issuer", good_second(), allow()),
        row("AT-06", "and then it is required", second("azp"), token("token_claim_missing")),
        row(
            "AT-06",
            "and `client_id` does not stand in for it",
            second("azp").token(|t| t.claims["client_id"] = json!("second-robot")),
            token("token_claim_missing"),
        ),
    ]
}

fn at_06_clients() -> Vec<Row> {
    let of = |id: &str| good_at(host::REGISTERED).token(|token| token.claims["client_id"] = json!(id));
    let anywhere = |id: &str| good().token(|token| token.claims["client_id"] = json!(id));
    vec![
        row("AT-06", "a registered client is allowed", of("robot"), allow()),
        row(
            "AT-06",
            "a client that is not registered is refused where registration is demanded",
            of("other-robot"),
            client("client_unknown"),
        ),
        row("AT-06", "an id is a client of its issuer alone", of("second-robot"), client("client_unknown")),
        row("AT-06", "a registration that has ended is refused", of("retired-robot"), client("client_expired")),
        row(
            "AT-06",
            "and refused where registration is not demanded, too",
            anywhere("retired-robot"),
            client("client_expired"),
        ),
        row(
            "AT-06",
            "a client that is not registered is allowed where registration is not demanded",
            anywhere("other-robot"),
            allow(),
        ),
    ]
}

fn at_08() -> Vec<Row> {
    let other = |good: Good| good.token(|token| token.claims["aud"] = json!("other"));
    vec![
        row("AT-08", "the error is on the scheme that was used: DPoP", other(good()), token("token_audience_mismatch")),
        row(
            "AT-08",
            "the error is on the scheme that was used: Bearer",
            other(good_bearer()),
            bearer_token("token_audience_mismatch"),
        ),
        row(
            "AT-08",
            "the error is on the scheme that was used: Bearer with a certificate",
            other(good_mtls()),
            bearer_token("token_audience_mismatch"),
        ),
        row("AT-08", "a good token has no error", good(), allow()),
        row(
            "AT-08",
            "a token over 16 KiB is refused with the request",
            good().token(|t| t.claims["x"] = json!("x".repeat(16_000))),
            request("request_limit_exceeded"),
        ),
        row(
            "AT-08",
            "a token of 8 KiB is allowed",
            good().token(|t| t.claims["x"] = json!("x".repeat(6_000))),
            allow(),
        ),
    ]
}

fn at_10() -> Vec<Row> {
    let scoped = |sentence: &str, scope: Value, expect: Expect| {
        row("AT-10", sentence, good().token(|token| token.claims["scope"] = scope), expect)
    };
    let malformed = || token("token_claim_malformed");
    let many = |count: usize| {
        (0..count).map(|n| format!("s{n}")).chain(["items.read".to_owned()]).collect::<Vec<_>>().join(" ")
    };
    vec![
        scoped("a scope string is allowed", json!("items.read"), allow()),
        scoped("a scope that stands twice counts once", json!("items.read items.read x"), allow()),
        scoped("spaces more than needed do not count", json!("  x   items.read "), allow()),
        scoped("`scope` as an array is refused", json!(["items.read"]), malformed()),
        scoped("`scope` as null is refused", json!(null), malformed()),
        scoped("`scope` as a number is refused", json!(1), malformed()),
        scoped("a tab does not separate scopes", json!("x\titems.read"), malformed()),
        scoped("a comma does not separate scopes", json!("x,items.read"), short()),
        scoped("a quote in a scope is refused", json!("items.read \""), malformed()),
        scoped("a scope beyond ASCII is refused", json!("items.read \u{e9}"), malformed()),
        scoped("the case of a scope counts", json!("Items.Read"), short()),
        scoped("a scope that begins like the wanted one is another", json!("items.read.all"), short()),
        scoped("an empty scope is short", json!(""), short()),
        scoped("512 scopes are allowed", json!(many(511)), allow()),
        scoped("513 scopes are refused", json!(many(512)), malformed()),
        row("AT-10", "a token without scope is short", good().token(|t| t.without("scope")), short()),
        row(
            "AT-10",
            "where no scope is wanted none is needed",
            good().path("/").token(|t| t.without("scope")),
            allow(),
        ),
    ]
}

/// `items.read` is missing.
fn short() -> Expect {
    policy("scope_insufficient").challenged(&[
        "DPoP algs=\"ES256 PS256 EdDSA Ed25519\", error=\"insufficient_scope\", error_description=\"The request is not permitted\", scope=\"items.read\"",
    ])
}

fn at_10_other() -> Vec<Row> {
    let scp = |value: Value| good_second().token(|token| token.claims["scp"] = value);
    let in_scope = good_second().token(|token| {
        token.without("scp");
        token.claims["scope"] = json!("items.read");
    });
    vec![
        row("AT-10", "an issuer's scopes may be in another claim, as an array", scp(json!(["items.read"])), allow()),
        row("AT-10", "or as a string", scp(json!("items.read x")), allow()),
        row(
            "AT-10",
            "an array with an empty scope is refused",
            scp(json!(["items.read", ""])),
            token("token_claim_malformed"),
        ),
        row(
            "AT-10",
            "an array with a number is refused",
            scp(json!(["items.read", 1])),
            token("token_claim_malformed"),
        ),
        row(
            "AT-10",
            "a scope with a space in it is refused",
            scp(json!(["x items.read"])),
            token("token_claim_malformed"),
        ),
        row("AT-10", "and then `scope` does not count", in_scope, short()),
        row(
            "AT-10",
            "`scp` of an issuer that is not configured so does not count",
            good().token(|t| {
                t.without("scope");
                t.claims["scp"] = json!(["items.read"]);
            }),
            short(),
        ),
    ]
}

fn at_11() -> Vec<Row> {
    let with = |claim: &'static str, value: Value, expect: Expect| {
        let sentence = format!("`{claim}` of {value}");
        row("AT-11", sentence, good().token(|token| token.claims[claim] = value), expect)
    };
    let wrong = || token("token_claim_malformed");
    let mut rows = vec![
        with("acr", json!("urn:level:2"), allow()),
        with("acr", json!(2), wrong()),
        with("acr", json!(null), wrong()),
        with("auth_time", json!(NOW - 5), allow()),
        with("auth_time", json!(1_799_999_990.5), allow()),
        with("auth_time", json!("1799999990"), wrong()),
        with("amr", json!(["pwd", "hwk"]), allow()),
        with("amr", json!("pwd"), wrong()),
    ];
    for claim in ["groups", "roles", "entitlements"] {
        rows.extend([
            with(claim, json!(["staff"]), allow()),
            with(claim, json!([]), allow()),
            with(claim, json!("staff"), wrong()),
            with(claim, json!(["staff", 1]), wrong()),
            with(claim, json!({"value": "staff"}), wrong()),
            with(claim, json!(null), wrong()),
        ]);
    }
    rows.push(with("groups", json!(["staff", "suspended"]), policy("policy_forbidden")));
    rows.push(with("groups", json!("suspended"), wrong()));
    rows.push(with("undeclared", json!({"x": [null, 1]}), allow()));
    rows
}
