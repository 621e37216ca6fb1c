//! Access tokens as RFC 9068 has them, with three claims that policies read, and proofs for them.

use std::num::NonZeroUsize;
use std::thread;

use serde_json::json;

use super::party::{Algorithm, Client, hash_of, party};
use super::support::{base64url, fresh_id};
use super::{AUDIENCE, HOST, ISSUER, METHOD, PATH, now};

/// The tenant that the policies want.
pub const TENANT: &str = "acme-north";

/// A good token: issued a moment ago, for nearly an hour.
pub fn token(client: Client, algorithm: Algorithm) -> String {
    token_from(client, algorithm, now() - 5)
}

/// A good token but for its time: it expired ten minutes ago.
pub fn expired_token(client: Client, algorithm: Algorithm) -> String {
    token_from(client, algorithm, now() - 3_600 - 600)
}

fn token_from(client: Client, algorithm: Algorithm, issued: i64) -> String {
    let header = json!({"alg": algorithm.name(), "typ": "at+jwt", "kid": algorithm.kid()});
    let claims = json!({
        "iss": ISSUER,
        "sub": format!("{}@clients.example.com", client.id()),
        "aud": AUDIENCE,
        "client_id": client.id(),
        "iat": issued,
        "exp": issued + 3_600,
        "jti": fresh_id(),
        "scope": "payments.read payments.write accounts.read",
        "cnf": client.confirmation(),
        "acr": "urn:example:silver",
        "groups": ["payments", "ledger"],
        "https://example.com/tenant": TENANT,
    });
    signed(&header.to_string(), &claims.to_string(), party().issuer_key(algorithm), algorithm)
}

/// So many distinct good tokens, signed by all cores.
pub fn tokens(client: Client, algorithm: Algorithm, count: usize) -> Vec<String> {
    in_parallel(count, |_| token(client, algorithm))
}

/// A fresh proof for a token and the measured operation.
pub fn proof(client: Client, token: &str) -> String {
    proof_at(client, token, now())
}

fn proof_at(client: Client, token: &str, made: i64) -> String {
    let algorithm = client.proof_algorithm();
    let header = json!({"typ": "dpop+jwt", "alg": algorithm.name(), "jwk": client.key().jwk()}).to_string();
    let claims = format!(
        r#"{{"jti":"{}","htm":"{METHOD}","htu":"https://{HOST}{PATH}","iat":{made},"ath":"{}"}}"#,
        fresh_id(),
        hash_of(token)
    );
    signed(&header, &claims, client.key(), algorithm)
}

/// A proof that somebody changed after it was signed.
pub fn forged_proof(client: Client, token: &str) -> String {
    let (one, other) = (proof(client, token), proof(client, token));
    let (input, _) = one.rsplit_once('.').expect("a signature");
    let (_, signature) = other.rsplit_once('.').expect("a signature");
    format!("{input}.{signature}")
}

fn signed(header: &str, claims: &str, key: &super::support::SigningKey, algorithm: Algorithm) -> String {
    let input = format!("{}.{}", base64url(header), base64url(claims));
    let signature = key.sign(algorithm.name(), input.as_bytes());
    format!("{input}.{}", base64url(signature))
}

/// Makes `count` things, in order, on all cores that the caller may use.
pub fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = count.div_ceil(workers).max(1);
    let parts = thread::scope(|scope| {
        let make = &make;
        let part = |worker: usize| {
            scope.spawn(move || (worker * share..count.min((worker + 1) * share)).map(make).collect::<Vec<_>>())
        };
        let parts: Vec<_> = (0..workers).map(part).collect();
        parts.into_iter().map(|part| part.join().expect("made")).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}
