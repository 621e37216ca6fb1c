//! Binding.

use crate::decision::jose::algorithm::AlgorithmSet;

/// What every DPoP proof must look like. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofRules {
    /// The signature algorithms a proof may use; also what challenges list as `algs`.
    pub algorithms: AlgorithmSet,
    /// Without nonces: how old `iat` may be, seconds.
    pub max_age_seconds: i64,
    /// Without nonces: how far ahead `iat` may be, seconds.
    pub future_skew_seconds: i64,
    /// How long a nonce lives, seconds.
    pub nonce_lifetime_seconds: i64,
}
