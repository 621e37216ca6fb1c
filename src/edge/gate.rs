//! The whole path of one check, minus the socket: bytes in, answer out. It never fails: whatever goes wrong is a denial.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tonic::codegen::Bytes;

use crate::config::Upstream;
use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::snapshot::Snapshot;
use crate::decision::{Decision, Examined, Verdict, examine};
use crate::edge::jwks::Wanted;
use crate::edge::proto::CheckResponse;
use crate::edge::spent::memory::Memory;
use crate::edge::{reply, wire};
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{DecisionId, DecisionRecord};

/// Judges checks. One for the process.
pub struct Gate {
    /// What is known now; a check loads it once.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The memory of spent proofs.
    pub spent: Arc<Memory>,
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

impl Gate {
    /// Answers one check. `message` is the CheckRequest, or why there is none; `arrived` is when it began to come in.
    #[must_use]
    pub fn check(&self, point: &str, message: Result<Bytes, Denial>, arrived: Instant) -> CheckResponse {
        let _span = tracing::info_span!("check", point).entered();
        let judged = catch_unwind(AssertUnwindSafe(|| {
            // One snapshot for the whole check.
            let snapshot = self.snapshot.load_full();
            judge(&snapshot, &self.spent, point, message, (self.clock)())
        }));
        let mut decision = judged.unwrap_or_else(|_| Decision::refuse(Denial::FaultInternal));
        let took = arrived.elapsed();
        if took > self.deadline {
            // The caller may have given up already; an answer that late must not allow.
            decision = Decision::refuse(Denial::FaultDeadline);
        }
        let mut random = [0; 16];
        // Without random bytes the id is all zeros: the answer stands, only its name is lost.
        if aws_lc_rs::rand::fill(&mut random).is_err() {
            tracing::error!("no random bytes for a decision id");
        }
        self.ask_for_keys(&decision);
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

/// Judges one CheckRequest at `now`, Unix seconds: everything between the bytes and the answer.
#[must_use]
pub fn judge(snapshot: &Snapshot, spent: &Memory, point: &str, message: Result<Bytes, Denial>, now: i64) -> Decision {
    let request = match message.and_then(wire::decode) {
        Ok(request) => request,
        Err(denial) => return Decision::refuse(denial),
    };
    let facts = wire::raw(&request).and_then(|raw| RequestFacts::new(point, &raw));
    let facts = match facts {
        Ok(facts) => facts,
        Err(denial) => return Decision::refuse(denial),
    };
    let mut examined = examine(snapshot, &facts, now);
    if let Examined::Needs(unsettled) = examined {
        let spending = spent.spend(unsettled.spend(), now);
        examined = unsettled.settle(spending);
    }
    match examined {
        Examined::Ended(decision) => *decision,
        Examined::Proven(proven) => proven.conclude(),
        // A settled proof is not asked for again; if it were, nothing would be proven.
        Examined::Needs(_) => Decision::refuse(Denial::FaultInternal),
    }
}
