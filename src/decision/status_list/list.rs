//! A status list that was verified and inflated, and the one entry that is asked for.

use std::sync::Arc;

use crate::decision::denial::Denial;
use crate::decision::token::{Issuer, IssuerRules};

/// A verified status list: who is revoked or suspended among the tokens that name it.
pub struct StatusList {
    pub(super) uri: Arc<str>,
    /// Those that it was verified by.
    pub(super) rules: Arc<IssuerRules>,
    /// The thumbprint (RFC 7638) of the key that verified it.
    pub(super) key: [u8; 32],
    /// Bits of an entry: 1, 2, 4 or 8.
    pub(super) bits: u8,
    pub(super) entries: Box<[u8]>,
    /// `iat`, Unix seconds, rounded down.
    pub(super) issued: i64,
    /// `exp` and the allowance for its issuer's clock, Unix seconds.
    pub(super) expires: Option<i64>,
    /// `ttl`, seconds.
    pub(super) ttl: Option<u64>,
}

impl StatusList {
    /// The value of an entry; none beyond the list. The first entry of a byte has its lowest bits.
    #[must_use]
    pub fn value(&self, index: u32) -> Option<u8> {
        let bits = u32::from(self.bits);
        let of_a_byte = 8_u32.checked_div(bits)?;
        let byte = *self.entries.get(usize::try_from(index.checked_div(of_a_byte)?).ok()?)?;
        let shift = index.checked_rem(of_a_byte)?.checked_mul(bits)?;
        let mask = u8::MAX.checked_shr(8_u32.checked_sub(bits)?)?;
        Some(byte.checked_shr(shift)? & mask)
    }

    /// Only 0 is valid.
    pub(super) fn judge(&self, index: u32) -> Result<(), Denial> {
        match self.value(index) {
            Some(0) => Ok(()),
            Some(1) => Err(Denial::TokenRevoked),
            Some(2) => Err(Denial::TokenSuspended),
            Some(_) | None => Err(Denial::TokenStatusUnknown),
        }
    }

    /// Whether it is the list that is meant, has not run out, and whoever signed it still has that key.
    #[must_use]
    pub fn stands(&self, uri: &str, issuer: &Issuer, now: i64) -> bool {
        *self.uri == *uri
            && Arc::ptr_eq(&self.rules, &issuer.rules)
            && self.is_current(now)
            && issuer.status_keys().is_some_and(|keys| keys.names().any(|(_, thumbprint)| *thumbprint == self.key))
    }

    /// Whether it has not run out at `now`, Unix seconds.
    #[must_use]
    pub fn is_current(&self, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// Whether it may take the place of an earlier one: an older list could make a revoked token good.
    #[must_use]
    pub fn may_follow(&self, before: &Self) -> bool {
        self.issued >= before.issued
    }

    /// When it runs out for all who see it, Unix seconds.
    #[must_use]
    pub fn expires(&self) -> Option<i64> {
        self.expires
    }

    /// For how many seconds its signer says that it may be kept.
    #[must_use]
    pub fn ttl_seconds(&self) -> Option<u64> {
        self.ttl
    }

    /// What it takes of memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>().saturating_add(self.entries.len()).saturating_add(self.uri.len())
    }
}
