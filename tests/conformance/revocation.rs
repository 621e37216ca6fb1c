//! Revocation: what is withdrawn before its time, by whatever names it.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, bearer_binding, bearer_token, binding, fault, observed, public, token};
use crate::family::Family;
use crate::row::{Envoy, Row, row};
use crate::support::inventory::host;
use crate::support::issuers::{KID_ED25519, KID_RSA};
use crate::support::revoked::{LEFT_AT, LEFT_SERVER, OPAQUE, good_same, good_signed_again};
use crate::support::{
    Good, NOW, Setting, good, good_asked, good_at, good_bearer, good_both, good_legacy, good_mtls, good_mtls_by_header,
    good_mtls_with, good_opaque_bearer, good_second, good_with, keys, pki,
};

/// No RFC says what an enforcement point does with what it is told.
pub const FAMILY: Family = Family {
    prefix: "RV",
    title: "revocation",
    ids: &["RV-01", "RV-02", "RV-03", "RV-04", "RV-05", "RV-06"],
    rows,
    throughout: &[],
    left_out: &[(
        "RV-01",
        "that a remembered token is refused from the next use on, and that an entry can be taken back: the list of a row does not change; see the tests of what is remembered",
    )],
};

fn rows() -> Vec<Row> {
    [rv_01_tokens(), rv_01_keys(), rv_02(), rv_03(), rv_04(), rv_05(), rv_06()].concat()
}

fn under(good: Good) -> Good {
    good.moved_under(Setting::Revoked)
}

fn with(good: Good, claim: &'static str, value: &'static str) -> Good {
    good.token(|token| token.claims[claim] = json!(value))
}

fn refused() -> Expect {
    token("token_revoked")
}

fn rv_01_tokens() -> Vec<Row> {
    let rv = |sentence: &str, good: Good, expect: Expect| row("RV-01", sentence, good, expect);
    let mut rows = vec![rv("what the list does not name is allowed", under(good()), allow())];
    for (claim, what) in [("jti", "token"), ("sub", "subject"), ("client_id", "client"), ("sid", "session")] {
        let other = if claim == "client_id" { "azp" } else { claim };
        let elsewhere = with(good_second(), other, "revoked");
        let elsewhere = if claim == "client_id" { with(elsewhere, "client_id", "revoked") } else { elsewhere };
        rows.push(rv(&format!("a revoked {what} is refused"), under(with(good(), claim, "revoked")), refused()));
        if claim != "client_id" {
            let sentence = format!("a {what} of that name at another issuer is not");
            rows.push(rv(&sentence, under(elsewhere), allow()));
        }
    }
    rows.extend([
        rv("a token that is revoked by its hash is refused", under(good_same()), bearer_token("token_revoked")),
        rv("another one is not", under(good_bearer()), allow()),
        rv(
            "one that is revoked by the hash of what is signed is refused, whatever its signature",
            under(good_signed_again()),
            bearer_token("token_revoked"),
        ),
        rv(
            "an opaque token that is revoked by its hash is refused, and its issuer is not asked",
            under(good_opaque_bearer().opaque_text(OPAQUE).unanswered()),
            bearer_token("token_revoked"),
        ),
        rv("another one is asked about", under(good_opaque_bearer()), allow()),
        rv(
            "what the issuer says of an opaque token is looked for too",
            under(with(good_opaque_bearer(), "sub", "revoked")),
            bearer_token("token_revoked"),
        ),
        rv(
            "nor is it asked about a JWT that is revoked",
            under(with(good_asked(), "jti", "revoked").unanswered()),
            refused(),
        ),
        rv("every token of a revoked issuer is refused", under(good_legacy()), bearer_token("token_revoked")),
    ]);
    rows
}

fn by_rsa(good: Good, kid: Option<&'static str>) -> Good {
    good.token(|token| {
        token.signed_by(&keys().server_rsa, "RS256");
        token.header["alg"] = json!("RS256");
        match kid {
            Some(kid) => token.header["kid"] = json!(kid),
            None => token.without_header("kid"),
        }
    })
}

fn rv_01_keys() -> Vec<Row> {
    let rv = |sentence: &str, good: Good, expect: Expect| row("RV-01", sentence, good, expect);
    let by_ed25519 = good().token(|token| {
        token.signed_by(&keys().server_ed25519, "EdDSA");
        token.header["alg"] = json!("EdDSA");
        token.header["kid"] = json!(KID_ED25519);
    });
    vec![
        rv("a token that a revoked key verifies is refused", under(by_rsa(good(), Some(KID_RSA))), refused()),
        rv("though it does not name the key", under(by_rsa(good(), None)), refused()),
        rv("another issuer's key of that name is not revoked", under(by_ed25519), allow()),
        rv(
            "a token that is bound to a revoked proof key is refused",
            under(good_with(&keys().client_ed25519, "EdDSA")),
            refused(),
        ),
        rv(
            "a token that is bound to a revoked certificate is refused",
            under(good_mtls_with(&pki().other)),
            bearer_token("token_revoked"),
        ),
        rv("though it comes without the certificate", under(good_mtls_with(&pki().other)).without_certificate(), {
            bearer_token("token_revoked")
        }),
    ]
}

fn left_at(issued: &Value) -> Good {
    under(good().token(|token| {
        token.claims["sub"] = json!(LEFT_SERVER);
        token.claims["iat"] = issued.clone();
    }))
}

fn left(issued: i64) -> Good {
    left_at(&json!(issued))
}

fn rv_02() -> Vec<Row> {
    let rv = |sentence: &str, good: Good, expect: Expect| row("RV-02", sentence, good, expect);
    vec![
        rv("a token that was issued before the time is refused", left(LEFT_AT - 1), refused()),
        rv("at the time", left(LEFT_AT), refused()),
        rv("and so much later as the issuer's clock may be ahead", left(LEFT_AT + 10), refused()),
        rv("a fraction of a second counts for the refusal", left_at(&json!(1_799_999_910.9)), refused()),
        rv("a later one is allowed", left(LEFT_AT + 11), allow()),
    ]
}

fn rv_03() -> Vec<Row> {
    let until = || with(good(), "jti", "revoked until now");
    vec![row("RV-03", "an entry whose time has passed refuses nobody", under(until()), allow())]
}

fn rv_04() -> Vec<Row> {
    let rv = |sentence: &str, good: Good, expect: Expect| row("RV-04", sentence, good, expect);
    let revoked = || bearer_binding("certificate_revoked");
    let hash = || format!("Hash={}", pki().client.hash());
    vec![
        rv("a certificate that is not revoked is allowed", under(good_mtls()), allow()),
        rv(
            "a revoked certificate is refused though the token is bound to nothing",
            under(good_bearer().certificate(&pki().other)),
            bearer_binding("certificate_revoked"),
        ),
        rv(
            "and though the token is bound to a proof key",
            under(good().certificate(&pki().other)),
            binding("certificate_revoked"),
        ),
        rv("a certificate is refused by its serial number", under(good_mtls_with(&pki().renewed)), revoked()),
        rv("with a proof key too, if the token names both", under(good_both()), allow()),
        rv(
            "from a header too",
            good_mtls_by_header(
                Setting::Xfcc,
                "x-forwarded-client-cert",
                format!("Cert=\"{}\"", pki().client.encoded()),
            )
            .moved_under(Setting::RevokedXfcc),
            allow(),
        ),
        rv(
            "a hash has no serial number: where certificates are revoked by it, a hash alone is refused",
            good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", hash()).moved_under(Setting::RevokedXfcc),
            bearer_binding("certificate_status_unknown"),
        ),
        rv(
            "where none is, it is enough",
            good_mtls_by_header(Setting::Xfcc, "x-forwarded-client-cert", hash()),
            allow(),
        ),
    ]
}

fn rv_05() -> Vec<Row> {
    let rv = |sentence: &str, good: Good, expect: Expect| row("RV-05", sentence, good, expect);
    let stale = |good: Good| good.moved_under(Setting::Stale);
    vec![
        rv("a source that has been silent for too long denies", stale(good()), fault("fault_revocations_stale")),
        rv("every token", stale(good_bearer()), fault("fault_revocations_stale")),
        rv("what is known to be revoked is told first", stale(with(good(), "sub", "revoked")), refused()),
        rv(
            "a public operation needs no list",
            stale(good()).path("/health").without("authorization").without("dpop"),
            public(),
        ),
        rv("until that time it is believed", good().moved_under(Setting::FreshUntilNow), allow())
            .wait(1)
            .then(good().moved_under(Setting::FreshUntilNow), fault("fault_revocations_stale")),
    ]
}

fn rv_06() -> Vec<Row> {
    let observing = |good: Good| good.moved_under(Setting::Revoked);
    vec![
        row(
            "RV-06",
            "observe mode softens no revocation",
            observing(with(good_at(host::OBSERVE), "sub", "revoked")),
            refused(),
        ),
        row(
            "RV-06",
            "not even where it softens every class that can be",
            observing(with(good_at(host::LENIENT), "sub", "revoked")),
            refused(),
        ),
        row(
            "RV-06",
            "nor that of a certificate",
            observing(good_at(host::OBSERVE).certificate(&pki().other)),
            binding("certificate_revoked"),
        ),
        row(
            "RV-06",
            "nor a list that is stale",
            good_at(host::OBSERVE).moved_under(Setting::Stale),
            fault("fault_revocations_stale"),
        )
        .envoy(Envoy::Same),
        row(
            "RV-06",
            "what is not revoked it softens as before",
            observing(good_at(host::OBSERVE).proof(|proof| proof.claims["iat"] = json!(NOW - 100))),
            observed(),
        ),
    ]
}
