//! The whole path of one check, minus the socket: bytes in, answer out. It never fails: whatever goes wrong is a denial.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use prost::bytes::Bytes;

use crate::config::Upstream;
use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::snapshot::Snapshot;
use crate::decision::{Decision, Examined, Remembered, Verdict, examine};
use crate::edge::introspection::{Introspect, Nobody};
use crate::edge::jwks::Wanted;
use crate::edge::reply::CheckResponse;
use crate::edge::revocations::refused::Refused;
use crate::edge::spent::Spent;
use crate::edge::spent::memory::Memory;
use crate::edge::status_lists::{Consult, NoLists};
use crate::edge::{random, reply, wire};
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{DecisionId, DecisionRecord};

/// Judges checks. One for the process, or one for each worker where partners are a worker's own.
#[derive(Clone)]
pub struct Gate {
    /// What is known now; a check loads it once.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Whom a check may have to ask.
    pub partners: Partners,
    /// Tells the time, Unix seconds.
    pub clock: fn() -> i64,
    /// What the upstream is told.
    pub upstream: Upstream,
    /// From the arrival of a check to its answer, at most.
    pub deadline: Duration,
    /// Of the allows, this many percent are logged.
    pub allow_sample_percent: u8,
    /// Where keys are asked for when a token names an unknown one.
    pub wanted: Wanted,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Whom a check may have to ask before it can be judged to its end, or to tell how it ended.
#[derive(Clone)]
pub struct Partners {
    /// The memory of spent proofs.
    pub spent: Spent,
    /// Who is told by which revocation something was refused.
    pub refused: Refused,
    /// Who asks issuers about tokens.
    pub introspection: Arc<dyn Introspect>,
    /// Who gets status lists that are not at hand.
    pub status_lists: Arc<dyn Consult>,
}

impl Partners {
    /// Those of a process that is on its own: proofs are remembered here, and nobody else is asked.
    #[must_use]
    pub fn alone(spent: Arc<Memory>) -> Self {
        let (introspection, status_lists) = (Arc::new(Nobody), Arc::new(NoLists));
        Self { spent: Spent::Memory(spent), introspection, status_lists, refused: Refused::default() }
    }
}

impl Gate {
    /// The same, with another memory of spent proofs.
    #[must_use]
    pub fn spending_by(&self, spent: Spent) -> Self {
        let mut other = self.clone();
        other.partners.spent = spent;
        other
    }

    /// Answers one check. `message` is the CheckRequest, or why there is none; `arrived` is when it began to come in.
    ///
    /// A defect anywhere in it is a denial: a panic that got out would reset the stream, and a mesh may turn that into an allow.
    pub async fn check(&self, point: &str, message: Result<Bytes, Denial>, arrived: Instant) -> CheckResponse {
        let left = self.deadline.saturating_sub(arrived.elapsed());
        // Nobody waits any more for what is late already.
        let message = if left.is_zero() { Err(Denial::FaultDeadline) } else { message };
        // Nothing is left half-changed: a check owns what it changes, and the shared memories change in single steps.
        let decided = AssertUnwindSafe(self.decide(point, &message, left)).catch_unwind().await;
        let broken = || self.tell(point, arrived, Decision::refuse(Denial::FaultInternal));
        let told = decided.ok().and_then(|decision| catch(|| self.tell(point, arrived, decision)));
        told.or_else(|| catch(broken)).unwrap_or_else(reply::defect)
    }

    async fn decide(&self, point: &str, message: &Result<Bytes, Denial>, left: Duration) -> Decision {
        // One snapshot for the whole check.
        let snapshot = self.snapshot.load();
        let message = message.as_deref().map_err(|denial| *denial);
        let mut judging = pin!(judge(&snapshot, &self.partners, point, message, (self.clock)()));
        match at_once(judging.as_mut()).await {
            Poll::Ready(decision) => decision,
            // Somebody else is asked; only then a timer is needed.
            Poll::Pending => {
                let judged = tokio::time::timeout(left, judging).await;
                judged.unwrap_or_else(|_| Decision::refuse(Denial::FaultDeadline))
            }
        }
    }

    /// Counts the decision, logs it and writes the answer.
    fn tell(&self, point: &str, arrived: Instant, mut decision: Decision) -> CheckResponse {
        let took = arrived.elapsed();
        if took > self.deadline {
            // The caller may have given up already; an answer that late must not allow.
            decision = Decision::refuse(Denial::FaultDeadline);
        }
        // Without random bytes the id is all zeros: the answer stands, only its name is lost.
        let random = random::sixteen().unwrap_or_else(|| {
            tracing::error!("no random bytes for a decision id");
            [0; 16]
        });
        self.ask_for_keys(&decision);
        if let Some(entry) = decision.findings.revoked_by {
            self.partners.refused.note(entry);
        }
        let record = DecisionRecord::new(DecisionId::new(random), point, took, &decision);
        self.metrics.decided(&record);
        log::decision(&record, self.allow_sample_percent, random.first().copied().unwrap_or_default());
        reply::write(&decision, &record, &self.upstream)
    }

    /// The request is denied at once; the keys are fetched for the next one.
    fn ask_for_keys(&self, decision: &Decision) {
        let Verdict::Denied(refusal) = &decision.verdict else { return };
        if refusal.denial == Denial::TokenKeyUnknown
            && let Some(issuer) = &decision.findings.issuer
        {
            self.wanted.ask(issuer);
        }
    }
}

/// What `work` makes, unless it panics.
fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// What comes without waiting, if it does.
pub async fn at_once<F: Future>(mut work: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
}

/// Judges one CheckRequest at `now`, Unix seconds: everything between the bytes and the answer. It waits for nobody but partners.
pub async fn judge(
    snapshot: &Snapshot,
    partners: &Partners,
    point: &str,
    message: Result<&[u8], Denial>,
    now: i64,
) -> Decision {
    let read = message.and_then(wire::read);
    let facts = match read.and_then(|raw| RequestFacts::new(point, &raw)) {
        Ok(facts) => facts,
        Err(denial) => return Decision::refuse(denial),
    };
    let mut examined = examine(snapshot, &facts, now);
    if let Examined::Asks(asking) = examined {
        let answer = partners.introspection.introspect(asking.ask(), now).await;
        examined = asking.answered(answer);
    }
    if let Examined::Looks(looking) = examined {
        let list = partners.status_lists.consult(looking.issuer(), looking.uri(), now).await;
        examined = looking.found(list.as_deref());
    }
    let mut remembered = Remembered::default();
    if let Examined::Needs(unsettled) = examined {
        let settled = partners.spent.spend(unsettled.spend(), now).await;
        remembered = settled.remembered;
        examined = unsettled.settle(settled.spending);
    }
    let mut decision = match examined {
        Examined::Ended(decision) => *decision,
        Examined::Proven(proven) => proven.conclude(),
        // What was answered and settled is not asked for again; if it were, nothing would be proven.
        Examined::Asks(_) | Examined::Looks(_) | Examined::Needs(_) => Decision::refuse(Denial::FaultInternal),
    };
    decision.findings.remembered = remembered;
    decision.findings.request_id = facts.request_id().map(str::to_owned);
    decision
}

#[cfg(test)]
pub(in crate::edge) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use prost::Message as _;
    use tracing::{Event, Metadata, span};

    use super::*;
    use crate::decision::binding::{ProofRules, nonce::NonceKeys};
    use crate::decision::certificate::{CertificateRules, CertificateSource, ChainTrust};
    use crate::decision::jose::algorithm::AlgorithmSet;
    use crate::decision::token::Issuers;
    use crate::edge::proto::{self, check_response::HttpResponse};
    use crate::edge::revocations::list::RevocationList;
    use crate::edge::status_lists::Shelf;

    /// That of a process that knows nothing.
    pub fn snapshot() -> Snapshot {
        Snapshot {
            tokens: crate::edge::known::memories(16).0,
            leaves: crate::edge::known::memories(16).1,
            status_lists: Arc::new(Shelf::default()),
            metadata: false,
            revocations: Arc::new(RevocationList::new([])),
            issuers: Issuers::new([]),
            certificates: Arc::new(CertificateRules { source: CertificateSource::None, chain: ChainTrust::Nobody }),
            trust: None,
            proofs: Arc::new(ProofRules {
                algorithms: AlgorithmSet::new(&AlgorithmSet::PROOFS),
                max_age_seconds: 60,
                future_skew_seconds: 10,
                nonce_lifetime_seconds: 300,
            }),
            nonces: Arc::new(NonceKeys::new(&[7; 32], &[])),
            bundle: None,
        }
    }

    fn gate(clock: fn() -> i64) -> Gate {
        Gate {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot())),
            partners: Partners::alone(Arc::new(Memory::new(1_000, 100, 0))),
            clock,
            upstream: Upstream::default(),
            deadline: Duration::from_secs(60),
            allow_sample_percent: 0,
            wanted: Wanted::default(),
            metrics: Arc::new(Metrics::new().unwrap()),
        }
    }

    fn checked(gate: &Gate) -> CheckResponse {
        gate.check("edge", Ok(Bytes::new()), Instant::now()).now_or_never().unwrap()
    }

    /// Status of the gRPC answer and of the HTTP answer, and the number of fields of the metadata.
    fn denied(answer: &CheckResponse) -> (i32, i32, usize) {
        let answer = proto::CheckResponse::decode(answer.encoded()).unwrap();
        let Some(HttpResponse::DeniedResponse(denied)) = &answer.http_response else { panic!("not a denial") };
        let metadata = answer.dynamic_metadata.as_ref().map_or(0, |metadata| metadata.fields.len());
        (answer.status.as_ref().unwrap().code, denied.status.as_ref().unwrap().code, metadata)
    }

    #[test]
    fn a_defect_in_the_judgement_is_a_denial_with_its_record() {
        let gate = gate(|| panic!("a defect"));
        let answer = checked(&gate);
        assert_eq!(denied(&answer), (13, 500, 4));
        assert!(gate.metrics.text().contains(r#"code="fault_internal""#));
    }

    /// Panics at every event: a defect of what tells of decisions.
    struct Broken;

    impl tracing::Subscriber for Broken {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {
            panic!("a defect")
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn a_defect_in_telling_is_a_denial_too() {
        let gate = gate(|| 0);
        let answer = tracing::subscriber::with_default(Broken, || checked(&gate));
        assert_eq!(denied(&answer), (13, 500, 0));
    }
}
