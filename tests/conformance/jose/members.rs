//! Members: once, in their own letters, without extensions.

use serde_json::{Value, json};

use crate::expect::{Expect, allow, binding, proof, token};
use crate::row::{Row, row};
use crate::support::{Jws, NOW, good, good_bearer};

pub fn rows() -> Vec<Row> {
    [jw_01_token(), jw_01_proof(), jw_02(), jw_03(), jw_04(), jw_07()].concat()
}

fn jw_01_token() -> Vec<Row> {
    let twice =
        |sentence: &str, change: fn(&mut Jws)| row("JW-01", sentence, good().token(change), token("token_malformed"));
    vec![
        twice("a token with two `alg` is refused", |t| t.add_to_header(r#""alg":"none""#)),
        twice("a token with the same `alg` twice is refused", |t| t.add_to_header(r#""alg":"ES256""#)),
        twice("a token with two `alg`, one of them escaped, is refused", |t| t.add_to_header(r#""\u0061lg":"none""#)),
        twice("a token with two `kid` is refused", |t| t.add_to_header(r#""kid":"x""#)),
        twice("a token with two of what nobody reads in its header is refused", |t| t.add_to_header(r#""x":1,"x":1"#)),
        twice("a token with two `iss` is refused", |t| t.add_to_claims(r#""iss":"https://evil.test""#)),
        twice("a token with two `exp` is refused", |t| t.add_to_claims(r#""exp":9999999999"#)),
        twice("a token with two `exp`, one of them escaped, is refused", |t| {
            t.add_to_claims(r#""e\u0078p":9999999999"#);
        }),
        twice("a token with two `cnf` is refused", |t| t.add_to_claims(r#""cnf":{}"#)),
        twice("a token with two `jkt` in its `cnf` is refused", |t| {
            t.edit_claims(|text| text.replace("\"jkt\":", "\"jkt\":\"x\",\"jkt\":"));
        }),
        twice("a token with two of what nobody reads, deep inside, is refused", |t| {
            t.add_to_claims(r#""x":[{"y":{"z":1,"z":2}}]"#);
        }),
        row(
            "JW-01",
            "the same name at two levels is allowed",
            good().token(|t| t.claims["x"] = json!({"iss": 1, "cnf": {"iss": 2}})),
            allow(),
        ),
    ]
}

fn jw_01_proof() -> Vec<Row> {
    let twice =
        |sentence: &str, change: fn(&mut Jws)| row("JW-01", sentence, good().proof(change), proof("proof_malformed"));
    vec![
        twice("a proof with two `typ` is refused", |p| p.add_to_header(r#""typ":"dpop+jwt""#)),
        twice("a proof with two `alg`, one of them escaped, is refused", |p| p.add_to_header(r#""al\u0067":"none""#)),
        twice("a proof with two `jwk` is refused", |p| p.add_to_header(r#""jwk":{}"#)),
        twice("a proof with two `x` in its `jwk` is refused", |p| {
            p.edit_header(|text| text.replace("\"x\":", "\"x\":\"AQ\",\"x\":"));
        }),
        twice("a proof with two `kty` in its `jwk`, one of them escaped, is refused", |p| {
            p.edit_header(|text| text.replace("\"kty\":", "\"\\u006bty\":\"oct\",\"kty\":"));
        }),
        twice("a proof with two `htm` is refused", |p| p.add_to_claims(r#""htm":"GET""#)),
        twice("a proof with two `htu` is refused", |p| p.add_to_claims(r#""htu":"https://evil.test/""#)),
        twice("a proof with two `jti` is refused", |p| p.add_to_claims(r#""jti":"x""#)),
        twice("a proof with two `ath`, one of them escaped, is refused", |p| p.add_to_claims(r#""\u0061th":"x""#)),
        row(
            "JW-01",
            "the same name at two levels of a proof is allowed",
            good().proof(|p| p.claims["x"] = json!({"htm": 1})),
            allow(),
        ),
    ]
}

/// Gives a claim another name.
fn renamed(jws: &mut Jws, from: &str, to: &str) {
    jws.claims[to] = jws.claims[from].clone();
    jws.without(from);
}

fn jw_02() -> Vec<Row> {
    let header = |jws: &mut Jws, from: &str, to: &str| {
        jws.header[to] = jws.header[from].clone();
        jws.without_header(from);
    };
    vec![
        row("JW-02", "`EXP` is not `exp`", good().token(|t| renamed(t, "exp", "EXP")), token("token_claim_missing")),
        row("JW-02", "`Iss` is not `iss`", good().token(|t| renamed(t, "iss", "Iss")), token("token_claim_missing")),
        row(
            "JW-02",
            "`Cnf` is not `cnf`: the token is not bound",
            good().token(|t| renamed(t, "cnf", "Cnf")),
            binding("binding_scheme_mismatch"),
        ),
        row("JW-02", "`Alg` is not `alg`", good().token(|t| header(t, "alg", "Alg")), token("token_malformed")),
        row("JW-02", "`TYP` is not `typ`", good().token(|t| header(t, "typ", "TYP")), token("token_type_unexpected")),
        row("JW-02", "`EXP` beside `exp` is ignored", good().token(|t| t.claims["EXP"] = json!(NOW - 1)), allow()),
        row(
            "JW-02",
            "`Cnf` in a token that is not bound is ignored",
            good_bearer().token(|t| t.claims["Cnf"] = json!({})),
            allow(),
        ),
        row("JW-02", "`Htm` is not `htm`", good().proof(|p| renamed(p, "htm", "Htm")), proof("proof_malformed")),
        row("JW-02", "`JWK` is not `jwk`", good().proof(|p| header(p, "jwk", "JWK")), proof("proof_malformed")),
    ]
}

/// The same change to the header of a token and of a proof.
fn asks(id: &'static str, what: &str, change: impl Fn(&mut Jws)) -> [Row; 2] {
    [
        row(id, format!("a token with {what} is refused"), good().token(&change), token("token_critical_header")),
        row(id, format!("a proof with {what} is refused"), good().proof(&change), proof("proof_malformed")),
    ]
}

fn jw_03() -> Vec<Row> {
    let mut rows = vec![row("JW-03", "without `crit` token and proof are allowed", good(), allow())];
    for crit in [
        json!(["foo"]),
        json!([]),
        json!("exp"),
        json!(["alg"]),
        json!(["foo", "foo"]),
        json!([1]),
        json!(1),
        json!(null),
        json!({}),
        json!([""]),
    ] {
        rows.extend(asks("JW-03", &format!("`crit` of {crit}"), |jws| jws.header["crit"] = crit.clone()));
    }
    rows.extend(asks("JW-03", "`crit` of [\"foo\"] and `foo`", |jws| {
        jws.header["crit"] = json!(["foo"]);
        jws.header["foo"] = json!(1);
    }));
    rows.push(row(
        "JW-03",
        "a claim named `crit` asks for nothing",
        good().token(|t| t.claims["crit"] = json!(["exp"])),
        allow(),
    ));
    rows.push(row("JW-03", "nor does one in a proof", good().proof(|p| p.claims["crit"] = json!(["exp"])), allow()));
    rows
}

fn jw_04() -> Vec<Row> {
    let mut rows = vec![row("JW-04", "without `b64` token and proof are allowed", good(), allow())];
    for value in [json!(false), json!(true), json!(null)] {
        rows.extend(asks("JW-04", &format!("`b64` of {value}"), |jws| jws.header["b64"] = value.clone()));
        rows.extend(asks("JW-04", &format!("`b64` of {value} and `crit`"), |jws| {
            jws.header["b64"] = value.clone();
            jws.header["crit"] = json!(["b64"]);
        }));
    }
    rows
}

fn jw_07() -> Vec<Row> {
    let from = |value: Value, expect: Expect| {
        let sentence = format!("`nbf` of {value}");
        row("JW-07", sentence, good().token(|token| token.claims["nbf"] = value), expect)
    };
    vec![
        from(json!(NOW), allow()),
        from(json!(NOW - 3600), allow()),
        from(json!(NOW + 3600), token("token_not_yet_valid")),
        from(json!(9_999_999_999_i64), token("token_not_yet_valid")),
        from(json!("1800003600"), token("token_claim_malformed")),
        from(json!("1799999990"), token("token_claim_malformed")),
        from(json!(null), token("token_claim_malformed")),
        from(json!([NOW]), token("token_claim_malformed")),
    ]
}
