//! The part of the walk around the memory of spent proofs: what must be remembered, and how the walk goes on with the memory's answer.

use super::binding::{BoundSender, Spend, Spending};
use super::{Evidence, Examined, Proven, Walk};

/// Waits for the memory of spent proofs.
pub struct Unsettled<'w> {
    pub(super) walk: Walk<'w>,
    pub(super) evidence: Evidence<'w>,
    pub(super) bound: BoundSender,
}

impl<'w> Unsettled<'w> {
    /// What must be remembered.
    #[must_use]
    pub fn spend(&self) -> &Spend {
        self.bound.spend()
    }

    /// Goes on with the memory's answer.
    #[must_use]
    pub fn settle(self, spending: Spending) -> Examined<'w> {
        let Self { mut walk, evidence, bound } = self;
        // It may have been waited for.
        if let Err(revoked) = walk.is_still_live(evidence.token.token(), evidence.certificate.as_ref()) {
            return walk.revoked(revoked);
        }
        match bound.settle(spending) {
            Ok(sender) => Examined::Proven(Box::new(Proven { walk, sender: Some((evidence, sender)) })),
            Err(denial) => match walk.soften(denial) {
                Ok(()) => walk.unproven(evidence),
                Err(decision) => Examined::Ended(decision),
            },
        }
    }
}
