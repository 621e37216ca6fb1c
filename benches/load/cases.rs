//! What is asked of the servers in the steady state: the rows of the table.

use std::net::SocketAddr;

use crate::answer::Expected;
use crate::load::Supply;
use crate::world::{
    Algorithm, Client, bad_proof, bound, broken, dpop, expired, garbage, in_parallel, token, tokens, wrong_certificate,
};

/// Which server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum On {
    /// The bare one.
    Floor,
    /// The bare one with jemalloc.
    FloorJemalloc,
    /// keybound with so many policies.
    Keybound(usize),
    /// keybound with so many policies, and room for [`CROWD`] tokens, as one who has so many configures it.
    Roomy(usize),
    /// keybound with so many policies, started for this.
    Fresh(usize),
    /// Somebody else's.
    Peer(SocketAddr),
}

type Make = Box<dyn Fn(usize) -> Vec<Vec<u8>>>;

/// One row.
pub struct Case {
    /// How it is chosen; the part before the dot is its group.
    pub key: &'static str,
    pub title: &'static str,
    pub on: On,
    /// The signature that each check must verify, whoever checks.
    pub verifies: Option<Algorithm>,
    supply: Messages,
    expected: Vec<Expected>,
}

enum Messages {
    /// So many, over and over.
    Kept(usize, Make),
    /// Each once; made anew for each measurement.
    Once(Make),
    /// So many, over and over; made anew for each measurement, because they age.
    Anew(usize, Make),
    /// Each once, by a server that is new; made once.
    OncePerServer(Supply),
}

/// The policies of the estate that is measured most.
pub const POLICIES: usize = 1_000;
/// Tokens of the row with the most.
pub const CROWD: usize = 100_000;
/// `limits.cache_mebibytes` for them: three quarters are for tokens, of which one takes less than 1,500 bytes.
pub const ROOMY_MEBIBYTES: u32 = 256;
/// Never-seen tokens that are made for one run: signing is dear.
const NEVER_SEEN: usize = 30_000;

impl Case {
    /// Its messages: `once` of them where each is sent once.
    pub fn supply(&self, once: usize) -> Supply {
        match &self.supply {
            Messages::Kept(count, make) | Messages::Anew(count, make) => {
                Supply::new(make(*count), false, self.expected.clone())
            }
            Messages::Once(make) => Supply::new(make(once), true, self.expected.clone()),
            Messages::OncePerServer(supply) => supply.each_once(),
        }
    }

    /// Whether the messages may be kept for the whole run.
    pub const fn is_kept(&self) -> bool {
        matches!(self.supply, Messages::Kept(..))
    }
}

fn case(key: &'static str, title: &'static str, on: On, supply: Messages, expected: Expected) -> Case {
    Case { key, title, on, verifies: None, supply, expected: vec![expected] }
}

fn bound_of(count: usize) -> Messages {
    let make = |count| {
        let tokens = tokens(Client::Certificate, Algorithm::Es256, count);
        in_parallel(count, |number| bound(&tokens[number]))
    };
    Messages::Kept(count, Box::new(make))
}

/// Fresh proofs for one token.
pub fn proofs(client: Client, count: usize) -> Vec<Vec<u8>> {
    let token = token(client, Algorithm::Es256);
    in_parallel(count, |_| dpop(client, &token))
}

/// Tokens of RS256, all different.
pub fn never_seen(count: usize) -> Vec<Vec<u8>> {
    in_parallel(count, |_| bound(&token(Client::Certificate, Algorithm::Rs256)))
}

fn many(count: usize, make: fn() -> Vec<u8>) -> Messages {
    Messages::Kept(count, Box::new(move |count| in_parallel(count, |_| make())))
}

fn forged(count: usize) -> Vec<Vec<u8>> {
    let token = token(Client::DpopEs256, Algorithm::Es256);
    in_parallel(count, |_| bad_proof(Client::DpopEs256, &token))
}

/// Every row that these words choose.
pub fn cases(chosen: &dyn Fn(&str) -> bool, peer: Option<SocketAddr>) -> Vec<Case> {
    let mut cases = vec![
        case("floor", "bare server", On::Floor, bound_of(1_000), Expected::bare_allow()),
        case("floor.jemalloc", "bare server, jemalloc", On::FloorJemalloc, bound_of(1_000), Expected::bare_allow()),
    ];
    cases.extend(peer.into_iter().map(|at| {
        let mut peer = case("peer", "PEER, certificate-bound", On::Peer(at), bound_of(1_000), Expected::bare_allow());
        peer.expected.push(Expected::bare_denial());
        peer
    }));
    cases.extend(allowed(chosen));
    cases.extend(denied());
    for (key, title, policies) in [
        ("policies.10", "bound, 1 token, 10 policies", 10),
        ("policies.100", "bound, 1 token, 100 policies", 100),
        ("policies.1000", "bound, 1 token, 1,000 policies", 1_000),
        ("policies.10000", "bound, 1 token, 10,000 policies", 10_000),
    ] {
        cases.push(case(key, title, On::Keybound(policies), bound_of(1), Expected::allow()));
    }
    // The floor is what everything is compared with.
    cases.retain(|case| case.key == "floor" || chosen(case.key));
    cases
}

fn allowed(chosen: &dyn Fn(&str) -> bool) -> Vec<Case> {
    let on = On::Keybound(POLICIES);
    let mut cases = vec![
        case("bound.1", "bound, 1 token", on, bound_of(1), Expected::allow()),
        case("bound.1000", "bound, 1,000 tokens", on, bound_of(1_000), Expected::allow()),
        case(
            "bound.100000",
            "bound, 100,000 tokens (256 MiB)",
            On::Roomy(POLICIES),
            bound_of(CROWD),
            Expected::allow(),
        ),
    ];
    if chosen("unseen") {
        let supply = Supply::new(never_seen(NEVER_SEEN), true, vec![Expected::allow()]);
        let mut unseen = case(
            "unseen",
            "bound, RS256, never seen",
            On::Fresh(POLICIES),
            Messages::OncePerServer(supply),
            Expected::allow(),
        );
        unseen.verifies = Some(Algorithm::Rs256);
        cases.push(unseen);
    }
    for (key, title, client) in
        [("dpop.es256", "DPoP ES256", Client::DpopEs256), ("dpop.eddsa", "DPoP EdDSA", Client::DpopEdDsa)]
    {
        let make: Make = Box::new(move |count| proofs(client, count));
        let mut dpop = case(key, title, on, Messages::Once(make), Expected::allow());
        dpop.verifies = Some(client.proof_algorithm());
        cases.push(dpop);
    }
    cases
}

fn denied() -> Vec<Case> {
    let on = On::Keybound(POLICIES);
    vec![
        case("denials.expired", "expired token", on, many(200, expired), Expected::denial("token_expired")),
        case(
            "denials.certificate",
            "wrong certificate",
            on,
            many(200, wrong_certificate),
            Expected::denial("certificate_mismatch"),
        ),
        case(
            "denials.proof",
            "forged proof",
            on,
            Messages::Anew(500, Box::new(forged)),
            Expected::denial("proof_signature_invalid"),
        ),
        case("denials.garbage", "garbage credential", on, many(200, garbage), Expected::denial("token_malformed")),
        case("denials.broken", "broken protobuf", on, many(200, broken), Expected::denial("request_malformed")),
    ]
}
