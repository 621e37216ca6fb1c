//! Tokens whose signature was verified before: it is not verified again while the issuer's keys and rules are the same.
//!
//! Remembered are facts, never a verdict: what depends on time, API, revocation or sender is judged on every use.

use std::sync::Arc;

use super::{IssuedToken, Issuers, TokenRefused, at_jwt};
use crate::decision::jose::Map;

/// Where verified tokens are remembered. A memory may forget; it never makes a token.
pub trait KnownTokens: Send + Sync {
    /// The token whose text has this SHA-256.
    fn find(&self, hash: &[u8; 32]) -> Option<Arc<IssuedToken>>;

    /// Remembers a token by the SHA-256 of its text.
    fn keep(&self, hash: &[u8; 32], token: &Arc<IssuedToken>);
}

/// Verifies everything about a token that does not depend on API, time or sender, or remembers that it was. `hash` is the SHA-256
/// of its text. The claims come beside it where they were just read.
///
/// # Errors
/// A denial of class `token`, or `fault_keys_unavailable`.
pub fn verify<'s>(
    token: &[u8],
    hash: &[u8; 32],
    issuers: &'s Issuers,
    known: &dyn KnownTokens,
) -> Result<(Arc<IssuedToken>, Option<Map>), TokenRefused<'s>> {
    if let Some(issued) = known.find(hash).filter(|issued| issued.stands(issuers)) {
        return Ok((issued, None));
    }
    let (issued, claims) = at_jwt::verify(token, issuers)?;
    let issued = Arc::new(issued);
    known.keep(hash, &issued);
    Ok((issued, Some(claims)))
}
