//! The 32 bytes that name a certificate (RFC 8705 §3.1): as DER hashes to them, as XFCC `Hash` and as `x5t#S256` write
//! them.
//!
//! Nothing here looks inside the certificate beyond its being one: no version, no extension, no date is asked for.

use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::nom::Parser as _;

use super::CertificateDenial;
use crate::decision::jose::sha256;

/// The most bytes a certificate may have: what webpki reads, 2^16 − 1. Real ones have 500 to 4,000.
const MAX_CERTIFICATE_BYTES: usize = 65_535;

/// SHA-256 of a certificate that is well formed and alone.
pub(super) fn of(der: &[u8]) -> Result<[u8; 32], CertificateDenial> {
    certificate(der)?;
    Ok(sha256(der))
}

/// Exactly one DER certificate and not a byte more. Extensions are found, not read: a malformed one does not change
/// which certificate this is.
pub(super) fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, CertificateDenial> {
    if der.len() > MAX_CERTIFICATE_BYTES || !holds_three_items(der) {
        return Err(CertificateDenial::Malformed);
    }
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(CertificateDenial::Malformed),
    }
}

/// `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }` (RFC 5280 §4.1), nothing after
/// and nothing else inside: the parser passes over bytes that follow the signature.
fn holds_three_items(der: &[u8]) -> bool {
    let Ok(([], outer)) = Any::from_der(der) else { return false };
    let mut inside = outer.data;
    for _ in 0..3 {
        let Ok((rest, _)) = Any::from_der(inside) else { return false };
        inside = rest;
    }
    inside.is_empty()
}

/// 64 hexadecimal digits, as XFCC `Hash` writes them.
pub(super) fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let bytes = text.chunks(2).map(hex_pair).collect::<Option<Vec<u8>>>()?;
    bytes.try_into().ok()
}

/// The value of two hexadecimal digits of either case.
pub(super) fn hex_pair(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)
}

#[cfg(test)]
mod tests;
