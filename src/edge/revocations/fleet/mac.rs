//! The keys of a fleet: what one replica tells carries a MAC that only holders of a key can make (HMAC-SHA-256, RFC 2104).
//!
//! Proved by a good MAC: a replica of this fleet wrote these very bytes, under this prefix of keys. Not proved: when, or that nothing
//! else was written; records only add up, so an old one that comes again changes nothing. The first key signs, all of them verify.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};

/// A MAC, in bytes.
pub const TAG_BYTES: usize = 32;
/// What the key is used for: a MAC of anything else never counts here.
const PURPOSE: &[u8] = b"keybound fleet revocation 1\0";

/// The keys, which may be replaced while they are used.
pub type Keys = Arc<ArcSwap<FleetKeys>>;

/// The keys of a fleet: the first signs, all verify. Without one nothing is signed, and nothing verifies.
#[derive(Default)]
pub struct FleetKeys(Vec<Key>);

impl FleetKeys {
    /// These keys.
    #[must_use]
    pub fn new(secrets: &[Vec<u8>]) -> Self {
        Self(secrets.iter().map(|secret| Key::new(HMAC_SHA256, secret)).collect())
    }

    /// A text under a prefix of keys, with its MAC before it.
    #[must_use]
    pub fn seal(&self, prefix: &str, text: &[u8]) -> Option<Vec<u8>> {
        let tag = sign(self.0.first()?, &message(prefix, text)?);
        Some([tag.as_ref(), text].concat())
    }

    /// The text behind a MAC that one of the keys made, under this prefix. Compared in constant time.
    #[must_use]
    pub fn open<'s>(&self, prefix: &str, sealed: &'s [u8]) -> Option<&'s [u8]> {
        let (tag, text) = sealed.split_at_checked(TAG_BYTES)?;
        let message = message(prefix, text)?;
        self.0.iter().any(|key| verify(key, &message, tag).is_ok()).then_some(text)
    }
}

/// What is signed: no two prefixes and texts read alike, because the length of the first stands before it.
fn message(prefix: &str, text: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(prefix.len()).ok()?.to_be_bytes();
    Some([PURPOSE, &length, prefix.as_bytes(), text].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const TEXT: &[u8] = b"{\"entry\":{}}";

    fn keys(secrets: &[u8]) -> FleetKeys {
        FleetKeys::new(&secrets.iter().map(|secret| vec![*secret; 32]).collect::<Vec<_>>())
    }

    #[test]
    fn what_a_fleet_has_sealed_it_opens_and_nobody_can_change_a_byte_of_it() {
        let fleet = keys(&[1]);
        let sealed = fleet.seal("keybound", TEXT).unwrap();
        assert_eq!(fleet.open("keybound", &sealed), Some(TEXT));
        for place in 0..sealed.len() {
            for bit in 0..8 {
                let mut forged = sealed.clone();
                forged[place] ^= 1 << bit;
                assert_eq!(fleet.open("keybound", &forged), None, "bit {bit} of byte {place}");
            }
            assert_eq!(fleet.open("keybound", &sealed[..place]), None, "cut to {place}");
        }
        assert_eq!(fleet.open("keybound", &[&sealed[..], b" "].concat()), None);
    }

    #[test]
    fn another_fleet_another_key_and_no_key_open_nothing() {
        let sealed = keys(&[1]).seal("keybound", TEXT).unwrap();
        assert_eq!(keys(&[2]).open("keybound", &sealed), None);
        assert_eq!(keys(&[1]).open("keybound2", &sealed), None);
        assert_eq!(keys(&[1]).open("", &sealed), None);
        assert_eq!(keys(&[]).open("keybound", &sealed), None);
        assert_eq!(keys(&[]).seal("keybound", TEXT), None);
        // A byte that wanders from the text to the prefix.
        let other = keys(&[1]).seal("keybound{", &TEXT[1..]).unwrap();
        assert_eq!(keys(&[1]).open("keybound", &[&other[..TAG_BYTES], TEXT].concat()), None);
    }

    #[test]
    fn keys_are_replaced_without_a_moment_in_which_something_does_not_count() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        let by_old = old.seal("keybound", TEXT).unwrap();
        let by_both = both.seal("keybound", TEXT).unwrap();
        assert_eq!(by_both, new.seal("keybound", TEXT).unwrap(), "the first one signs");
        assert_eq!(both.open("keybound", &by_old), Some(TEXT));
        assert_eq!(both.open("keybound", &by_both), Some(TEXT));
        assert_eq!(old.open("keybound", &by_both), None);
        assert_eq!(new.open("keybound", &by_old), None);
    }
}
