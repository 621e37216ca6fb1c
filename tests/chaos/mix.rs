//! The kinds of requests of a load: who sends them, and what they must come to.

use std::sync::Arc;

use keybound::edge::clock;
use serde_json::json;

use crate::requests::{ISSUER, dpop, dpop_of, mtls};
use crate::support::issuers::KID;
use crate::support::{Good, Request, fresh_id, keys};

/// What a request must come to, whatever else fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// It is good: it may fail only for the fault's sake.
    Pass,
    /// It may pass at no time.
    Fail,
    /// Both are right. A proof passes once at most, here too.
    Either,
}

/// What the client's connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    Nothing,
    /// The certificate that tokens are bound to.
    Client,
    /// Another one of the same authority.
    Other,
}

/// How a request is made.
#[derive(Clone)]
pub enum Make {
    Fresh(Arc<dyn Fn() -> Request + Send + Sync>),
    /// One with a proof that was sent before, answered or not.
    Again,
}

#[derive(Clone)]
pub struct Kind {
    pub name: &'static str,
    /// How many of all.
    pub weight: usize,
    pub must: Must,
    pub shows: Shows,
    pub proven: &'static str,
    /// It has a proof that is good once, and that is sent again by others.
    pub spends: bool,
    pub make: Make,
}

/// A kind whose sender has a proof of its own.
pub fn proving(name: &'static str, weight: usize, must: Must, make: impl Fn() -> Good + Send + Sync + 'static) -> Kind {
    Kind { spends: true, ..sending(name, weight, must, move || make().build()) }
}

/// A kind that nothing is sent again of.
pub fn sending(
    name: &'static str,
    weight: usize,
    must: Must,
    make: impl Fn() -> Request + Send + Sync + 'static,
) -> Kind {
    let make = Make::Fresh(Arc::new(make));
    Kind { name, weight, must, shows: Shows::Nothing, proven: "dpop", spends: false, make }
}

/// What goes on all the time: good requests, and those of thieves.
pub fn steady() -> Vec<Kind> {
    let with_certificate =
        |name, weight, must, shows| Kind { shows, proven: "mtls", ..sending(name, weight, must, || mtls().build()) };
    vec![
        proving("dpop", 8, Must::Pass, dpop),
        with_certificate("mtls", 4, Must::Pass, Shows::Client),
        with_certificate("mtls-no-certificate", 1, Must::Fail, Shows::Nothing),
        with_certificate("mtls-other-certificate", 1, Must::Fail, Shows::Other),
        Kind { make: Make::Again, ..sending("replay", 4, Must::Either, || dpop().build()) },
        sending("bearer-copy", 2, Must::Fail, || dpop().scheme("Bearer").without("dpop").build()),
        sending("no-proof", 1, Must::Fail, || dpop().without("dpop").build()),
        sending("own-key", 1, Must::Fail, || proof_of_a_thief().build()),
        sending("forged-token", 1, Must::Fail, || dpop_of(ISSUER, KID, &keys().stranger)),
        sending("expired-token", 1, Must::Fail, || issued(-600).build()),
        sending("guardrail", 1, Must::Fail, || dpop().method("DELETE").build()),
        sending("garbage", 1, Must::Fail, garbage),
    ]
}

/// The same with more kinds.
pub fn steady_and(more: impl IntoIterator<Item = Kind>) -> Vec<Kind> {
    steady().into_iter().chain(more).collect()
}

/// With a token from an issuer whose clock is this many seconds ahead.
pub fn issued(ahead: i64) -> Good {
    dpop().token(|token| {
        for name in ["iat", "exp"] {
            token.claims[name] = json!(token.claims[name].as_i64().expect("a date") + ahead);
        }
    })
}

/// With a proof from a client whose clock is this many seconds ahead.
pub fn proved(ahead: i64) -> Good {
    dpop().proof(|proof| proof.claims["iat"] = json!(clock::now() + ahead))
}

/// With a token of another client; it holds the same key.
pub fn dpop_of_client(client: &'static str) -> Good {
    dpop().token(|token| token.claims["client_id"] = json!(client))
}

/// The thief has a token and a key, which is not the token's.
fn proof_of_a_thief() -> Good {
    dpop().proof(|proof| {
        proof.header["jwk"] = keys().stranger.jwk();
        proof.signed_by(&keys().stranger, "ES256");
    })
}

fn garbage() -> Request {
    let noise = || fresh_id().repeat(4);
    dpop().header("authorization", format!("DPoP {}.{}", noise(), noise())).header("dpop", noise()).build()
}
