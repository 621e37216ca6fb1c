//! A Status List Token in the JWT format (draft-ietf-oauth-status-list §5.1, §8.3), from text to [`StatusList`].
//!
//! The signature comes before the list is inflated, so that a stranger's text costs little. `typ` sets it apart from every other JWT of
//! the same issuer (RFC 8725 §3.11): an access token is no list, nor the reverse.

use std::sync::Arc;

use super::inflate::{NotInflated, inflate};
use super::{StatusList, StatusPolicy, StatusRules};
use crate::decision::jose::algorithm::AlgorithmSet;
use crate::decision::jose::{Compact, Header, Map, NumericDate, Value, base64url};
use crate::decision::token::{Issuer, IssuerRules, Keyring};

/// What a list has around its entries: header, other claims, signature.
const AROUND_BYTES: usize = 64 * 1024;

/// Reads the list at one URI.
pub struct ListReader {
    rules: Arc<IssuerRules>,
    keys: Option<Arc<Keyring>>,
    uri: Arc<str>,
}

macro_rules! refusals {
    ($($variant:ident $words:literal)+) => {
        /// Why a text is no status list that counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ListRefused { $(#[doc = $words] $variant,)+ }

        impl ListRefused {
            /// For operators.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)+ }
            }
        }
    };
}

refusals! {
    Malformed "it is not one strict JWS with JSON objects in it, or is too large"
    CriticalHeader "it asks for an extension that is not understood"
    Type "its `typ` is not `statuslist+jwt`"
    Algorithm "its `alg` is not on the list of its signer"
    KeysUnavailable "the keys of its signer are not here"
    KeyUnknown "its signer has no key of that `kid` for that algorithm"
    Signature "its signature is wrong"
    Subject "its `sub` is not the URI that it was fetched from"
    Issuer "its `iss` is not its signer"
    Times "a time of it is missing, is none, or is in the future"
    Expired "it has expired"
    Ttl "its `ttl` is not a number above 0"
    Entries "its `status_list` has no `bits` of 1, 2, 4 or 8, or no `lst` in base64url"
    Stream "its `lst` is not one whole zlib stream"
    TooLarge "it has more bytes than `max_kibibytes` allows once it is inflated"
}

impl ListReader {
    /// Reads the list at this URI for tokens of this issuer; none if no list counts for them.
    #[must_use]
    pub fn of(issuer: &Issuer, uri: &Arc<str>) -> Option<Self> {
        let keys = issuer.status_keys().cloned();
        let reader = Self { rules: Arc::clone(&issuer.rules), keys, uri: Arc::clone(uri) };
        reader.status().is_some().then_some(reader)
    }

    fn status(&self) -> Option<&StatusRules> {
        match &self.rules.status {
            StatusPolicy::Checked(rules) => Some(rules),
            StatusPolicy::Unchecked | StatusPolicy::Ignored => None,
        }
    }

    /// How long a text may be: entries that cannot be compressed, in base64url twice.
    #[must_use]
    pub fn most_text_bytes(&self) -> usize {
        let entries = self.status().map_or(0, |status| status.most_bytes);
        entries.saturating_mul(2).saturating_add(AROUND_BYTES)
    }

    /// Reads it. `now` is Unix seconds.
    ///
    /// # Errors
    /// [`ListRefused`].
    pub fn read(&self, text: &[u8], now: i64) -> Result<StatusList, ListRefused> {
        let status = self.status().ok_or(ListRefused::KeysUnavailable)?;
        let jws = Compact::parse(text, self.most_text_bytes()).map_err(|_| ListRefused::Malformed)?;
        let header = Header::read(&jws.header).map_err(|_| ListRefused::Malformed)?;
        if header.asks_for_extension {
            return Err(ListRefused::CriticalHeader);
        }
        if !matches!(header.token_type, Some("statuslist+jwt" | "application/statuslist+jwt")) {
            return Err(ListRefused::Type);
        }
        let (signer, algorithms) = match &status.signer {
            Some(signer) => (&signer.issuer, &signer.algorithms),
            None => (&self.rules.issuer, &self.rules.algorithms),
        };
        let key = self.signed_by(&jws, &header, algorithms)?;
        let claims = &jws.payload;
        if claims.get("sub").and_then(Value::as_str) != Some(&*self.uri) {
            return Err(ListRefused::Subject);
        }
        if claims.get("iss").is_some_and(|issuer| issuer.as_str() != Some(signer)) {
            return Err(ListRefused::Issuer);
        }
        let (issued, expires) = self.times(claims, now)?;
        let ttl = claims.get("ttl").map(|ttl| seconds(ttl).ok_or(ListRefused::Ttl)).transpose()?;
        let (bits, entries) = entries(claims, status.most_bytes)?;
        let (uri, rules) = (Arc::clone(&self.uri), Arc::clone(&self.rules));
        Ok(StatusList { uri, rules, key, bits, entries, issued, expires, ttl })
    }

    /// The thumbprint of the key that verifies it.
    fn signed_by(
        &self,
        jws: &Compact<'_>,
        header: &Header<'_>,
        algorithms: &AlgorithmSet,
    ) -> Result<[u8; 32], ListRefused> {
        let algorithm = header.algorithm.filter(|algorithm| algorithms.contains(*algorithm));
        let algorithm = algorithm.ok_or(ListRefused::Algorithm)?;
        let keys = self.keys.as_ref().ok_or(ListRefused::KeysUnavailable)?;
        let mut candidates = keys.candidates(header.key_id, algorithm).peekable();
        if candidates.peek().is_none() {
            return Err(ListRefused::KeyUnknown);
        }
        let verified = candidates.find(|(_, key)| key.verifies(algorithm, jws.signing_input, &jws.signature));
        verified.map(|(_, key)| *key.thumbprint()).ok_or(ListRefused::Signature)
    }

    /// When it was issued, and when it runs out.
    fn times(&self, claims: &Map, now: i64) -> Result<(i64, Option<i64>), ListRefused> {
        let date = |name: &str| claims.get(name).map(|value| NumericDate::read(value).ok_or(ListRefused::Times));
        let latest = now.saturating_add(self.rules.future_skew_seconds);
        let issued = date("iat").ok_or(ListRefused::Times)??;
        let not_before = date("nbf").transpose()?;
        if issued.ceil > latest || not_before.is_some_and(|date| date.ceil > latest) {
            return Err(ListRefused::Times);
        }
        let end = |date: NumericDate| date.floor.saturating_add(self.rules.expiry_skew_seconds);
        let expires = date("exp").transpose()?.map(end);
        if expires.is_some_and(|end| now >= end) {
            return Err(ListRefused::Expired);
        }
        Ok((issued.floor, expires))
    }
}

/// A time to live: above 0, rounded down.
fn seconds(value: &Value) -> Option<u64> {
    let date = NumericDate::read(value)?;
    if date.ceil > 0 { u64::try_from(date.floor).ok() } else { None }
}

/// How wide an entry is, and all of them.
fn entries(claims: &Map, most: usize) -> Result<(u8, Box<[u8]>), ListRefused> {
    let list = claims.get("status_list").and_then(Value::as_object).ok_or(ListRefused::Entries)?;
    let bits = match list.get("bits") {
        Some(Value::Number(number)) => number.as_u64().and_then(|bits| u8::try_from(bits).ok()),
        _ => None,
    };
    let bits = bits.filter(|bits| matches!(bits, 1 | 2 | 4 | 8)).ok_or(ListRefused::Entries)?;
    let text = list.get("lst").and_then(Value::as_str).ok_or(ListRefused::Entries)?;
    let stream = base64url(text.as_bytes()).ok_or(ListRefused::Entries)?;
    let inflated = inflate(&stream, most).map_err(|why| match why {
        NotInflated::TooLarge => ListRefused::TooLarge,
        NotInflated::Broken | NotInflated::Trailing => ListRefused::Stream,
    })?;
    Ok((bits, inflated.into_boxed_slice()))
}
