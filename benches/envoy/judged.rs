//! What keybound refuses, and what Envoy refuses by itself: shown before anything is measured, so that both are known to be at
//! work, and that what one of them cannot do is not taken for speed.

use std::sync::Arc;

use http::Method;
use rustls::ClientConfig;

use crate::callers::{self, Credential};
use crate::load::{Request, Road, once};
use crate::stand::{Stand, Way};
use crate::world::{self, Algorithm, Client};

/// A kind of request, and the status that each gives to it.
pub struct Row {
    pub what: &'static str,
    pub keybound: u16,
    pub own: u16,
}

struct Case {
    what: &'static str,
    request: Request,
    tls: Arc<ClientConfig>,
    expected: (u16, u16),
}

/// Sends each kind, and panics at a status that is not the expected one.
pub async fn rows(stand: &Stand) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases() {
        let mut statuses = Vec::new();
        for (way, expected) in [(Way::Keybound, case.expected.0), (Way::Own, case.expected.1)] {
            let road = Road::Envoy(stand.port(way), Arc::clone(&case.tls));
            let status = once(&road, &case.request).await;
            assert_eq!(status, expected, "{} ({way:?})", case.what);
            statuses.push(status);
        }
        rows.push(Row { what: case.what, keybound: statuses[0], own: statuses[1] });
    }
    rows.push(used_twice(stand).await);
    rows
}

fn cases() -> Vec<Case> {
    let own = || Credential::Certificate.tls();
    let with = |token: &str| Request { head: callers::head(Some(&format!("Bearer {token}"))), proofs: Vec::new() };
    let good = Credential::Certificate.token();
    let key_bound = Credential::Proof.token();
    let mut other_operation = with(&good);
    *other_operation.head.method_mut() = Method::PUT;
    let case = |what, request, tls, expected| Case { what, request, tls, expected };
    vec![
        case("a good request", with(&good), own(), (200, 200)),
        case("no token", Request { head: callers::head(None), proofs: Vec::new() }, own(), (401, 401)),
        case("a token that is no JWS", with("abc"), own(), (401, 401)),
        case(
            "an expired token",
            with(&world::tokens::expired_token(Client::Certificate, Algorithm::Es256)),
            own(),
            (401, 401),
        ),
        case("another operation", other_operation, own(), (403, 403)),
        case(
            "a stolen token, over the thief's own certificate",
            with(&good),
            callers::tls(Some(world::party::other_certificate())),
            (401, 200),
        ),
        case("a stolen token, over no certificate", with(&good), callers::tls(None), (401, 200)),
        case("a token bound to a DPoP key, without a proof", with(&key_bound), callers::tls(None), (401, 200)),
    ]
}

/// A proof that was seen goes with its token once more. For Envoy's own filters the same token comes as a bearer token.
async fn used_twice(stand: &Stand) -> Row {
    let token = Credential::Proof.token();
    let first = Credential::Proof.request(&token, 1);
    let road = stand.road(Way::Keybound, Credential::Proof);
    assert_eq!(once(&road, &first).await, 200, "a fresh proof");
    let keybound = once(&road, &first).await;
    assert_eq!(keybound, 401, "a proof that was used");
    let mut bearer = first;
    bearer.head = callers::head(Some(&format!("Bearer {token}")));
    let own = once(&stand.road(Way::Own, Credential::Proof), &bearer).await;
    assert_eq!(own, 200, "a token with a proof that nobody looks at");
    Row { what: "a DPoP proof that was used before", keybound, own }
}
