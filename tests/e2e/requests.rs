//! Good requests of now: those of `support`, whose clock stands still, moved to the real time.

use keybound::decision::binding::nonce::NonceKeys;
use keybound::edge::clock;
use serde_json::json;

use crate::lab::files::NONCE_KEY;
use crate::support::inventory::{EXCEPTED, host};
use crate::support::issuers::SERVER;
use crate::support::{Good, Jws, NOW, Request, SigningKey, good_at, good_bearer_at, good_mtls_at, good_nonce};

/// The API that observes failures to prove the sender.
pub const OBSERVED: &str = "observed.example.com";
/// The API that observes all that can be observed.
pub const TRIAL: &str = "trial.example.com";
/// The API with exceptions.
pub const ITEMS: &str = "rs.example.com";
/// The client whose exception has ended.
pub const ENDED: &str = "ended-robot";

/// A DPoP-bound token and its proof.
pub fn dpop() -> Good {
    dpop_at(ITEMS)
}

pub fn dpop_at(host: &'static str) -> Good {
    live(good_at(host))
}

/// A certificate-bound token and its certificate.
pub fn mtls() -> Good {
    live_token(good_mtls_at(ITEMS))
}

/// An opaque token that its issuer says is bound to the clients' key, and a proof.
pub fn opaque_dpop(token: &str) -> Good {
    live(good_at(host::OPAQUE)).opaque_text(token)
}

/// An opaque token that its issuer says is bound to the client's certificate, and its certificate.
pub fn opaque_mtls(token: &str) -> Good {
    live_token(good_mtls_at(host::OPAQUE)).opaque_text(token)
}

/// A token that is bound to nothing.
pub fn bearer_at(host: &'static str) -> Good {
    live_token(good_bearer_at(host))
}

/// A proof with a nonce that was minted then.
pub fn dpop_with_nonce(minted: i64) -> Good {
    let nonce = NonceKeys::new(&NONCE_KEY, &[]).mint("nonce", minted);
    live(good_nonce()).proof(|proof| proof.claims["nonce"] = json!(nonce))
}

/// A token of the client that an exception lets in, bound to nothing.
pub fn excepted() -> Good {
    bearer_at(ITEMS).token(|token| token.claims["client_id"] = json!(EXCEPTED))
}

/// A DPoP request with a token of another issuer or key.
pub fn dpop_of(issuer: &str, kid: &str, key: &'static SigningKey) -> Request {
    dpop().token(|token| issued_by(token, issuer, kid, key)).build()
}

pub fn issued_by(token: &mut Jws, issuer: &str, kid: &str, key: &'static SigningKey) {
    token.claims["iss"] = json!(issuer);
    token.header["kid"] = json!(kid);
    token.signed_by(key, "ES256");
}

/// The issuer of most tokens.
pub const ISSUER: &str = SERVER;

fn live(good: Good) -> Good {
    // Made this very second: right after a start an older one could have been spent before.
    live_token(good).proof(|proof| proof.claims["iat"] = json!(clock::now()))
}

fn live_token(good: Good) -> Good {
    let by = clock::now() - NOW;
    good.token(|token| {
        for name in ["iat", "exp"] {
            token.claims[name] = json!(token.claims[name].as_i64().expect("a date") + by);
        }
    })
}
