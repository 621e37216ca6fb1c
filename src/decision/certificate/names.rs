//! The names in a certificate, for policy: only ever read where the chain is vouched for.
//!
//! Proves: what the certificate's issuer signed, name by name, each kind apart: a URI or an e-mail address is never
//! offered as a DNS name (CVE-2022-21656). Refuses: extensions that are repeated or cannot be read, and names that are
//! not printable ASCII: made absent, they would disarm a `forbid`. The subject is not offered at all; nobody decides on
//! its text (XF-12).

use core::fmt;
use std::sync::OnceLock;

use cedar_policy_core::ast::Value;
use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{BasicConstraints, GeneralName, KeyUsage, SubjectAlternativeName};
use x509_parser::oid_registry as oid;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::{CertificateDenial, thumbprint};

/// Longest SPIFFE id (SPIFFE-ID §2.3) and, in it, the longest trust domain (RFC 3986 host), bytes.
const MAX_SPIFFE_ID_BYTES: usize = 2048;
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// The names in a certificate whose chain is vouched for.
pub struct CertificateNames {
    /// DNS names, in the certificate's order.
    pub dns_names: Vec<String>,
    /// URIs, in the certificate's order; whether one is an identity is told by `spiffe_id` alone.
    pub uris: Vec<String>,
    /// E-mail addresses, in the certificate's order.
    pub emails: Vec<String>,
    /// The SPIFFE id, if the certificate is a leaf X.509-SVID.
    pub spiffe_id: Option<String>,
    /// The issuer's name as RFC 2253 text, in the form that Envoy gives to subjects.
    pub issuer: String,
    /// The serial number: lower-case hexadecimal, no separators; `-` before the two's complement of a negative one.
    pub serial: String,
    /// What policies are told of the certificate, made once.
    pub(in crate::decision) told: OnceLock<Value>,
}

/// Says nothing about the certificate.
impl fmt::Debug for CertificateNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateNames").finish_non_exhaustive()
    }
}

/// Reads the names of exactly one DER certificate.
pub(super) fn read(der: &[u8]) -> Result<CertificateNames, CertificateDenial> {
    let certificate = thumbprint::certificate(der)?;
    let (mut dns_names, mut uris, mut emails) = (Vec::new(), Vec::new(), Vec::new());
    let names = extension::<SubjectAlternativeName<'_>>(&certificate, &oid::OID_X509_EXT_SUBJECT_ALT_NAME)?;
    for name in names.iter().flat_map(|names| &names.general_names) {
        match name {
            GeneralName::DNSName(text) => dns_names.push(printable(text)?),
            GeneralName::URI(text) => uris.push(printable(text)?),
            GeneralName::RFC822Name(text) => emails.push(printable(text)?),
            GeneralName::Invalid(..) => return Err(CertificateDenial::Malformed),
            // Kinds that no attribute of ours holds.
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => {}
        }
    }
    let spiffe_id = match uris.as_slice() {
        // SP-01: exactly one URI.
        [uri] if may_be_svid(&certificate)? && is_spiffe_id(uri) => Some(uri.clone()),
        _ => None,
    };
    let issuer = rfc2253(certificate.issuer());
    let serial = serial(certificate.raw_serial());
    Ok(CertificateNames { dns_names, uris, emails, spiffe_id, issuer, serial, told: OnceLock::new() })
}

/// The issuer's name and the serial number of exactly one DER certificate.
pub(super) fn serial_of(der: &[u8]) -> Result<(String, String), CertificateDenial> {
    let certificate = thumbprint::certificate(der)?;
    Ok((rfc2253(certificate.issuer()), serial(certificate.raw_serial())))
}

/// An extension's value: there at most once, read to its last byte (RFC 5280 §4.2).
pub(super) fn extension<'a, T: FromDer<'a, X509Error>>(
    certificate: &X509Certificate<'a>,
    oid: &Oid<'_>,
) -> Result<Option<T>, CertificateDenial> {
    match certificate.get_extension_unique(oid) {
        Ok(None) => Ok(None),
        Ok(Some(found)) => match T::from_der(found.value) {
            Ok(([], value)) => Ok(Some(value)),
            Ok(_) | Err(_) => Err(CertificateDenial::Malformed),
        },
        Err(_) => Err(CertificateDenial::Malformed),
    }
}

/// RFC 5280 §4.2.1.6: these names are IA5 strings. Control characters are refused too: a NUL has cut names short
/// before.
fn printable(text: &str) -> Result<String, CertificateDenial> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(CertificateDenial::Malformed);
    }
    Ok(text.to_owned())
}

/// X509-SVID §5.2 (SP-03): a leaf, which may sign messages but neither certificates nor CRLs. The extension itself is
/// not asked for: §5.2 does not, and many meshes leave it out.
fn may_be_svid(certificate: &X509Certificate<'_>) -> Result<bool, CertificateDenial> {
    let constraints = extension::<BasicConstraints>(certificate, &oid::OID_X509_EXT_BASIC_CONSTRAINTS)?;
    let usage = extension::<KeyUsage>(certificate, &oid::OID_X509_EXT_KEY_USAGE)?;
    Ok(!constraints.is_some_and(|constraints| constraints.ca)
        && usage.is_none_or(|usage| usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign()))
}

/// SPIFFE-ID §2 (SP-02): `spiffe://`, a trust domain, a path of at least one segment. No port, user, percent escape,
/// query or fragment can pass, because the letters that would write them are not allowed.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let in_domain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let in_segment = |byte: u8| in_domain(byte) || byte.is_ascii_uppercase();
    uri.len() <= MAX_SPIFFE_ID_BYTES
        && !domain.is_empty()
        && domain.len() <= MAX_TRUST_DOMAIN_BYTES
        && domain.bytes().all(in_domain)
        && path.split('/').all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_segment))
}

/// The octets of the INTEGER without the one that only says "positive" (X.690 §8.3).
fn serial(octets: &[u8]) -> String {
    let (sign, octets) = match octets {
        [0, rest @ ..] if !rest.is_empty() => ("", rest),
        [first, ..] if *first >= 0x80 => ("-", octets),
        _ => ("", octets),
    };
    sign.chars().chain(octets.iter().copied().flat_map(hex_digits)).collect()
}

/// RFC 2253 §2: the most specific part first; `,` between parts, `+` inside one.
fn rfc2253(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    // The table of RFC 2253 §2.3; any other type is written as its number.
    let keywords = [
        (oid::OID_X509_COMMON_NAME, "CN"),
        (oid::OID_X509_LOCALITY_NAME, "L"),
        (oid::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (oid::OID_X509_ORGANIZATION_NAME, "O"),
        (oid::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (oid::OID_X509_COUNTRY_NAME, "C"),
        (oid::OID_X509_STREET_ADDRESS, "STREET"),
        (oid::OID_DOMAIN_COMPONENT, "DC"),
        (oid::OID_USERID, "UID"),
    ];
    let keyword = keywords.iter().find(|(oid, _)| oid == attribute.attr_type()).map(|(_, keyword)| *keyword);
    let mut text = keyword.map_or_else(|| attribute.attr_type().to_id_string(), str::to_owned);
    text.push('=');
    if let Ok(value) = attribute.as_str() {
        escape_into(&mut text, value.as_bytes());
    } else {
        // Not one of the string types that we read: its octets, after a `#` that no text can begin with.
        text.push('#');
        text.extend(attribute.as_slice().iter().copied().flat_map(hex_digits));
    }
    text
}

/// RFC 2253 §2.4, so that no value can look like another part; bytes beyond printable ASCII as hexadecimal pairs.
fn escape_into(text: &mut String, value: &[u8]) {
    let last = value.len().saturating_sub(1);
    for (index, byte) in value.iter().copied().enumerate() {
        let at_edge = (byte == b' ' && (index == 0 || index == last)) || (byte == b'#' && index == 0);
        if at_edge || matches!(byte, b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';') {
            text.push('\\');
            text.push(char::from(byte));
        } else if matches!(byte, b' '..=b'~') {
            text.push(char::from(byte));
        } else {
            text.push('\\');
            text.extend(hex_digits(byte).map(|digit| digit.to_ascii_uppercase()));
        }
    }
}

/// Two lower-case hexadecimal digits.
pub(super) fn hex_digits(octet: u8) -> impl Iterator<Item = char> {
    [octet / 16, octet % 16].into_iter().filter_map(|digit| char::from_digit(u32::from(digit), 16))
}

#[cfg(test)]
mod tests;
