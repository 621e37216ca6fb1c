//! The authorization servers: their rules, their key sets and their good tokens.

use std::sync::{Arc, LazyLock};

use keybound::decision::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound::decision::status_list::StatusPolicy;
use keybound::decision::token::{Issuer, IssuerRules, Issuers, Keyring, TokenType};
use serde_json::{Value, json};

use super::keys::{SigningKey, keys};
use super::{Jws, NOW, base64url, fresh_id, from_base64url};

/// The issuer of most tokens.
pub const SERVER: &str = "https://as.example.com";
/// Its audience, which is ours.
pub const AUDIENCE: &str = "https://api.example.com";
/// Another audience of ours, which one API demands.
pub const NARROW_AUDIENCE: &str = "https://narrow.example.com";
/// An issuer with 60 s of skew either way, whose client claim is `azp` and whose scopes are in `scp`.
pub const SECOND: &str = "https://second.example.com";
/// An issuer that cannot write `typ: at+jwt`.
pub const LEGACY: &str = "https://legacy.example.com";
/// The audience of the legacy issuer's access tokens, which its ID tokens do not have.
pub const LEGACY_AUDIENCE: &str = "https://legacy-api.example.com";
/// An issuer whose keys could not be had.
pub const KEYLESS: &str = "https://keyless.example.com";

/// Who signs status lists beside the first issuer.
pub const SIGNER: &str = "https://status-signer.example.com";

/// The key ids of the first issuer.
pub const KID: &str = "es256";
pub const KID_RSA: &str = "rsa";
pub const KID_ED25519: &str = "ed25519";
pub const KID_P384: &str = "es384";

/// The issuer that has the key set of that name; see [`key_sets`].
pub fn with_key_set(name: &str) -> String {
    format!("https://keys.example.com/{name}")
}

/// Key sets that are odd in one way. In each the key `good` is sound and signs [`token_of_key_set`].
pub fn key_sets() -> &'static [(&'static str, Value)] {
    static SETS: LazyLock<Vec<(&'static str, Value)>> = LazyLock::new(build_key_sets);
    &SETS
}

fn build_key_sets() -> Vec<(&'static str, Value)> {
    let keys = keys();
    let good = keys.server.jwk_as("good", &json!({}));
    let odd = |more: Value| keys.second.jwk_as("odd", &more);
    let odd_rsa = |more: Value| keys.server_rsa.jwk_as("odd", &more);
    let beside = |odd: Value| json!({"keys": [odd, good]});
    let mut short = odd(json!({}));
    short["x"] = json!(base64url(&bytes_of(&short["x"])[1..]));
    let mut long = odd(json!({}));
    long["x"] = json!(base64url([&[0][..], &bytes_of(&long["x"])].concat()));
    let mut long_modulus = odd_rsa(json!({}));
    long_modulus["n"] = json!(base64url([&[0][..], &bytes_of(&long_modulus["n"])].concat()));
    let mut stranger = keys.stranger.jwk_as("odd", &json!({}));
    stranger["y"] = odd(json!({}))["y"].clone();
    vec![
        ("plain", beside(odd(json!({})))),
        ("signature", beside(odd(json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256"})))),
        ("encryption", beside(odd(json!({"use": "enc"})))),
        ("operations", beside(odd(json!({"key_ops": ["encrypt"]})))),
        ("algorithm", beside(odd(json!({"alg": "ES384"})))),
        ("unknown-algorithm", beside(odd(json!({"alg": "XX999"})))),
        ("type", beside(odd(json!({"kty": "XYZ"})))),
        ("curve", beside(odd(json!({"crv": "secp256k1"})))),
        ("wrong-curve", beside(odd(json!({"crv": "P-384"})))),
        ("private", beside(odd(json!({"d": "AQ"})))),
        ("symmetric", beside(json!({"kty": "oct", "kid": "odd", "k": base64url([7; 32])}))),
        ("short-coordinate", beside(short)),
        ("long-coordinate", beside(long)),
        ("off-the-curve", beside(stranger)),
        ("leading-zero-modulus", beside(long_modulus)),
        ("leading-zero-exponent", beside(odd_rsa(json!({"e": base64url([0, 1, 0, 1])})))),
        ("rsa-rs256", beside(odd_rsa(json!({"alg": "RS256"})))),
        ("rsa-plain", beside(odd_rsa(json!({})))),
        ("same-kid", json!({"keys": [keys.stranger.jwk_as("good", &json!({})), good]})),
        ("same-kid-other-type", json!({"keys": [keys.server_rsa.jwk_as("good", &json!({})), good]})),
        ("same-kid-many", json!({"keys": crowd("good", &good)})),
        ("symmetric-only", json!({"keys": [{"kty": "oct", "kid": "good", "k": base64url([7; 32])}]})),
    ]
}

fn bytes_of(member: &Value) -> Vec<u8> {
    from_base64url(member.as_str().expect("text"))
}

/// Four other keys of the same id before the one that signs.
fn crowd(kid: &str, last: &Value) -> Vec<Value> {
    let others = (0..4).map(|_| SigningKey::p256().jwk_as(kid, &json!({})));
    others.chain([last.clone()]).collect()
}

/// Every issuer; `tokens` are the algorithms of all of them, and `status` says what becomes of who names a status list.
pub fn issuers(tokens: &[Algorithm], status: impl Fn(&str) -> StatusPolicy) -> Issuers {
    let named = [SERVER, SECOND, LEGACY, KEYLESS].map(|name| Issuer {
        rules: Arc::new(IssuerRules { status: status(name), ..rules(name, tokens) }),
        keys: named_keys(name).map(|set| ring(&set).expect("usable keys")),
        signer_keys: ring(&json!({"keys": [keys().stranger.jwk_as("signer", &json!({}))]})),
    });
    let odd = key_sets()
        .iter()
        .map(|(name, set)| (Arc::new(rules(&with_key_set(name), tokens)), ring(set)))
        .map(|(rules, keys)| Issuer { rules, keys, signer_keys: None });
    Issuers::new(named.into_iter().chain(odd))
}

fn ring(set: &Value) -> Option<Arc<Keyring>> {
    Keyring::parse(set.to_string().as_bytes()).ok().map(Arc::new)
}

/// The JWK Set that an issuer publishes.
pub fn named_keys(issuer: &str) -> Option<Value> {
    let keys = keys();
    let none = json!({});
    match issuer {
        SERVER => Some(json!({"keys": [
            keys.server.jwk_as(KID, &json!({"use": "sig", "alg": "ES256"})),
            keys.server_rsa.jwk_as(KID_RSA, &none),
            keys.server_ed25519.jwk_as(KID_ED25519, &none),
            keys.server_p384.jwk_as(KID_P384, &none),
        ]})),
        // The same key id as the first issuer's, another key.
        SECOND => Some(json!({"keys": [keys.second.jwk_as(KID, &none), keys.second.jwk_as("only-second", &none)]})),
        LEGACY => Some(json!({"keys": [keys.legacy.jwk_as("legacy", &none)]})),
        _ => None,
    }
}

fn rules(issuer: &str, tokens: &[Algorithm]) -> IssuerRules {
    let mut rules = IssuerRules {
        issuer: issuer.to_owned(),
        audiences: vec![AUDIENCE.to_owned(), NARROW_AUDIENCE.to_owned()],
        algorithms: AlgorithmSet::new(tokens),
        expiry_skew_seconds: 0,
        future_skew_seconds: 10,
        max_lifetime_seconds: Some(3600),
        client_claim: "client_id".to_owned(),
        scope_claim: "scope".to_owned(),
        token_type: TokenType::AtJwt,
        signed_answers: None,
        status: StatusPolicy::default(),
    };
    if issuer == SECOND {
        (rules.expiry_skew_seconds, rules.future_skew_seconds) = (60, 60);
        "azp".clone_into(&mut rules.client_claim);
        "scp".clone_into(&mut rules.scope_claim);
    }
    if issuer == LEGACY {
        rules.audiences = vec![LEGACY_AUDIENCE.to_owned()];
        rules.token_type = TokenType::LegacyJwt;
    }
    rules
}

/// A good token of the first issuer, bound to nothing.
pub fn token() -> Jws {
    token_of(SERVER, KID, "ES256", &keys().server)
}

/// A good token of the second issuer, bound to nothing.
pub fn token_of_second() -> Jws {
    let mut token = token_of(SECOND, "only-second", "ES256", &keys().second);
    token.without("client_id");
    token.without("scope");
    token.claims["azp"] = json!("second-robot");
    token.claims["scp"] = json!(["items.read"]);
    token
}

/// A good token of the legacy issuer, bound to nothing.
pub fn token_of_legacy() -> Jws {
    let mut token = token_of(LEGACY, "legacy", "ES256", &keys().legacy);
    token.header["typ"] = json!("JWT");
    token.claims["aud"] = json!(LEGACY_AUDIENCE);
    token.claims["client_id"] = json!("legacy-robot");
    token
}

/// A good token of the issuer with that key set, bound to nothing.
pub fn token_of_key_set(name: &str) -> Jws {
    token_of(&with_key_set(name), "good", "ES256", &keys().server)
}

fn token_of(issuer: &str, kid: &str, algorithm: &'static str, key: &'static SigningKey) -> Jws {
    let claims = json!({
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "robot",
        "client_id": "robot",
        "jti": fresh_id(),
        "iat": NOW - 10,
        "exp": NOW + 290,
        "scope": "items.read items.list",
    });
    let mut token = Jws::new("at+jwt", algorithm, key, claims);
    token.header["kid"] = json!(kid);
    token
}
