//! Where spent proofs are remembered. A store is a file here.

pub mod memory;

use std::future::{Future, ready};
use std::sync::Arc;

use crate::decision::binding::{Spend, Spending};
use memory::Memory;

/// A memory of spent proofs.
#[derive(Clone)]
pub enum Spent {
    /// In this process.
    Memory(Arc<Memory>),
}

impl Spent {
    /// Remembers a proof, if it is fresh: one atomic step. `now` is Unix seconds.
    pub fn spend(&self, spend: &Spend, now: i64) -> impl Future<Output = Spending> + Send {
        match self {
            Self::Memory(memory) => ready(memory.spend(spend, now)),
        }
    }
}
