//! Answers that still count, by issuer and SHA-256 of the whole token: bounded by the memory they take.
//!
//! An answer counts for as long as the operator says, and never beyond the end of the token that it vouches for (RFC 7662 §4), which is
//! held against our clock each time. A flood of what is seen once does not drive out what is seen again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::decision::token::{Introspection, Outcome};

/// Of all issuers together.
const BYTES: u64 = 32 * 1024 * 1024;
/// What an entry takes beside its answer: its place in the cache, its dates, the size classes of the allocator.
const ENTRY_BYTES: usize = 256;
/// An entry is about so large: for how many the cache is laid out.
const USUAL_BYTES: u64 = 1_024;

/// The index of the issuer, and the SHA-256 of the token.
pub type Key = (usize, [u8; 32]);

/// Answers, by their keys.
pub struct Answers(Cache<Key, Arc<Kept>, Weight, RandomState>);

struct Kept {
    answer: Introspection,
    until: Instant,
    /// Unix seconds.
    expires: i64,
}

/// For how long answers count.
#[derive(Clone, Copy)]
pub struct Lives {
    pub active: Duration,
    pub other: Duration,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Kept>> for Weight {
    fn weight(&self, _: &Key, kept: &Arc<Kept>) -> u64 {
        u64::try_from(kept.answer.bytes().saturating_add(ENTRY_BYTES)).unwrap_or(u64::MAX)
    }
}

impl Answers {
    pub fn new() -> Self {
        let usual = BYTES.checked_div(USUAL_BYTES).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        Self(Cache::with(usual, BYTES, Weight, RandomState::default(), DefaultLifecycle::default()))
    }

    /// The answer, if it still counts. `now` is Unix seconds.
    pub fn find(&self, key: &Key, at: Instant, now: i64) -> Option<Introspection> {
        self.0.get(key).filter(|kept| at < kept.until && now < kept.expires).map(|kept| kept.answer.clone())
    }

    /// Keeps an answer for as long as it counts.
    pub fn keep(&self, key: Key, answer: &Introspection, lives: Lives, at: Instant, now: i64) {
        let life = if answer.outcome() == Outcome::Active { lives.active } else { lives.other };
        let expires = answer.expires().unwrap_or(i64::MAX);
        let Some(until) = at.checked_add(life).filter(|until| *until > at && expires > now) else {
            self.0.remove(&key);
            return;
        };
        self.0.insert(key, Arc::new(Kept { answer: answer.clone(), until, expires }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]
    use serde_json::json;

    use super::super::tests::{NOW, answer};
    use super::*;

    const KEY: Key = (0, [7; 32]);
    const LIVES: Lives = Lives { active: Duration::from_secs(30), other: Duration::from_secs(5) };

    /// For how many milliseconds it counts, as our clock goes on with it.
    fn life(answer: &Introspection, lives: Lives, now: i64) -> Option<u64> {
        let (answers, at) = (Answers::new(), Instant::now());
        answers.keep(KEY, answer, lives, at, now);
        let counts = |milliseconds: u64| {
            let passed = i64::try_from(milliseconds / 1_000).unwrap();
            answers.find(&KEY, at + Duration::from_millis(milliseconds), now + passed).is_some()
        };
        (0..400_000).step_by(500).take_while(|milliseconds| counts(*milliseconds)).last()
    }

    #[test]
    fn in_03_an_answer_counts_as_long_as_it_may_and_never_beyond_its_end() {
        let active = answer(&json!({}));
        assert_eq!(life(&active, LIVES, NOW), Some(29_500));
        // It ends at NOW + 290.
        assert_eq!(life(&active, LIVES, NOW + 280), Some(9_500));
        assert_eq!(life(&active, LIVES, NOW + 290), None);
        assert_eq!(life(&answer(&json!({"active": false})), LIVES, NOW), Some(4_500));
        assert_eq!(
            life(&answer(&json!({"aud": 1})), LIVES, NOW),
            Some(4_500),
            "what is no access token is none for as long"
        );
        let nothing = Lives { active: Duration::ZERO, other: Duration::ZERO };
        assert_eq!(life(&active, nothing, NOW), None);
    }

    #[test]
    fn in_03_a_clock_that_is_set_back_keeps_no_answer_longer() {
        let (answers, at) = (Answers::new(), Instant::now());
        answers.keep(KEY, &answer(&json!({})), LIVES, at, NOW);
        assert!(answers.find(&KEY, at + Duration::from_secs(29), NOW - 3_600).is_some());
        assert!(answers.find(&KEY, at + Duration::from_secs(30), NOW - 3_600).is_none());
        assert!(answers.find(&KEY, at, NOW + 290).is_none());
    }

    #[test]
    fn in_04_an_answer_is_of_one_issuer_about_one_token() {
        let (answers, at) = (Answers::new(), Instant::now());
        answers.keep(KEY, &answer(&json!({})), LIVES, at, NOW);
        assert!(answers.find(&(1, KEY.1), at, NOW).is_none());
        assert!(answers.find(&(0, [8; 32]), at, NOW).is_none());
        // A later answer takes the place of the one before, also where it does not count.
        answers.keep(KEY, &answer(&json!({})), Lives { active: Duration::ZERO, ..LIVES }, at, NOW);
        assert!(answers.find(&KEY, at, NOW).is_none());
    }

    #[test]
    fn in_04_a_flood_takes_no_more_memory_than_there_is() {
        let (answers, at) = (Answers::new(), Instant::now());
        let inactive = answer(&json!({"active": false}));
        for number in 0..300_000_u32 {
            let mut hash = [0; 32];
            hash.iter_mut().zip(number.to_be_bytes()).for_each(|(place, byte)| *place = byte);
            answers.keep((0, hash), &inactive, LIVES, at, NOW);
        }
        assert!(answers.0.weight() <= BYTES);
        assert!(answers.0.len() < 150_000);
    }
}
