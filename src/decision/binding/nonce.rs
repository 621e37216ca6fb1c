//! Resource-server nonces (RFC 9449 §8, §9): stateless, a MAC over the minting time and the API.
//!
//! Any replica that holds the key verifies them. They are unpredictable without the key, fit 1*NQCHAR (RFC 9449 §8.1), and are
//! good for one API until they are old; using one twice is fine, the proof's `jti` is what is spent.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decision::jose::base64url;
use crate::decision::limits;

/// The keys of our nonces: the first mints, all verify, so that a new key can spread before it mints.
pub struct NonceKeys {
    minting: Key,
    others: Vec<Key>,
}

const TIME_BYTES: usize = 8;
/// 128 bits: nobody guesses one within a nonce's life.
const TAG_BYTES: usize = 16;

impl NonceKeys {
    /// Keys of at least 32 bytes of randomness each.
    #[must_use]
    pub fn new(minting: &[u8], others: &[Vec<u8>]) -> Self {
        let key = |secret: &[u8]| Key::new(HMAC_SHA256, secret);
        Self { minting: key(minting), others: others.iter().map(|secret| key(secret)).collect() }
    }

    /// A nonce for an API, minted now (Unix seconds).
    #[must_use]
    pub fn mint(&self, api: &str, now: i64) -> String {
        let time = now.to_be_bytes();
        let mut nonce = time.to_vec();
        nonce.extend_from_slice(&tag(&self.minting, time, api));
        URL_SAFE_NO_PAD.encode(nonce)
    }

    /// When a nonce of this API was minted; `None` if it is not one of ours.
    #[must_use]
    pub fn minted(&self, nonce: &str, api: &str) -> Option<i64> {
        if nonce.len() > limits::NONCE_BYTES {
            return None;
        }
        let bytes = base64url(nonce.as_bytes())?;
        let (time, presented) = bytes.split_at_checked(TIME_BYTES)?;
        let time: [u8; TIME_BYTES] = time.try_into().ok()?;
        let ours = core::iter::once(&self.minting)
            .chain(&self.others)
            .any(|key| aws_lc_rs::constant_time::verify_slices_are_equal(&tag(key, time, api), presented).is_ok());
        ours.then(|| i64::from_be_bytes(time))
    }
}

fn tag(key: &Key, time: [u8; TIME_BYTES], api: &str) -> Vec<u8> {
    let message = [b"keybound dpop nonce 1\0".as_slice(), &time, api.as_bytes()].concat();
    let mut tag = sign(key, &message).as_ref().to_vec();
    tag.truncate(TAG_BYTES);
    tag
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn dp_17_a_nonce_is_ours_for_one_api_and_unchanged() {
        let keys = NonceKeys::new(&[1; 32], &[]);
        let nonce = keys.mint("payments", 1_000);
        assert_eq!(keys.minted(&nonce, "payments"), Some(1_000));
        assert_eq!(keys.minted(&nonce, "accounts"), None);
        assert_eq!(keys.minted("", "payments"), None);
        assert_eq!(keys.minted(&nonce.to_ascii_lowercase(), "payments"), None);
        assert_eq!(keys.minted(&"A".repeat(limits::NONCE_BYTES + 1), "payments"), None);
        for index in 0..nonce.len() {
            let mut changed: Vec<char> = nonce.chars().collect();
            let character = changed.get_mut(index).unwrap();
            *character = if *character == 'A' { 'B' } else { 'A' };
            let changed: String = changed.into_iter().collect();
            assert!(changed == nonce || keys.minted(&changed, "payments").is_none(), "{index}");
        }
    }

    #[test]
    fn dp_19_nonces_are_nqchar() {
        let nonce = NonceKeys::new(&[1; 32], &[]).mint("payments", i64::MAX);
        assert!(nonce.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
    }

    #[test]
    fn dp_21_a_previous_key_still_verifies_and_another_one_does_not() {
        let old = NonceKeys::new(&[1; 32], &[]).mint("a", 5);
        assert_eq!(NonceKeys::new(&[2; 32], &[vec![1; 32]]).minted(&old, "a"), Some(5));
        assert_eq!(NonceKeys::new(&[2; 32], &[]).minted(&old, "a"), None);
    }
}
