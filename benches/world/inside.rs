//! The judgement without a socket: what a process would have loaded from an estate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use keybound::config::Upstream;
use keybound::decision::Decision;
use keybound::decision::binding::{self, Bound, Occasion, Sender, Spending};
use keybound::decision::facts::RequestFacts;
use keybound::decision::policy::{Question, Subject};
use keybound::decision::revocation::Revocations;
use keybound::decision::snapshot::Snapshot;
use keybound::decision::{certificate, credential, route, token};
use keybound::edge::clock;
use keybound::edge::gate::{self, Gate, Partners};
use keybound::edge::jwks::Wanted;
use keybound::edge::reply::CheckResponse;
use keybound::edge::spent::memory::Memory;
use keybound::edge::wire;
use keybound::operator::check;
use keybound::telemetry::metrics::Metrics;
use tonic::codegen::Bytes;

use super::{Estate, Options, now};

/// What is known of an estate.
fn snapshot(policies: usize, options: Options) -> Snapshot {
    let directory = tempfile::tempdir().expect("a directory");
    let estate = Estate::write_with(directory.path(), policies, options);
    let Ok(prepared) = check::prepare(&estate.config()) else { panic!("the estate is refused") };
    prepared.keeper.snapshot()
}

/// What judges.
pub struct Inside {
    /// What is known.
    pub snapshot: Arc<Snapshot>,
    /// Spent proofs.
    pub spent: Arc<Memory>,
    /// The whole path of a check but for the socket.
    pub gate: Gate,
}

impl Inside {
    /// What a process has that serves an estate with so many policies.
    pub fn new(policies: usize) -> Self {
        Self::with(policies, Options::default())
    }

    /// The same, configured so.
    pub fn with(policies: usize, options: Options) -> Self {
        Self::of(snapshot(policies, options))
    }

    /// The same, where this is revoked.
    pub fn revoking(policies: usize, revocations: Arc<dyn Revocations>) -> Self {
        Self::of(Snapshot { revocations, ..snapshot(policies, Options::default()) })
    }

    fn of(snapshot: Snapshot) -> Self {
        let snapshot = Arc::new(snapshot);
        let spent = Arc::new(Memory::new(20_000_000, 100, 0));
        let gate = Gate {
            snapshot: Arc::new(ArcSwap::new(Arc::clone(&snapshot))),
            partners: Partners::alone(Arc::clone(&spent)),
            clock: clock::now,
            upstream: Upstream::default(),
            deadline: Duration::from_secs(60),
            allow_sample_percent: 0,
            wanted: Wanted::default(),
            metrics: Arc::new(Metrics::new().expect("metrics")),
        };
        Self { snapshot, spent, gate }
    }

    /// What comes of a message.
    pub fn judge(&self, message: &[u8]) -> Decision {
        let judging = gate::judge(&self.snapshot, &self.gate.partners, "edge", Ok(message), now());
        judging.now_or_never().expect("nobody is asked")
    }

    /// The same, as it is answered.
    pub fn check(&self, message: &Bytes) -> CheckResponse {
        let checking = self.gate.check("edge", Ok(message.clone()), Instant::now());
        checking.now_or_never().expect("nobody is asked")
    }

    /// Walks a message as far as the question that policy is asked.
    pub fn with_subject(&self, message: &[u8], ask: impl FnOnce(&Question<'_>, &Subject<'_>)) {
        let (snapshot, now) = (&self.snapshot, now());
        let bundle = snapshot.bundle.as_ref().expect("a bundle");
        let facts = RequestFacts::new("edge", &wire::read(message).expect("a message")).expect("facts");
        let route = route::resolve(&bundle.inventory, &facts).expect("a route");
        let credential = credential::present(&facts).expect("a credential");
        let (hash, known) = (credential.token_hash(), snapshot.tokens.as_ref());
        let verified = token::verify(credential.token(), hash, &snapshot.issuers, known);
        let Ok((signed, just_read)) = verified else { panic!("no token") };
        let token = signed.accept(just_read, route.api(), bundle.policies.claims(), now).expect("a token for this API");
        let registration = bundle.clients.admit(token.client(), true, now).expect("a client");
        let rules = &snapshot.certificates;
        let leaves = snapshot.leaves.as_ref();
        let certificate = certificate::present(rules, None, &facts.certificate(), leaves, now).expect("a certificate");
        let (proofs, nonces) = (&*snapshot.proofs, &*snapshot.nonces);
        let occasion = Occasion { facts: &facts, route: &route, credential: &credential, proofs, nonces, now };
        let sender = Sender { occasion, token: &token, certificate: certificate.as_ref(), certificates: rules };
        let sender = match binding::prove(&sender, None).expect("a bound sender") {
            Bound::Proven(sender) => sender,
            Bound::MustSpend(bound) => bound.settle(Spending::Fresh).expect("a proven sender"),
        };
        let question = Question { index: &bundle.policies, estate: &bundle.estate, facts: &facts, route: &route, now };
        ask(&question, &Subject { token: &token, registration, certificate: certificate.as_ref(), sender: &sender });
    }
}
