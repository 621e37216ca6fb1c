//! What policies are told of a token, but for its age: made of the very bytes that were signed, for the claims that the schema
//! declares.
//!
//! As Cedar has it, it takes several times the memory of all else that is known of the token. So a token keeps it only while a memory
//! of tokens lets it, and it is made again of the bytes where it is not there, or the schema is another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use super::ClaimSpec;
use crate::decision::cedar::Record;
use crate::decision::denial::Denial;
use crate::decision::jose::{Map, parse_object};

/// The claims that a schema declares, and what its policies are told of a token.
pub type Told = (Arc<[ClaimSpec]>, Record);

/// The claims of a token.
pub struct Claims {
    /// The payload: what the signature is over, decoded.
    payload: Box<[u8]>,
    told: ArcSwapOption<Told>,
    keeps: AtomicBool,
}

impl Claims {
    pub fn of(payload: Vec<u8>) -> Self {
        Self { payload: payload.into(), told: ArcSwapOption::empty(), keeps: AtomicBool::new(false) }
    }

    /// How long they are.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// What was told before to who declares the same claims, else what is made of them; they are read for that, unless they just were.
    pub fn told(
        &self,
        specs: &Arc<[ClaimSpec]>,
        just_read: Option<Map>,
        make: impl FnOnce(&Map) -> Result<Record, Denial>,
    ) -> Result<Arc<Told>, Denial> {
        if let Some(told) = self.told.load_full().filter(|told| Arc::ptr_eq(&told.0, specs)) {
            return Ok(told);
        }
        let claims = match just_read {
            Some(claims) => claims,
            // They were read when the token was verified: this cannot fail, and if it did, it would not be an allow.
            None => parse_object(&self.payload).map_err(|_| Denial::TokenMalformed)?,
        };
        let told = Arc::new((Arc::clone(specs), make(&claims)?));
        if self.keeps.load(Ordering::Relaxed) {
            self.told.store(Some(Arc::clone(&told)));
        }
        Ok(told)
    }

    /// From now on it is kept. `false` if it was before.
    pub fn keep(&self) -> bool {
        !self.keeps.load(Ordering::Relaxed) && !self.keeps.swap(true, Ordering::Relaxed)
    }

    /// It is not kept any more.
    pub fn forget(&self) {
        self.keeps.store(false, Ordering::Relaxed);
        self.told.store(None);
    }
}
