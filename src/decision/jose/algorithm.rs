//! The signature algorithms we know (RFC 7518 §3.1, RFC 8037, RFC 9864), and sets of them.
//!
//! Asymmetric only: `none` and the HMAC family have no variant, so no list can name them (RFC 8725 §3.1, §3.2).

use core::fmt;

/// A JWS signature algorithm, by its `alg` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// `EdDSA` (RFC 8037); with us always over the curve Ed25519.
    EdDsa,
    /// The fully specified name of the same algorithm (RFC 9864 §2.2).
    Ed25519,
}

/// The key family an algorithm works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFamily {
    /// EC key on P-256.
    P256,
    /// EC key on P-384.
    P384,
    /// RSA key of 2048 to 8192 bits.
    Rsa,
    /// OKP key on Ed25519.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm, in the order in which lists are printed.
    pub const ALL: [Self; 10] = [
        Self::Es256,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::EdDsa,
        Self::Ed25519,
    ];

    /// The registered name, compared exactly: `alg` is case-sensitive (RFC 7515 §4.1.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm of that exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The keys this algorithm works with.
    #[must_use]
    pub const fn family(self) -> KeyFamily {
        match self {
            Self::Es256 => KeyFamily::P256,
            Self::Es384 => KeyFamily::P384,
            Self::Ps256 | Self::Ps384 | Self::Ps512 | Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyFamily::Rsa,
            Self::EdDsa | Self::Ed25519 => KeyFamily::Ed25519,
        }
    }
}

/// A set of algorithms: what one issuer, or all proofs, may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmSet(Vec<Algorithm>);

impl AlgorithmSet {
    /// FAPI 2.0 Security Profile §5.4.1, in both names of Ed25519.
    pub const FAPI2: [Algorithm; 4] = [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Ed25519];
    /// Access tokens, unless the operator names others.
    pub const TOKENS: [Algorithm; 6] =
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Ps256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Ed25519];
    /// DPoP proofs, unless the operator names others. Not ES384: a check costs four times as much,
    /// and the sender chooses the key.
    pub const PROOFS: [Algorithm; 4] = Self::FAPI2;

    /// A set of these; order and repetition do not matter.
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let mut list = algorithms.to_vec();
        list.sort_unstable();
        list.dedup();
        Self(list)
    }

    /// Whether the set has it.
    #[must_use]
    pub fn contains(&self, algorithm: Algorithm) -> bool {
        self.0.contains(&algorithm)
    }

    /// Each member, sorted.
    pub fn iter(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.0.iter().copied()
    }
}

/// Space-delimited, as the `algs` parameter of a challenge wants it (RFC 9449 §7.1).
impl fmt::Display for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, algorithm) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(algorithm.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_and_no_symmetric_name_is_known() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for name in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "ES256K", "ES512"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_prints_as_a_space_delimited_list() {
        let set = AlgorithmSet::new(&[Algorithm::Ps256, Algorithm::Es256, Algorithm::Es256]);
        assert_eq!(set.to_string(), "ES256 PS256");
    }
}
