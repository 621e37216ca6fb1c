//! What the client presents: one scheme with exactly the headers it needs. Nothing is verified yet.
//!
//! RFC 6750 §2, RFC 9449 §7.1 and §7.2. A comma in a value is two headers that a proxy has joined. A token in the query is
//! never read; beside a header token it makes the request ambiguous.

use crate::decision::denial::Denial;
use crate::decision::facts::RequestFacts;
use crate::decision::jose::{is_compact_shaped, sha256};
use crate::decision::limits;

/// The authentication scheme in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

/// A supported scheme with exactly the headers it needs.
pub struct PresentedCredential<'a> {
    scheme: Scheme,
    token: &'a [u8],
    token_hash: [u8; 32],
    proof: Result<Option<&'a [u8]>, Denial>,
}

impl<'a> PresentedCredential<'a> {
    /// The scheme in use.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The access token as sent.
    #[must_use]
    pub fn token(&self) -> &'a [u8] {
        self.token
    }

    /// SHA-256 of the access token as sent: its name among tokens, and what `ath` is compared with (RFC 9449 §4.2).
    #[must_use]
    pub fn token_hash(&self) -> &[u8; 32] {
        &self.token_hash
    }

    /// What the token's text is called.
    #[must_use]
    pub fn text(&self) -> TokenText<'a> {
        TokenText { text: self.token, hash: self.token_hash }
    }

    /// The one proof, under the scheme `DPoP`. `None` under `Bearer`, where a stray proof is ignored.
    ///
    /// # Errors
    /// The denial that the binding step answers: no proof, or several.
    pub fn proof(&self) -> Result<Option<&'a [u8]>, Denial> {
        self.proof
    }
}

/// The text of a token that was presented, and its name. Says nothing of what it is worth.
#[derive(Clone, Copy)]
pub struct TokenText<'a> {
    text: &'a [u8],
    hash: [u8; 32],
}

impl TokenText<'_> {
    /// SHA-256 of all of it.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// SHA-256 of a JWT up to its signature. The signature can be another one and as good: of ECDSA each has a twin (`s` and `n − s`).
    #[must_use]
    pub fn signed_hash(&self) -> Option<[u8; 32]> {
        is_compact_shaped(self.text).then_some(())?;
        let end = self.text.iter().rposition(|byte| *byte == b'.')?;
        self.text.get(..end).map(sha256)
    }
}

/// Reads the credential of a request.
///
/// # Errors
/// A denial of class `credential`, or `request_limit_exceeded`.
pub fn present<'a>(facts: &RequestFacts<'a>) -> Result<PresentedCredential<'a>, Denial> {
    let value = match facts.authorization() {
        [] => return Err(Denial::CredentialMissing),
        [one] => *one,
        _ => return Err(Denial::CredentialRepeated),
    };
    if memchr::memchr(b',', value).is_some() {
        return Err(Denial::CredentialRepeated);
    }
    let (scheme, token) = scheme_and_token(value)?;
    if token.len() > limits::TOKEN_BYTES {
        return Err(Denial::RequestLimitExceeded);
    }
    if !is_token68(token) {
        return Err(Denial::CredentialMalformed);
    }
    if facts.has_parameter("access_token") {
        return Err(Denial::CredentialRepeated);
    }
    let proof = match (scheme, facts.dpop()) {
        (Scheme::Bearer, _) => Ok(None),
        (Scheme::Dpop, []) => Err(Denial::ProofMissing),
        (Scheme::Dpop, [one]) if !one.contains(&b',') => Ok(Some(*one)),
        (Scheme::Dpop, _) => Err(Denial::ProofDuplicated),
    };
    Ok(PresentedCredential { scheme, token, token_hash: sha256(token), proof })
}

/// RFC 9110 §11.4: `auth-scheme 1*SP token68`; the scheme's case does not count.
fn scheme_and_token(value: &[u8]) -> Result<(Scheme, &[u8]), Denial> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (name, rest) = value.split_at_checked(end).ok_or(Denial::CredentialMalformed)?;
    let scheme = if name.eq_ignore_ascii_case(b"DPoP") {
        Scheme::Dpop
    } else if name.eq_ignore_ascii_case(b"Bearer") {
        Scheme::Bearer
    } else if name.is_empty() || name.contains(&b'\t') {
        return Err(Denial::CredentialMalformed);
    } else {
        return Err(Denial::CredentialSchemeUnsupported);
    };
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    Ok((scheme, rest.get(spaces..).unwrap_or_default()))
}

/// RFC 9110 §11.2: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = token.get(..token.len().saturating_sub(padding)).unwrap_or_default();
    // All of them are looked at, whatever the first is: then the compiler looks at many at once.
    let letter = |byte: u8| (byte | 0x20).wrapping_sub(b'a') < 26;
    let digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
    let is = |byte: u8, mark: u8| byte == mark;
    let mark =
        |byte: u8| is(byte, b'-') | is(byte, b'.') | is(byte, b'_') | is(byte, b'~') | is(byte, b'+') | is(byte, b'/');
    !body.is_empty() && body.iter().fold(true, |all, byte| all & (letter(*byte) | digit(*byte) | mark(*byte)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::decision::facts::RawRequest;

    fn presented<'a>(headers: &[(&'a str, &'a str)], path: &'a str) -> Result<PresentedCredential<'a>, Denial> {
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let raw =
            RawRequest { method: b"GET", host: b"a.test", path: path.as_bytes(), headers, ..RawRequest::default() };
        present(&RequestFacts::new("edge", &raw).unwrap())
    }

    fn denied(headers: &[(&str, &str)]) -> Option<Denial> {
        presented(headers, "/").err()
    }

    #[test]
    fn a_token68_is_made_of_its_own_bytes_alone() {
        for byte in u8::MIN..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68(&[b'a', byte, b'a']), expected, "{byte}");
        }
    }

    #[test]
    fn dp_33_scheme_and_token68_are_read_strictly() {
        for (value, scheme) in [
            ("DPoP t", Scheme::Dpop),
            ("dpop t", Scheme::Dpop),
            ("DPOP  t", Scheme::Dpop),
            ("bEaReR t==", Scheme::Bearer),
            ("  Bearer t  ", Scheme::Bearer),
        ] {
            let credential = presented(&[("authorization", value), ("dpop", "p")], "/").unwrap();
            assert_eq!(credential.scheme(), scheme, "{value}");
        }
        for value in [
            "DPoP",
            "DPoP ",
            "Bearer",
            "DPoP\tt",
            "Bearer t u",
            "Bearer t;u",
            "Bearer =",
            "Bearer t=u",
            "Bearer \u{e9}",
            "",
        ] {
            assert_eq!(
                denied(&[("authorization", value), ("dpop", "p")]),
                Some(Denial::CredentialMalformed),
                "{value}"
            );
        }
    }

    #[test]
    fn br_08_other_schemes_are_unsupported_and_none_is_missing() {
        assert_eq!(denied(&[("authorization", "Basic abc")]), Some(Denial::CredentialSchemeUnsupported));
        assert_eq!(denied(&[]), Some(Denial::CredentialMissing));
        assert_eq!(denied(&[("proxy-authorization", "DPoP t")]), Some(Denial::CredentialMissing));
    }

    #[test]
    fn two_credentials_are_one_too_many() {
        assert_eq!(
            denied(&[("authorization", "DPoP t"), ("Authorization", "DPoP t")]),
            Some(Denial::CredentialRepeated)
        );
        assert_eq!(denied(&[("authorization", "DPoP t,Bearer u")]), Some(Denial::CredentialRepeated));
    }

    #[test]
    fn dp_01_the_proof_is_exactly_one() {
        let proof = |proofs: &[(&'static str, &'static str)]| {
            presented(&[&[("authorization", "DPoP t")], proofs].concat(), "/").unwrap().proof()
        };
        assert_eq!(proof(&[("dpop", "a")]), Ok(Some(&b"a"[..])));
        assert_eq!(proof(&[]), Err(Denial::ProofMissing));
        assert_eq!(proof(&[("dpop", "a"), ("DPOP", "b")]), Err(Denial::ProofDuplicated));
        assert_eq!(proof(&[("dpop", "a,b")]), Err(Denial::ProofDuplicated));
        let stray = presented(&[("authorization", "Bearer t"), ("dpop", "a"), ("dpop", "b")], "/").unwrap();
        assert_eq!(stray.proof(), Ok(None), "a stray proof beside Bearer is ignored");
    }

    #[test]
    fn br_02_a_query_token_beside_a_header_token_is_refused() {
        for path in [
            "/?access_token=x",
            "/?a=b&access_token",
            "/?%61ccess_token=x",
            "/?a;access_token=x",
            "/?access%5Ftoken=",
            "/?access_token=x&access_token=y",
        ] {
            assert_eq!(
                presented(&[("authorization", "Bearer t")], path).err(),
                Some(Denial::CredentialRepeated),
                "{path}"
            );
            assert_eq!(presented(&[], path).err(), Some(Denial::CredentialMissing), "{path}");
        }
        for path in ["/?Access_token=x", "/?access_tokens=x", "/?x=access_token", "/?access_toke", "/?%6=x"] {
            assert!(presented(&[("authorization", "Bearer t")], path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_token_over_the_limit_is_refused_unread() {
        let value = |length: usize| format!("Bearer {}", "a".repeat(length));
        assert!(presented(&[("authorization", &value(limits::TOKEN_BYTES))], "/").is_ok());
        assert_eq!(
            denied(&[("authorization", &value(limits::TOKEN_BYTES.saturating_add(1)))]),
            Some(Denial::RequestLimitExceeded)
        );
    }
}
