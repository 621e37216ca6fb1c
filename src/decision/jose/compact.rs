//! The JWS compact serialisation (RFC 7515 §7.1), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Map, parse_object};

/// A JWS whose parts are canonical base64url and whose header and payload are JSON objects. Nothing is verified.
pub struct Compact<'t> {
    /// The protected header.
    pub header: Map,
    /// The payload.
    pub payload: Map,
    /// The payload's bytes.
    pub payload_bytes: Vec<u8>,
    /// What is signed: `header.payload`, as sent.
    pub signing_input: &'t [u8],
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

/// The text is not such a JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCompact;

impl<'t> Compact<'t> {
    /// Reads one of at most `limit` bytes.
    ///
    /// # Errors
    /// [`NotCompact`]: too long, not three parts (a JWE has five), not canonical base64url, or not JSON objects.
    pub fn parse(text: &'t [u8], limit: usize) -> Result<Self, NotCompact> {
        // The cap comes before the split: a million dots cost nothing.
        if text.len() > limit {
            return Err(NotCompact);
        }
        let mut parts = text.splitn(4, |byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotCompact);
        };
        let signed = header.len().checked_add(1).and_then(|length| length.checked_add(payload.len()));
        let signing_input = signed.and_then(|length| text.get(..length)).ok_or(NotCompact)?;
        let object = |bytes: &[u8]| parse_object(bytes).map_err(|_| NotCompact);
        let header = object(&base64url(header).ok_or(NotCompact)?)?;
        let payload_bytes = base64url(payload).ok_or(NotCompact)?;
        Ok(Self {
            header,
            payload: object(&payload_bytes)?,
            payload_bytes,
            signing_input,
            signature: base64url(signature).filter(|bytes| !bytes.is_empty()).ok_or(NotCompact)?,
        })
    }
}

/// Whether a text has the shape of a JWS in the compact serialisation: exactly two dots, and before the first of them canonical
/// base64url of something that begins with `{`. Whatever has it is read as one, and as nothing else.
#[must_use]
pub fn is_compact_shaped(text: &[u8]) -> bool {
    let mut dots = memchr::memchr_iter(b'.', text);
    let (Some(first), Some(_), None) = (dots.next(), dots.next(), dots.next()) else { return false };
    text.get(..first).and_then(base64url).is_some_and(|header| header.first() == Some(&b'{'))
}

/// Canonical base64url without padding (RFC 7515 §2): no `=`, no `+/`, no white space, no stray trailing bits.
#[must_use]
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A SHA-256 value in base64url: exactly 43 characters.
#[must_use]
pub fn base64url_32(text: &str) -> Option<[u8; 32]> {
    base64url(text.as_bytes())?.try_into().ok()
}

/// Bytes in base64url without padding.
#[must_use]
pub fn base64url_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(), NotCompact> {
        Compact::parse(text.as_bytes(), 1000).map(|_| ())
    }

    #[test]
    fn only_three_canonical_parts_are_read() {
        // {"a":1} . {"b":2} . 0x01
        assert_eq!(parse("eyJhIjoxfQ.eyJiIjoyfQ.AQ"), Ok(()));
        for bad in [
            "",
            ".",
            "..",
            "...",
            "eyJhIjoxfQ.eyJiIjoyfQ",
            "eyJhIjoxfQ.eyJiIjoyfQ.",
            "eyJhIjoxfQ.eyJiIjoyfQ.AQ.AQ",
            "eyJhIjoxfQ.eyJiIjoyfQ.AQ.AQ.AQ",
            "eyJhIjoxfQ==.eyJiIjoyfQ.AQ",
            "eyJhIjoxfQ.eyJiIjoyfQ.AR",
            "eyJhIjoxfQ.eyJiIjoyfQ.A+",
            "eyJhIjoxfQ.eyJiIjoyfQ.A Q",
            "eyJhIjoxfQ.W10.AQ",
            " eyJhIjoxfQ.eyJiIjoyfQ.AQ",
            "eyJhIjoxfQ.eyJiIjoyfQ.AQ\n",
            "{\"payload\":\"eyJiIjoyfQ\"}",
        ] {
            assert_eq!(parse(bad), Err(NotCompact), "{bad}");
        }
    }

    #[test]
    fn a_shape_is_two_dots_and_a_brace() {
        for shaped in ["eyJhIjoxfQ.eyJiIjoyfQ.AQ", "eyJhIjoxfQ..", "ew.x.y", "eyJhIjoxfQ.~.="] {
            assert!(is_compact_shaped(shaped.as_bytes()), "{shaped}");
        }
        for other in [
            "",
            "opaque",
            "a.b.c",
            "eyJhIjoxfQ.eyJiIjoyfQ",
            "eyJhIjoxfQ.eyJiIjoyfQ.AQ.AQ",
            "eyJhIjoxfQ.a.b.c.d",
            "IHsiYSI6MX0.eyJiIjoyfQ.AQ",
            "eyJhIjoxfQ=.eyJiIjoyfQ.AQ",
            ".eyJhIjoxfQ.eyJiIjoyfQ",
        ] {
            assert!(!is_compact_shaped(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn length_is_capped_before_anything_is_split() {
        let dots = ".".repeat(1_000_000);
        assert_eq!(parse(&dots), Err(NotCompact));
    }

    #[test]
    fn a_thumbprint_is_exactly_43_characters() {
        let good = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
        assert!(base64url_32(good).is_some());
        for bad in [
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0=",
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v",
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v1",
            "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0A",
            "",
        ] {
            assert!(base64url_32(bad).is_none(), "{bad}");
        }
    }
}
