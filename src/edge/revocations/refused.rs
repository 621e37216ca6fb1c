//! The way from checks to the book: by which entries they refused something. Bounded and lossy, so that no check waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::decision::revocation::EntryId;

/// Entries told of and not yet taken. What does not fit is told of by the next use.
const QUEUE: usize = 1_024;
/// Entries that need not be told of again: a flood of one revoked token is one line in the queue.
const RECENT: usize = 256;

/// Where checks tell by which entry they refused something.
#[derive(Clone, Default)]
pub struct Refused(Option<Arc<Told>>);

struct Told {
    sender: mpsc::Sender<EntryId>,
    /// One half of an id, at the place that the other half names.
    recent: [AtomicU64; RECENT],
}

impl Refused {
    /// The way, and its end.
    #[must_use]
    pub fn way() -> (Self, mpsc::Receiver<EntryId>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let recent = core::array::from_fn(|_| AtomicU64::new(0));
        (Self(Some(Arc::new(Told { sender, recent }))), receiver)
    }

    /// Something was refused by this entry.
    pub fn note(&self, id: EntryId) {
        let Some(told) = &self.0 else { return };
        let number = u128::from_be_bytes(id.0);
        let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default();
        let (mine, place) = (half(number >> 64), half(number));
        let place = usize::try_from(place).unwrap_or_default() % RECENT;
        let Some(recent) = told.recent.get(place) else { return };
        if recent.load(Ordering::Relaxed) != mine && told.sender.try_send(id).is_ok() {
            recent.store(mine, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_flood_is_told_once_and_nobody_waits() {
        let (refused, mut told) = Refused::way();
        for _ in 0..10_000 {
            refused.note(EntryId([7; 16]));
        }
        assert_eq!(told.try_recv().unwrap(), EntryId([7; 16]));
        assert!(told.try_recv().is_err());
        for number in 0..100_000_u128 {
            refused.note(EntryId((number << 64 | number).to_be_bytes()));
        }
        let mut taken = 0;
        while told.try_recv().is_ok() {
            taken += 1;
        }
        assert_eq!(taken, QUEUE);
        refused.note(EntryId([9; 16]));
        assert_eq!(told.try_recv().unwrap(), EntryId([9; 16]), "there is room again");
        Refused::default().note(EntryId([1; 16]));
    }
}
