//! URL-encoded PEM, as Envoy writes it into `source.certificate` and into `Cert` and `Chain` of XFCC (EC-01, XF-10).
//!
//! Proves: exactly the blocks asked for, nothing before, between or after them. Refuses: a bad percent escape, another
//! label, text outside the blocks, base64 that is not canonical. A raw `+` is a `+`: this is not a form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::CertificateDenial;
use super::thumbprint::hex_pair;

/// The longest text looked at. A certificate of 64 KiB is 88 KiB of base64, plus line ends and a few escapes.
const MAX_TEXT_BYTES: usize = 131_072;

/// The most certificates in a chain: webpki follows 6 intermediates, and Envoy's `Chain` holds the leaf, often the
/// root too.
pub(super) const MAX_CHAIN_CERTIFICATES: usize = 8;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// The bytes of the one block.
pub(super) fn certificate(encoded: &[u8]) -> Result<Vec<u8>, CertificateDenial> {
    let mut blocks = blocks(&percent_decoded(encoded)?, 1)?;
    blocks.pop().ok_or(CertificateDenial::Malformed)
}

/// The bytes of each block, in order.
pub(super) fn chain(encoded: &[u8]) -> Result<Vec<Vec<u8>>, CertificateDenial> {
    blocks(&percent_decoded(encoded)?, MAX_CHAIN_CERTIFICATES)
}

/// RFC 3986 §2.1: `%` and two hexadecimal digits are one byte, any other byte stands for itself.
fn percent_decoded(encoded: &[u8]) -> Result<Vec<u8>, CertificateDenial> {
    if encoded.len() > MAX_TEXT_BYTES {
        return Err(CertificateDenial::Malformed);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or(CertificateDenial::Malformed)?;
            decoded.push(hex_pair(digits).ok_or(CertificateDenial::Malformed)?);
            rest = after;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Ok(decoded)
}

/// RFC 7468 §3 without the explanatory text that it lets stand around a block. At least one, at most `most` blocks.
fn blocks(text: &[u8], most: usize) -> Result<Vec<Vec<u8>>, CertificateDenial> {
    let mut blocks = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    // The last line end is optional.
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        open = match open {
            None if line == BEGIN && blocks.len() < most => Some(Vec::new()),
            Some(body) if line == END => {
                blocks.push(STANDARD.decode(body).map_err(|_| CertificateDenial::Malformed)?);
                None
            }
            Some(mut body) if !line.is_empty() => {
                body.extend_from_slice(line);
                Some(body)
            }
            None | Some(_) => return Err(CertificateDenial::Malformed),
        };
    }
    if open.is_some() {
        return Err(CertificateDenial::Malformed);
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests;
