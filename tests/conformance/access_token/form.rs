//! Type, issuer, audience, algorithm, encryption.

use serde_json::{Value, json};

use crate::expect::{allow, bearer_token, fault, token};
use crate::row::{Row, row};
use crate::support::inventory::host;
use crate::support::issuers::{AUDIENCE, KEYLESS, KID_ED25519, KID_P384, KID_RSA, LEGACY, SECOND, SERVER};
use crate::support::{
    Good, Setting, SigningKey, base64url, good, good_bearer, good_bearer_at, good_key_set, good_legacy, good_narrow,
    good_second, keys,
};

pub fn rows() -> Vec<Row> {
    [at_01(), at_01_legacy(), at_02(), at_03(), at_03_narrow(), at_04(), at_07(), at_09()].concat()
}

/// The good token with another `typ`.
fn typed(token_type: &str) -> Good {
    good().token(|token| token.header["typ"] = json!(token_type))
}

fn at_01() -> Vec<Row> {
    let mut rows = Vec::new();
    for known in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/at+JWT"] {
        rows.push(row("AT-01", format!("a token of type `{known}` is allowed"), typed(known), allow()));
    }
    for other in [
        "JWT",
        "jwt",
        "dpop+jwt",
        "id_token+jwt",
        "token-introspection+jwt",
        "secevent+jwt",
        "txntoken+jwt",
        "logout+jwt",
        "statuslist+jwt",
        "JOSE",
        "at",
        "at+jwt+x",
        " at+jwt",
        "at+jwt; x=y",
        "text/at+jwt",
        "application/application/at+jwt",
        "",
    ] {
        rows.push(row(
            "AT-01",
            format!("a token of type `{other}` is refused"),
            typed(other),
            token("token_type_unexpected"),
        ));
    }
    let proof_as_token = good().edit_header("authorization", |_| {
        let proof = good().build().headers.into_iter().find(|(name, _)| name == "dpop").expect("a proof").1;
        [b"DPoP ".as_slice(), &proof].concat()
    });
    rows.extend([
        row(
            "AT-01",
            "a token without a type is refused",
            good().token(|t| t.without_header("typ")),
            token("token_type_unexpected"),
        ),
        row(
            "AT-01",
            "a token whose type is a number is refused",
            good().token(|t| t.header["typ"] = json!(1)),
            token("token_malformed"),
        ),
        row(
            "AT-01",
            "a token whose type is null is refused",
            good().token(|t| t.header["typ"] = json!(null)),
            token("token_malformed"),
        ),
        row("AT-01", "a proof offered as access token is refused", proof_as_token, token("token_claim_missing")),
    ]);
    rows
}

fn at_01_legacy() -> Vec<Row> {
    let typed = |token_type: &str| good_legacy().token(|token| token.header["typ"] = json!(token_type));
    let unexpected = || bearer_token("token_type_unexpected");
    vec![
        row("AT-01", "a legacy issuer may write `JWT`", typed("JWT"), allow()),
        row("AT-01", "and in any letter case", typed("jwt"), allow()),
        row("AT-01", "and `at+jwt`", typed("at+jwt"), allow()),
        row("AT-01", "but not the type of something else", typed("dpop+jwt"), unexpected()),
        row("AT-01", "and not leave it out", good_legacy().token(|t| t.without_header("typ")), unexpected()),
        row(
            "AT-01",
            "an ID token of the legacy issuer has another audience",
            good_legacy().token(|t| t.claims["aud"] = json!("legacy-robot")),
            bearer_token("token_audience_mismatch"),
        ),
        row(
            "AT-01",
            "a token of another issuer is no legacy token",
            good_bearer().token(|t| t.header["typ"] = json!("JWT")),
            unexpected(),
        ),
        row(
            "AT-01",
            "an API that does not accept the legacy issuer refuses its tokens",
            good_legacy().host(host::OPEN),
            bearer_token("token_issuer_unknown"),
        ),
    ]
}

fn at_02() -> Vec<Row> {
    let by = |issuer: Value| good().token(|token| token.claims["iss"] = issuer);
    let mut rows = vec![row("AT-02", "the configured issuer is allowed", by(json!(SERVER)), allow())];
    for other in [
        "https://as.example.com/",
        "https://AS.example.com",
        "HTTPS://as.example.com",
        "https://as.example.com:443",
        "https://as.example.co",
        "https://as.example.com.evil.test",
        "http://as.example.com",
        "as.example.com",
        " https://as.example.com",
        "https://as.example.com#x",
        "",
    ] {
        rows.push(row(
            "AT-02",
            format!("the issuer `{other}` is another one"),
            by(json!(other)),
            token("token_issuer_unknown"),
        ));
    }
    for wrong in [json!([SERVER]), json!({"x": SERVER}), json!(null), json!(1)] {
        let sentence = format!("an issuer that is {wrong} is refused");
        rows.push(row("AT-02", sentence, by(wrong), token("token_claim_malformed")));
    }
    let second = good_second().host(host::ITEMS);
    rows.extend([
        row(
            "AT-02",
            "a token without issuer is refused",
            good().token(|t| t.without("iss")),
            token("token_claim_missing"),
        ),
        row("AT-02", "another configured issuer is allowed where the API accepts it", good_second(), allow()),
        row("AT-02", "and refused where it does not", second, token("token_issuer_unknown")),
        row(
            "AT-02",
            "the name of another configured issuer does not change whose key it is",
            by(json!(SECOND)),
            token("token_signature_invalid"),
        ),
        row("AT-02", "nor does the name of the legacy issuer", by(json!(LEGACY)), token("token_key_unknown")),
    ]);
    rows
}

fn at_03() -> Vec<Row> {
    let meant_for = |audience: Value| good().token(|token| token.claims["aud"] = audience);
    let mut rows = Vec::new();
    for ours in [
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!(["https://other.example.com", AUDIENCE]),
        json!([AUDIENCE, AUDIENCE]),
    ] {
        rows.push(row("AT-03", format!("the audience {ours} is allowed"), meant_for(ours), allow()));
    }
    for other in [
        json!("https://other.example.com"),
        json!("https://api.example.com/"),
        json!("https://api.example.co"),
        json!("https://api.example.com.evil.test"),
        json!("HTTPS://api.example.com"),
        json!("api.example.com"),
        json!(""),
        json!([]),
        json!([""]),
        json!("robot"),
        json!("https://api.example.com https://other.example.com"),
        json!(SERVER),
    ] {
        rows.push(row(
            "AT-03",
            format!("the audience {other} is refused"),
            meant_for(other),
            token("token_audience_mismatch"),
        ));
    }
    for wrong in [
        json!([AUDIENCE, 1]),
        json!([AUDIENCE, null]),
        json!([[AUDIENCE]]),
        json!({"x": AUDIENCE}),
        json!(null),
        json!(1),
        json!(true),
    ] {
        rows.push(row(
            "AT-03",
            format!("an audience that is {wrong} is refused"),
            meant_for(wrong),
            token("token_claim_malformed"),
        ));
    }
    let many = |count: usize| meant_for(json!(vec![AUDIENCE; count]));
    rows.extend([
        row(
            "AT-03",
            "a token without audience is refused",
            good().token(|t| t.without("aud")),
            token("token_claim_missing"),
        ),
        row("AT-03", "64 audiences are allowed", many(64), allow()),
        row("AT-03", "65 audiences are refused", many(65), token("token_claim_malformed")),
    ]);
    rows
}

fn at_03_narrow() -> Vec<Row> {
    let both = json!([AUDIENCE, "https://narrow.example.com"]);
    vec![
        row("AT-03", "an API may want an audience of its own", good_narrow(), allow()),
        row(
            "AT-03",
            "and then the issuer's other audience is refused",
            good_narrow().token(|t| t.claims["aud"] = json!(AUDIENCE)),
            token("token_audience_mismatch"),
        ),
        row("AT-03", "a token for both is allowed", good_narrow().token(|t| t.claims["aud"] = both), allow()),
    ]
}

fn at_04() -> Vec<Row> {
    let stranger = |good: Good| good.token(|token| token.signed_by(&keys().stranger, "ES256"));
    let identified = |kid: Value| good().token(|token| token.header["kid"] = kid);
    vec![
        row("AT-04", "a token signed by its issuer is allowed", good(), allow()),
        row("AT-04", "a token signed by a stranger is refused", stranger(good()), token("token_signature_invalid")),
        row(
            "AT-04",
            "a key id that the issuer does not have is refused",
            identified(json!("other")),
            token("token_key_unknown"),
        ),
        row(
            "AT-04",
            "the key id of a key of another kind is refused",
            identified(json!(KID_RSA)),
            token("token_key_unknown"),
        ),
        row(
            "AT-04",
            "without a key id the issuer's keys are tried",
            good().token(|t| t.without_header("kid")),
            allow(),
        ),
        row(
            "AT-04",
            "without a key id a stranger is refused too",
            stranger(good().token(|t| t.without_header("kid"))),
            token("token_signature_invalid"),
        ),
        row(
            "AT-04",
            "`alg: none` is refused",
            good().token(|t| t.header["alg"] = json!("none")),
            token("token_algorithm_forbidden"),
        ),
        row("AT-04", "`alg: none` without a signature is refused", unsigned(), token("token_malformed")),
        row(
            "AT-04",
            "while an issuer's keys could not be had, its tokens wait",
            good_key_set("plain").token(|t| t.claims["iss"] = json!(KEYLESS)),
            fault("fault_keys_unavailable"),
        ),
    ]
}

fn unsigned() -> Good {
    good().token(|token| {
        token.header["alg"] = json!("none");
        token.signed_with(|_| Vec::new());
    })
}

fn at_07() -> Vec<Row> {
    let encrypted = |text: &'static str| good().token(|token| token.edit_text(move |_| text.to_owned()));
    let five =
        good().token(|token| token.edit_text(|text| format!("{text}.{}.{}", base64url([1; 12]), base64url([2; 16]))));
    let wrapped = good().token(|token| {
        token.header["cty"] = json!("JWT");
        token.replace_claims(|claims| {
            let header = base64url(json!({"alg": "none"}).to_string());
            format!("{header}.{}.", base64url(claims)).into_bytes()
        });
    });
    vec![
        row("AT-07", "a signed token is allowed", good(), allow()),
        row(
            "AT-07",
            "a JWE is refused",
            encrypted("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA"),
            token("token_malformed"),
        ),
        row("AT-07", "a token of five segments is refused", five, token("token_malformed")),
        row(
            "AT-07",
            "an algorithm of encryption is refused",
            good().token(|t| t.header["alg"] = json!("RSA-OAEP")),
            token("token_algorithm_forbidden"),
        ),
        row("AT-07", "a JWT within a JWT is refused", wrapped, token("token_malformed")),
        row(
            "AT-07",
            "as Bearer too",
            good_bearer_at(host::OPEN).token(|t| t.edit_text(|text| format!("{text}.AA.AA"))),
            bearer_token("token_malformed"),
        ),
    ]
}

fn at_09() -> Vec<Row> {
    let signed = |key: &'static SigningKey, kid: &'static str, algorithm: &'static str| {
        good().token(|token| {
            token.header["alg"] = json!(algorithm);
            token.header["kid"] = json!(kid);
            token.signed_by(key, algorithm);
        })
    };
    let rsa = |algorithm| signed(&keys().server_rsa, KID_RSA, algorithm);
    let ed25519 = |algorithm| signed(&keys().server_ed25519, KID_ED25519, algorithm);
    let p384 = || signed(&keys().server_p384, KID_P384, "ES384");
    let forbidden = || token("token_algorithm_forbidden");
    vec![
        row("AT-09", "RS256 is allowed", rsa("RS256"), allow()),
        row("AT-09", "PS256 is allowed", rsa("PS256"), allow()),
        row("AT-09", "ES256 is allowed", good(), allow()),
        row("AT-09", "ES384 is allowed", p384(), allow()),
        row("AT-09", "EdDSA is allowed", ed25519("EdDSA"), allow()),
        row("AT-09", "Ed25519 (RFC 9864) is allowed", ed25519("Ed25519"), allow()),
        row("AT-09", "RS256 is refused under the profile fapi2", rsa("RS256").under(Setting::Fapi2), forbidden()),
        row("AT-09", "ES384 is refused under the profile fapi2", p384().under(Setting::Fapi2), forbidden()),
        row("AT-09", "PS256 is allowed under the profile fapi2", rsa("PS256").under(Setting::Fapi2), allow()),
        row("AT-09", "EdDSA is allowed under the profile fapi2", ed25519("EdDSA").under(Setting::Fapi2), allow()),
        row("AT-09", "Ed25519 is allowed under the profile fapi2", ed25519("Ed25519").under(Setting::Fapi2), allow()),
    ]
}
