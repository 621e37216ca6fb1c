//! The `Authorization` header and the challenge.

use serde_json::json;

use crate::expect::{
    DPOP_ALONE, DPOP_ALONE_BINDING, DPOP_ALONE_TOKEN, allow, bearer_binding, bearer_token, binding, malformed,
    no_credential, proof, repeated, token,
};
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::{Good, NOW, Setting, good, good_at, good_bearer, good_mtls, keys};

use super::form::only_es256;

pub fn rows() -> Vec<Row> {
    [dp_33(), dp_33_malformed(), dp_34(), dp_35(), dp_36(), dp_37(), dp_38()].concat()
}

/// The good request with another `Authorization` value, made from its token.
fn authorization(edit: fn(&str) -> String) -> Good {
    good().edit_header("authorization", move |value| {
        let value = String::from_utf8(value).unwrap();
        edit(value.strip_prefix("DPoP ").unwrap()).into_bytes()
    })
}

fn dp_33() -> Vec<Row> {
    let spelled = |scheme: &'static str| {
        row("DP-33", format!("the scheme may be spelled `{scheme}`"), good().scheme(scheme), allow())
    };
    vec![
        spelled("DPoP"),
        spelled("dpop"),
        spelled("DPOP"),
        spelled("dPoP"),
        row(
            "DP-33",
            "several spaces after the scheme are allowed",
            authorization(|token| format!("DPoP    {token}")),
            allow(),
        ),
        row(
            "DP-33",
            "spaces around the value are allowed",
            authorization(|token| format!("  DPoP {token}  ")),
            allow(),
        ),
    ]
}

fn dp_33_malformed() -> Vec<Row> {
    let bad = |sentence: &str, edit: fn(&str) -> String| row("DP-33", sentence, authorization(edit), malformed());
    vec![
        bad("a tab after the scheme is refused", |token| format!("DPoP\t{token}")),
        bad("a scheme without a token is refused", |_| "DPoP".to_owned()),
        bad("a scheme and spaces are refused", |_| "DPoP   ".to_owned()),
        bad("an empty value is refused", |_| String::new()),
        bad("padding alone is refused", |_| "DPoP ==".to_owned()),
        bad("a word after the token is refused", |token| format!("DPoP {token} x")),
        bad("a parameter after the token is refused", |token| format!("DPoP {token};x=y")),
        bad("a parameter in the place of the token is refused", |_| "DPoP token=\"x\"".to_owned()),
        bad("quotes around the token are refused", |token| format!("DPoP \"{token}\"")),
        bad("padding within the token is refused", |token| format!("DPoP {}", token.replacen('.', "=.", 1))),
        bad("characters beyond ASCII are refused", |token| format!("DPoP {token}\u{e9}")),
        row(
            "DP-33",
            "a token with padding is token68, but no access token of ours",
            authorization(|token| format!("DPoP {token}=")),
            token("token_malformed"),
        ),
        row(
            "DP-33",
            "NUL in the value is refused with the request",
            authorization(|token| format!("DPoP {token}\0")),
            crate::expect::request("request_malformed"),
        )
        .envoy(Envoy::Stops(400)),
    ]
}

fn dp_34() -> Vec<Row> {
    let wrong_method = || good().proof(|proof| proof.claims["htm"] = json!("PUT"));
    let without = || good().without("authorization").without("dpop");
    vec![
        row(
            "DP-34",
            "the challenge lists the algorithms of the configuration",
            wrong_method(),
            proof("proof_method_mismatch"),
        ),
        row(
            "DP-34",
            "under the profile fapi2 it lists those",
            wrong_method().under(Setting::Fapi2),
            proof("proof_method_mismatch"),
        ),
        row(
            "DP-34",
            "where the operator lists ES256 alone it lists that",
            wrong_method().under(Setting::OnlyEs256),
            only_es256("proof_method_mismatch"),
        ),
        row(
            "DP-34",
            "without a credential too",
            without().under(Setting::OnlyEs256),
            no_credential("credential_missing").challenged(&["Bearer", "DPoP algs=\"ES256\""]),
        ),
        row("DP-34", "what it lists is allowed", good().under(Setting::OnlyEs256), allow()),
        row(
            "DP-34",
            "an API that demands DPoP offers that alone",
            good_at(host::DPOP).without("authorization"),
            no_credential("credential_missing").challenged(DPOP_ALONE),
        ),
        row(
            "DP-34",
            "without a certificate source DPoP is offered alone",
            without().under(Setting::WithoutCertificates),
            no_credential("credential_missing").challenged(DPOP_ALONE),
        ),
    ]
}

fn dp_35() -> Vec<Row> {
    let expired = |good: Good| good.token(|token| token.claims["exp"] = json!(NOW));
    vec![
        row("DP-35", "a token that is refused is told why, on its scheme", expired(good()), token("token_expired")),
        row("DP-35", "and on the scheme Bearer", expired(good_bearer()), bearer_token("token_expired")),
        row(
            "DP-35",
            "and where DPoP alone is offered",
            expired(good_at(host::DPOP)),
            token("token_expired").challenged(DPOP_ALONE_TOKEN),
        ),
        row("DP-35", "a token that is good is told nothing", good(), allow()),
    ]
}

fn dp_36() -> Vec<Row> {
    let moved = good().without("authorization").header("proxy-authorization", "DPoP abc");
    vec![
        row("DP-36", "Proxy-Authorization is no credential", moved, no_credential("credential_missing")),
        row(
            "DP-36",
            "Proxy-Authorization beside a good credential is ignored",
            good().header("proxy-authorization", "DPoP abc"),
            allow(),
        ),
    ]
}

fn dp_37() -> Vec<Row> {
    let downgrade = || bearer_binding("binding_scheme_mismatch");
    let mut rows = vec![row("DP-37", "a bound token as DPoP is allowed", good(), allow())];
    for scheme in ["Bearer", "bearer", "BeArEr"] {
        let with_proof = good().scheme(scheme);
        rows.push(row(
            "DP-37",
            format!("a bound token as `{scheme}`, with its proof, is refused"),
            with_proof.clone(),
            downgrade(),
        ));
        rows.push(row(
            "DP-37",
            format!("a bound token as `{scheme}`, without proof, is refused"),
            with_proof.without("dpop"),
            downgrade(),
        ));
    }
    let open = good_at(host::OPEN).scheme("Bearer").without("dpop");
    let unbound = good_bearer().scheme("DPoP");
    rows.extend([
        row("DP-37", "a bound token as Bearer is refused where no proof is demanded, too", open, downgrade()),
        row(
            "DP-37",
            "a bound token as Bearer, where DPoP alone is offered",
            good_at(host::DPOP).scheme("Bearer"),
            downgrade().challenged(DPOP_ALONE_BINDING),
        ),
        row("DP-37", "an unbound token as DPoP is refused", unbound, binding("binding_scheme_mismatch")),
        row(
            "DP-37",
            "a certificate-bound token as DPoP is refused",
            good_mtls().scheme("DPoP"),
            binding("binding_scheme_mismatch"),
        ),
        row("DP-37", "an unbound token as Bearer is allowed where no proof is demanded", good_bearer(), allow()),
        row("DP-37", "a stray proof beside it is ignored", good_bearer().header("dpop", "a.b.c"), allow()),
        row("DP-37", "and two of them too", good_bearer().header("dpop", "a.b.c").and_header("dpop", "d.e.f"), allow()),
    ]);
    rows
}

fn dp_38() -> Vec<Row> {
    let twice = |second: &'static str| good().and_header("authorization", second);
    let forged = |good: Good| good.token(|token| token.signed_by(&keys().stranger, "ES256"));
    vec![
        row("DP-38", "the error stands on DPoP when DPoP was used", forged(good()), token("token_signature_invalid")),
        row(
            "DP-38",
            "the error stands on Bearer when Bearer was used",
            forged(good_bearer()),
            bearer_token("token_signature_invalid"),
        ),
        row(
            "DP-38",
            "no error without a credential",
            good().without("authorization"),
            no_credential("credential_missing"),
        ),
        row("DP-38", "two tokens: the error stands on both", twice("Bearer abc"), repeated()),
        row("DP-38", "the same scheme twice: the error stands on both", twice("DPoP abc"), repeated()),
        row("DP-38", "one token is allowed", good(), allow()),
    ]
}
