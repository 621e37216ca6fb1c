//! RFC 6750: how a token is presented, and how a refusal is told.

use serde_json::json;

use crate::expect::{allow, bearer_token, malformed, no_credential, policy, public, repeated, route, token};
use crate::family::Family;
use crate::row::{Row, row};
use crate::support::{Good, NOW, good, good_bearer, good_mtls, keys};

/// Section 3.3.
pub const FAMILY: Family = Family {
    prefix: "BR",
    title: "RFC 6750, presenting a token",
    ids: &["BR-01", "BR-02", "BR-03", "BR-04", "BR-05", "BR-06", "BR-07", "BR-08", "BR-09"],
    rows,
    throughout: &[
        ("BR-05", "a 401 has `WWW-Authenticate`"),
        ("BR-06", "no parameter of a challenge stands twice, and every value has only the characters that it may have"),
        ("BR-09", "no answer repeats what was presented"),
    ],
    left_out: &[
        (
            "BR-03",
            "a form body never reaches us: `with_request_body` is off; the row shows that it is not needed to refuse",
        ),
        ("BR-09", "logs, metrics and upstream headers are written by other zones, and are tested there"),
    ],
};

fn rows() -> Vec<Row> {
    [br_01(), br_02(), br_03_04(), br_07(), br_08(), br_08_public()].concat()
}

fn br_01() -> Vec<Row> {
    vec![
        row("BR-01", "`Authorization: Bearer` is supported", good_bearer(), allow()),
        row("BR-01", "the scheme's case does not count", good_bearer().scheme("bEARER"), allow()),
        row("BR-01", "with a certificate-bound token too", good_mtls(), allow()),
    ]
}

fn br_02() -> Vec<Row> {
    let mut rows = Vec::new();
    for query in [
        "access_token=x",
        "access_token",
        "access_token=",
        "a=b&access_token=x",
        "access_token=x&access_token=y",
        "%61ccess_token=x",
        "access%5Ftoken=x",
        "a=b;access_token=x",
        "&&access_token=x",
        "access.token=x",
        "access[token=x",
        "+access_token%00%zz=x",
    ] {
        let path = format!("/items/7?{query}");
        rows.push(row(
            "BR-02",
            format!("a token in the header and `?{query}` are two"),
            good().raw_path(&path),
            repeated(),
        ));
        rows.push(row("BR-02", format!("as Bearer too: `?{query}`"), good_bearer().raw_path(&path), repeated()));
    }
    for query in [
        "Access_token=x",
        "ACCESS_TOKEN=x",
        "access_tokens=x",
        "xaccess_token=x",
        "x=access_token",
        "access_toke%6=x",
        "%2561ccess_token=x",
    ] {
        rows.push(row(
            "BR-02",
            format!("`?{query}` is another name"),
            good().raw_path(&format!("/items/7?{query}")),
            allow(),
        ));
    }
    rows
}

fn br_03_04() -> Vec<Row> {
    let without = || good().without("authorization").without("dpop");
    vec![
        row("BR-03", "a token in a form body is no credential", form(without()), no_credential("credential_missing")),
        row("BR-03", "in the header it is", form(good()), allow()),
        row(
            "BR-04",
            "a token in the query alone is ignored",
            without().raw_path("/items/7?access_token=x"),
            no_credential("credential_missing"),
        ),
        row("BR-04", "a token in the header alone is allowed", good(), allow()),
    ]
}

/// A `POST` of a form.
fn form(good: Good) -> Good {
    good.method("POST").path("/items").header("content-type", "application/x-www-form-urlencoded")
}

const SHORT_OF_SCOPE: &[&str] = &[
    "DPoP algs=\"ES256 PS256 EdDSA Ed25519\", error=\"insufficient_scope\", error_description=\"The request is not permitted\", scope=\"items.read items.write\"",
];
const BEARER_SHORT_OF_SCOPE: &[&str] = &[
    "Bearer error=\"insufficient_scope\", error_description=\"The request is not permitted\", scope=\"items.read items.write\"",
];

fn br_07() -> Vec<Row> {
    let short = |challenge| policy("scope_insufficient").challenged(challenge);
    let scoped = |scope: &str| good().method("PUT").token(|token| token.claims["scope"] = json!(scope));
    vec![
        row("BR-07", "two tokens: invalid_request, 400", good().and_header("authorization", "DPoP x"), repeated()),
        row(
            "BR-07",
            "no token after the scheme: invalid_request, 400",
            good().header("authorization", "Bearer"),
            malformed(),
        ),
        row(
            "BR-07",
            "an expired token: invalid_token, 401",
            good().token(|t| t.claims["exp"] = json!(NOW)),
            token("token_expired"),
        ),
        row(
            "BR-07",
            "an expired token as Bearer: invalid_token, 401",
            good_bearer().token(|t| t.claims["exp"] = json!(NOW)),
            bearer_token("token_expired"),
        ),
        row(
            "BR-07",
            "a scope that is short: insufficient_scope, 403, and which scopes are wanted",
            good().method("PUT"),
            short(SHORT_OF_SCOPE),
        ),
        row(
            "BR-07",
            "a scope that is short as Bearer: the same on Bearer",
            good_bearer().raw_method("PUT"),
            short(BEARER_SHORT_OF_SCOPE),
        ),
        row("BR-07", "the other scope alone is short too", scoped("items.write"), short(SHORT_OF_SCOPE)),
        row("BR-07", "both scopes are enough", scoped("items.write items.read"), allow()),
        row("BR-07", "a denial of policy is 403 without an error", suspended(), policy("policy_forbidden")),
        row("BR-07", "a guardrail is 403 without an error", good().method("DELETE"), policy("policy_guardrail")),
        row(
            "BR-07",
            "a guardrail is told before a scope that is short",
            good().method("DELETE").token(|t| t.claims["scope"] = json!("")),
            policy("policy_guardrail"),
        ),
    ]
}

fn suspended() -> Good {
    good().token(|token| token.claims["groups"] = json!(["staff", "suspended"]))
}

fn br_08() -> Vec<Row> {
    let presented = |value: &'static str| good().without("dpop").header("authorization", value);
    let unsupported = || no_credential("credential_scheme_unsupported");
    let mut rows = vec![
        row(
            "BR-08",
            "without a credential there is no error code",
            good().without("authorization").without("dpop"),
            no_credential("credential_missing"),
        ),
        row(
            "BR-08",
            "a proof alone is no credential",
            good().without("authorization"),
            no_credential("credential_missing"),
        ),
        row("BR-08", "with one the request is allowed", good(), allow()),
    ];
    for value in
        ["Basic cm9ib3Q6c2VjcmV0", "Negotiate abc", "Digest username=x", "Mutual x", "DPoPx y", "BearerX y", "x"]
    {
        rows.push(row(
            "BR-08",
            format!("`{value}` is of a scheme that we do not know"),
            presented(value),
            unsupported(),
        ));
    }
    rows
}

fn br_08_public() -> Vec<Row> {
    let health = |good: Good| good.path("/health");
    let forged = |good: Good| good.token(|token| token.signed_by(&keys().stranger, "ES256"));
    vec![
        row(
            "BR-08",
            "a public operation asks for no credential",
            health(good()).without("authorization").without("dpop"),
            public(),
        ),
        row(
            "BR-08",
            "a stray proof on a public operation is ignored",
            health(good()).without("authorization"),
            public(),
        ),
        row("BR-08", "a good credential on a public operation does no harm", health(good()), public()),
        row(
            "BR-08",
            "a bad token on a public operation is not the same as none",
            forged(health(good())),
            token("token_signature_invalid"),
        ),
        row(
            "BR-08",
            "nor is a scheme that we do not know",
            health(good()).header("authorization", "Basic x"),
            no_credential("credential_scheme_unsupported"),
        ),
        row(
            "BR-08",
            "a public operation is public for its own method alone",
            health(good()).without("authorization").raw_method("POST"),
            route("operation_unknown"),
        ),
    ]
}
