//! Access tokens.

use crate::decision::jose::algorithm::AlgorithmSet;

/// What one issuer's access tokens must look like. Made by `config/`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRules {
    /// The `iss` value, compared exactly.
    pub issuer: String,
    /// Audiences that are ours: a token must name one (RFC 9068 §4). An API may only narrow them.
    pub audiences: Vec<String>,
    /// The signature algorithms its tokens may use.
    pub algorithms: AlgorithmSet,
    /// `now ≥ exp + skew` is expired. 0 to 60, seconds.
    pub expiry_skew_seconds: i64,
    /// How far `nbf` and `iat` may be ahead of our clock. 0 to 60, seconds.
    pub future_skew_seconds: i64,
    /// `exp − iat` at most, in seconds; an API may only narrow it.
    pub max_lifetime_seconds: Option<i64>,
    /// The claim that names the client (RFC 9068 §2.2: `client_id`).
    pub client_claim: String,
    /// The claim that lists the scopes, a space-delimited string (RFC 8693 §4.2) or an array of strings.
    pub scope_claim: String,
    /// Which `typ` its tokens carry.
    pub token_type: TokenType,
}

/// Which tokens of an issuer count as access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` or `application/at+jwt`, with every claim that RFC 9068 §2.2 requires.
    AtJwt,
    /// Also `JWT`, for an issuer that cannot do better: `sub` and `jti` may be absent. Its audiences must be
    /// distinct from those that its ID tokens carry.
    LegacyJwt,
}
