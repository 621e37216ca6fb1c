//! Tokens whose signature was verified before: it is not verified again while the issuer's keys and rules are the same.
//!
//! Remembered are facts, never a verdict: what depends on time, API, revocation or sender is judged on every use.

use std::sync::Arc;

use super::{Issuers, SignedToken, TokenRefused, at_jwt};
use crate::decision::jose::Map;

/// Where verified tokens are remembered. A memory may forget; it never makes a token.
pub trait KnownTokens: Send + Sync {
    /// The token whose text has this SHA-256.
    fn find(&self, hash: &[u8; 32]) -> Option<Arc<SignedToken>>;

    /// Remembers a token by the SHA-256 of its text.
    fn keep(&self, hash: &[u8; 32], token: &Arc<SignedToken>);
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
) -> Result<(Arc<SignedToken>, Option<Map>), TokenRefused<'s>> {
    if let Some(signed) = known.find(hash).filter(|signed| signed.stands(issuers)) {
        return Ok((signed, None));
    }
    let (signed, claims) = at_jwt::verify(token, issuers)?;
    let signed = Arc::new(signed);
    known.keep(hash, &signed);
    Ok((signed, Some(claims)))
}
