//! Where spent proofs are remembered. A store is a file here.

pub mod memory;
pub mod redis;

use std::future::{Future, ready};
use std::sync::Arc;

use futures_util::future::Either;

use crate::decision::Remembered;
use crate::decision::binding::{Spend, Spending};
use memory::Memory;

/// A memory of spent proofs.
#[derive(Clone)]
pub enum Spent {
    /// In this process.
    Memory(Arc<Memory>),
    /// In the Redis that replicas share.
    Redis(Arc<redis::Link>),
}

/// What came of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What the memory says.
    pub spending: Spending,
    /// Who remembers it.
    pub remembered: Remembered,
}

impl Spent {
    /// Remembers a proof, if it is fresh: one atomic step. `now` is Unix seconds.
    pub fn spend(&self, spend: &Spend, now: i64) -> impl Future<Output = Settled> + Send {
        match self {
            Self::Memory(memory) => Either::Left(ready(Settled {
                spending: memory.spend(spend, now),
                remembered: Remembered::AsConfigured,
            })),
            // Boxed: a check that asks nobody carries nothing of it along.
            Self::Redis(link) => Either::Right(Box::pin(link.spend(spend, now))),
        }
    }
}
