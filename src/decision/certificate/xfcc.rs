//! `x-forwarded-client-cert`: the strict grammar (XF-01 to XF-05, XF-08) and the choice of the element (XF-06).
//!
//! Proves: what the chosen element says. Trusts: the last writer, our own Envoy; whoever wrote further left only if
//! every element right of it, and the direct peer, carries a listed identity. Refuses: the whole header for one byte
//! outside the grammar, since a quote left open by a client swallows what a proxy appends. `Subject` is never read for
//! its meaning (XF-12).
//!
//! What no reader can see: Envoy writes `URI`, `DNS` and `By` unescaped, so a certificate with a comma in such a name
//! writes elements of its own. Whoever issues certificates must not sign such names; Envoy must verify the chain.

use std::borrow::Cow;

use super::{CertificateDenial, KnownCertificates, Leaf, Shown, XfccRules, listed, pem, thumbprint};

/// The most bytes in all fields together. Envoy takes 60 KiB of headers unless told otherwise.
const MAX_FIELDS_BYTES: usize = 65_536;
/// The most elements: twice the highest hop count that the configuration takes.
const MAX_ELEMENTS: usize = 16;
/// The most pairs in one element: By, Hash, Cert, Chain, Subject, and a pair for each name in the certificate, of
/// which public authorities sign up to 100.
const MAX_PAIRS: usize = 128;

/// Reads the certificate of the chosen element; `Ok(None)` when the header is not there. The chain is decoded only
/// where it is wanted.
pub(super) fn read(
    rules: &XfccRules,
    fields: &[&[u8]],
    principal: &[u8],
    wants_chain: bool,
    known: &dyn KnownCertificates,
) -> Result<Option<Shown>, CertificateDenial> {
    if fields.is_empty() {
        return Ok(None);
    }
    let elements = elements(fields)?;
    let element = chosen(rules, &elements, principal)?;
    // With `By` and the hops the element reads well; it was only not written for us, or by nobody we know.
    if let Some(by) = &rules.by
        && !element.by.iter().any(|value| value.is(by.as_bytes()))
    {
        return Err(CertificateDenial::Untrusted);
    }
    shown(element, wants_chain, known).map(Some)
}

/// The element that many hops from the right, never one counted from the left (XF-06).
fn chosen<'e, 'a>(
    rules: &XfccRules,
    elements: &'e [Element<'a>],
    principal: &[u8],
) -> Result<&'e Element<'a>, CertificateDenial> {
    let index = elements.len().checked_sub(rules.hop).ok_or(CertificateDenial::Malformed)?;
    let Some((element, right)) = elements.get(index..).and_then(<[Element<'_>]>::split_first) else {
        return Err(CertificateDenial::Malformed);
    };
    // Left of the last element stands what the direct peer sent: only a peer that is listed may be believed, and
    // only as far as each further hop is listed too.
    if (rules.hop > 1 || !rules.trusted_hops.is_empty())
        && !(listed(&rules.trusted_hops, principal) && right.iter().all(|hop| hop.is_listed(&rules.trusted_hops)))
    {
        return Err(CertificateDenial::Untrusted);
    }
    Ok(element)
}

/// The certificate of an element. Computed from `Cert` when it is there; `Hash` must agree (XF-09).
fn shown(element: &Element<'_>, wants_chain: bool, known: &dyn KnownCertificates) -> Result<Shown, CertificateDenial> {
    let hash = match &element.hash {
        Some(value) => Some(thumbprint::from_hex(&value.text()).ok_or(CertificateDenial::Malformed)?),
        None => None,
    };
    let Some(value) = &element.certificate else {
        let thumbprint = hash.ok_or(CertificateDenial::Malformed)?;
        return Ok(Shown { thumbprint, leaf: None, chain: Vec::new() });
    };
    let leaf = Leaf::from_pem(&value.text(), known)?;
    if hash.is_some_and(|hash| hash != leaf.thumbprint) {
        return Err(CertificateDenial::Malformed);
    }
    let chain = match &element.chain {
        Some(value) if wants_chain => pem::chain(&value.text())?,
        Some(_) | None => Vec::new(),
    };
    Ok(Shown { thumbprint: leaf.thumbprint, leaf: Some(leaf), chain })
}

/// What one proxy wrote about its client.
#[derive(Default)]
struct Element<'a> {
    by: Vec<Value<'a>>,
    hash: Option<Value<'a>>,
    certificate: Option<Value<'a>>,
    chain: Option<Value<'a>>,
    subject: Option<Value<'a>>,
    uris: Vec<Value<'a>>,
}

impl<'a> Element<'a> {
    /// Keys are case-insensitive. What names the one certificate comes once (XF-04); its names, and those of the
    /// proxy, may be several (XF-03); other keys are not ours (XF-05).
    fn add(&mut self, key: &[u8], value: Value<'a>) -> Result<(), CertificateDenial> {
        let earlier = match key.to_ascii_lowercase().as_slice() {
            b"hash" => self.hash.replace(value),
            b"cert" => self.certificate.replace(value),
            b"chain" => self.chain.replace(value),
            b"subject" => self.subject.replace(value),
            b"by" => {
                self.by.push(value);
                None
            }
            b"uri" => {
                self.uris.push(value);
                None
            }
            _ => None,
        };
        if earlier.is_some() { Err(CertificateDenial::Malformed) } else { Ok(()) }
    }

    /// Whether the client that this element tells of has a listed identity.
    fn is_listed(&self, identities: &[String]) -> bool {
        self.uris.iter().any(|uri| listed(identities, &uri.text()))
    }
}

/// A value as it stands between its delimiters.
struct Value<'a> {
    raw: &'a [u8],
    quoted: bool,
}

impl<'a> Value<'a> {
    /// Without its quotes; `\"` is a quote. Other backslashes are text: Envoy puts RFC 2253 escapes in as they are.
    fn text(&self) -> Cow<'a, [u8]> {
        if !self.quoted || !self.raw.contains(&b'\\') {
            return Cow::Borrowed(self.raw);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        let mut bytes = self.raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\\' || bytes.peek() != Some(&b'"') {
                text.push(byte);
            }
        }
        Cow::Owned(text)
    }

    fn is(&self, expected: &[u8]) -> bool {
        *self.text() == *expected
    }
}

/// Every element of every field, in order. Several fields are one list (XF-11), but a quote ends in its own field.
fn elements<'a>(fields: &[&'a [u8]]) -> Result<Vec<Element<'a>>, CertificateDenial> {
    let bytes = fields.iter().fold(0_usize, |sum, field| sum.saturating_add(field.len()));
    if bytes > MAX_FIELDS_BYTES || fields.iter().any(|field| field.iter().any(u8::is_ascii_control)) {
        return Err(CertificateDenial::Malformed);
    }
    let mut elements = Vec::new();
    for field in fields {
        let mut rest = Some(*field);
        while let Some(text) = rest {
            if elements.len() == MAX_ELEMENTS {
                return Err(CertificateDenial::Malformed);
            }
            let (element, after) = element(text)?;
            elements.push(element);
            rest = after;
        }
    }
    Ok(elements)
}

/// `pair *( ";" pair )`, and what stands after the comma if there is one.
fn element(text: &[u8]) -> Result<(Element<'_>, Option<&[u8]>), CertificateDenial> {
    let mut element = Element::default();
    let mut rest = text;
    for _ in 0..MAX_PAIRS {
        let (key, value, after) = pair(rest)?;
        element.add(key, value)?;
        match after {
            [] => return Ok((element, None)),
            [b';', next @ ..] => rest = next,
            [b',', next @ ..] => return Ok((element, Some(next))),
            _ => return Err(CertificateDenial::Malformed),
        }
    }
    Err(CertificateDenial::Malformed)
}

/// Key, value, and what follows them.
type Pair<'a> = (&'a [u8], Value<'a>, &'a [u8]);

/// `key "=" ( raw / quoted )`.
fn pair(text: &[u8]) -> Result<Pair<'_>, CertificateDenial> {
    let (key, rest) = split_where(text, |byte| byte == b'=').ok_or(CertificateDenial::Malformed)?;
    if key.is_empty() || !key.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(CertificateDenial::Malformed);
    }
    match rest {
        [b'=', b'"', quoted @ ..] => {
            let (raw, after) = quoted_value(quoted)?;
            Ok((key, Value { raw, quoted: true }, after))
        }
        [b'=', raw @ ..] => {
            let (raw, after) = split_where(raw, |byte| matches!(byte, b',' | b';')).unwrap_or((raw, &[]));
            // A quote opens only at the start of a value (XF-02); `=` must be quoted.
            if raw.iter().any(|byte| matches!(byte, b'"' | b'=')) {
                return Err(CertificateDenial::Malformed);
            }
            Ok((key, Value { raw, quoted: false }, after))
        }
        _ => Err(CertificateDenial::Malformed),
    }
}

/// Up to the closing quote. A backslash takes the next byte with it: in `\\"` the quote closes, as whoever escaped
/// both meant it.
fn quoted_value(text: &[u8]) -> Result<(&[u8], &[u8]), CertificateDenial> {
    let mut escaped = false;
    let closing = split_where(text, |byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    match closing {
        Some((raw, [_, after @ ..])) => Ok((raw, after)),
        Some(_) | None => Err(CertificateDenial::Malformed),
    }
}

/// What stands before the first byte that is the delimiter, and from it on.
fn split_where(text: &[u8], mut is_delimiter: impl FnMut(u8) -> bool) -> Option<(&[u8], &[u8])> {
    let position = text.iter().position(|byte| is_delimiter(*byte))?;
    text.split_at_checked(position)
}

#[cfg(test)]
mod tests;
