//! The checks of a DPoP proof, numbered as in RFC 9449 §4.3; the cheap ones run before the signature.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Occasion;
use crate::decision::denial::Denial;
use crate::decision::jose::{Compact, Header, KeyDenial, Map, NumericDate, PublicKey, Value, base64url_32};
use crate::decision::limits;
use crate::decision::target;

/// A proof that is good for this request, token and key. It may have been seen before.
pub struct CheckedProof {
    token_id: String,
    issued: NumericDate,
    key_thumbprint: [u8; 32],
    nonce: Option<Nonce>,
    carries_nonce: bool,
}

/// A proof that is good for this request and the token as it was sent. Nobody has compared its key with the token's.
pub struct ProofOfSomeKey(CheckedProof);

/// A nonce of ours that a proof carried.
#[derive(Clone, Copy)]
struct Nonce {
    minted: i64,
    past_half_life: bool,
}

impl CheckedProof {
    /// `jti`.
    pub(super) fn token_id(&self) -> &str {
        &self.token_id
    }

    /// `iat`.
    pub(super) fn issued(&self) -> NumericDate {
        self.issued
    }

    /// Whether it carries a nonce, asked for or not.
    pub(super) fn carries_nonce(&self) -> bool {
        self.carries_nonce
    }

    /// When the nonce it carries was minted.
    pub(super) fn nonce_minted(&self) -> Option<i64> {
        self.nonce.map(|nonce| nonce.minted)
    }

    /// The RFC 7638 thumbprint of its key.
    #[must_use]
    pub fn key_thumbprint(&self) -> &[u8; 32] {
        &self.key_thumbprint
    }

    /// How long ago it was made, seconds; 0 if it is slightly ahead.
    #[must_use]
    pub fn age_seconds(&self, now: i64) -> i64 {
        now.saturating_sub(self.issued.floor).max(0)
    }

    /// Whether the client should be given a fresh nonce with the answer (RFC 9449 §8.2).
    #[must_use]
    pub fn wants_fresh_nonce(&self) -> bool {
        self.nonce.is_some_and(|nonce| nonce.past_half_life)
    }
}

/// Checks a proof against the request, the token and the key that the token names.
///
/// # Errors
/// A denial whose name begins with `proof_`.
pub fn check(proof: &[u8], bound_key: &[u8; 32], occasion: &Occasion<'_, '_>) -> Result<CheckedProof, Denial> {
    check_for(proof, Some(bound_key), occasion)
}

/// Checks a proof against the request and the text of the token, where nobody knows yet which key the token names.
///
/// # Errors
/// A denial whose name begins with `proof_`.
pub fn check_of_some_key(proof: &[u8], occasion: &Occasion<'_, '_>) -> Result<ProofOfSomeKey, Denial> {
    check_for(proof, None, occasion).map(ProofOfSomeKey)
}

impl ProofOfSomeKey {
    /// RFC 9449 §4.3 (12b), now that the key is known.
    ///
    /// # Errors
    /// `proof_key_mismatch`.
    pub fn of_key(self, bound_key: &[u8; 32]) -> Result<CheckedProof, Denial> {
        must_be(&self.0.key_thumbprint, bound_key).map(|()| self.0)
    }
}

fn must_be(thumbprint: &[u8; 32], bound_key: &[u8; 32]) -> Result<(), Denial> {
    verify_slices_are_equal(thumbprint, bound_key).map_err(|_| Denial::ProofKeyMismatch)
}

fn check_for(proof: &[u8], bound_key: Option<&[u8; 32]>, occasion: &Occasion<'_, '_>) -> Result<CheckedProof, Denial> {
    // (1) one header field: `credential`. (2) well formed.
    let jws = Compact::parse(proof, limits::PROOF_BYTES).map_err(|_| Denial::ProofMalformed)?;
    let header = Header::read(&jws.header).map_err(|_| Denial::ProofMalformed)?;
    if header.asks_for_extension {
        return Err(Denial::ProofMalformed);
    }
    // (4) exactly this type; RFC 8725 §3.11.
    if header.token_type != Some("dpop+jwt") {
        return Err(Denial::ProofTypeUnexpected);
    }
    // (5)
    let algorithm = header.algorithm.filter(|algorithm| occasion.proofs.algorithms.contains(*algorithm));
    let algorithm = algorithm.ok_or(Denial::ProofAlgorithmForbidden)?;
    // (3) required claims, each of its type.
    let claims = Claims::read(&jws.payload)?;
    // (8) methods are case-sensitive (RFC 9110 §9.1). (9)
    if claims.method != occasion.facts.method() {
        return Err(Denial::ProofMethodMismatch);
    }
    if !target::names(claims.target, occasion.route.origin(), occasion.facts.path()) {
        return Err(Denial::ProofTargetMismatch);
    }
    // (11)
    claims.check_times(occasion)?;
    // (12a) over the ASCII token as sent.
    verify_slices_are_equal(occasion.credential.token_hash(), &claims.token_hash)
        .map_err(|_| Denial::ProofTokenMismatch)?;
    // (7), (12b)
    let key = proof_key(&jws.header)?;
    if key.family() != algorithm.family() {
        return Err(Denial::ProofKeyForbidden);
    }
    if let Some(bound_key) = bound_key {
        must_be(key.thumbprint(), bound_key)?;
    }
    // (10)
    let nonce = claims.check_nonce(occasion)?;
    // (6)
    if !key.verifies(algorithm, jws.signing_input, &jws.signature) {
        return Err(Denial::ProofSignatureInvalid);
    }
    Ok(CheckedProof {
        token_id: claims.token_id.to_owned(),
        issued: claims.issued,
        key_thumbprint: *key.thumbprint(),
        nonce,
        carries_nonce: claims.nonce.is_some(),
    })
}

fn proof_key(header: &Map) -> Result<PublicKey, Denial> {
    let jwk = header.get("jwk").and_then(Value::as_object).ok_or(Denial::ProofMalformed)?;
    PublicKey::from_jwk(jwk).map_err(|denial| match denial {
        KeyDenial::Private | KeyDenial::Unsupported | KeyDenial::Malformed => Denial::ProofKeyForbidden,
    })
}

/// The claims of a proof (RFC 9449 §4.2), each of its type.
struct Claims<'p> {
    token_id: &'p str,
    method: &'p str,
    target: &'p str,
    issued: NumericDate,
    expires: Option<NumericDate>,
    not_before: Option<NumericDate>,
    token_hash: [u8; 32],
    nonce: Option<&'p Value>,
}

impl<'p> Claims<'p> {
    fn read(payload: &'p Map) -> Result<Self, Denial> {
        let text = |name: &str, limit: usize| {
            let text = payload.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty() && text.len() <= limit).ok_or(Denial::ProofMalformed)
        };
        let date = |name: &str| {
            payload.get(name).map(|value| NumericDate::read(value).ok_or(Denial::ProofMalformed)).transpose()
        };
        let token_hash = text("ath", limits::IDENTIFIER_BYTES)?;
        Ok(Self {
            token_id: text("jti", limits::JTI_BYTES)?,
            method: text("htm", limits::METHOD_BYTES)?,
            target: text("htu", limits::HTU_BYTES)?,
            issued: date("iat")?.ok_or(Denial::ProofMalformed)?,
            expires: date("exp")?,
            not_before: date("nbf")?,
            // A value that is no SHA-256 in base64url is of no token at all.
            token_hash: base64url_32(token_hash).ok_or(Denial::ProofTokenMismatch)?,
            nonce: payload.get("nonce"),
        })
    }

    /// RFC 9449 §11.1; RFC 7519 §4.1.4 and §4.1.5 where a proof has these claims. With nonces the nonce judges time.
    fn check_times(&self, occasion: &Occasion<'_, '_>) -> Result<(), Denial> {
        let (age, ahead) = window_seconds(occasion);
        let latest = occasion.now.saturating_add(ahead);
        if occasion.now.saturating_sub(self.issued.floor) > age
            || self.expires.is_some_and(|date| occasion.now >= date.floor)
        {
            return Err(Denial::ProofStale);
        }
        if self.issued.ceil > latest || self.not_before.is_some_and(|date| date.ceil > latest) {
            return Err(Denial::ProofFromFuture);
        }
        Ok(())
    }

    /// RFC 9449 §9: one of ours, for this API, still good.
    fn check_nonce(&self, occasion: &Occasion<'_, '_>) -> Result<Option<Nonce>, Denial> {
        let api = occasion.route.api();
        if !api.nonces {
            return Ok(None);
        }
        let nonce = self.nonce.and_then(Value::as_str).ok_or(Denial::ProofNonceRequired)?;
        let minted = occasion.nonces.minted(nonce, &api.id).ok_or(Denial::ProofNonceRequired)?;
        let age = occasion.now.saturating_sub(minted);
        let life = occasion.proofs.nonce_lifetime_seconds;
        // Another replica's clock may be ahead of ours.
        if age > life || age < occasion.proofs.future_skew_seconds.saturating_neg() {
            return Err(Denial::ProofNonceRequired);
        }
        Ok(Some(Nonce { minted, past_half_life: age > life.checked_div(2).unwrap_or(life) }))
    }
}

/// How far `iat` may be in the past and in the future.
pub(super) fn window_seconds(occasion: &Occasion<'_, '_>) -> (i64, i64) {
    if occasion.route.api().nonces {
        (limits::NONCE_IAT_WINDOW_SECONDS, limits::NONCE_IAT_WINDOW_SECONDS)
    } else {
        (occasion.proofs.max_age_seconds, occasion.proofs.future_skew_seconds)
    }
}
