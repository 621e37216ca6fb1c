//! `Client-Cert` and `Client-Cert-Chain` (RFC 9440), set by a proxy in front that ended TLS.
//!
//! Proves: the certificate that the header carries. Trusts: that proxy, which must strip what clients send (RFC 9440
//! §4); `trusted_hops` names it where the mesh can tell. Refuses: anything but one Byte Sequence, and a chain alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::pem::MAX_CHAIN_CERTIFICATES;
use super::{CertificateDenial, Leaf, Shown, listed};

/// The most bytes in all fields together. Envoy takes 60 KiB of headers unless told otherwise.
const MAX_FIELDS_BYTES: usize = 65_536;

/// Reads the certificate and its chain; `Ok(None)` when neither header is there.
pub(super) fn read(
    trusted_hops: &[String],
    fields: &[&[u8]],
    chain_fields: &[&[u8]],
    principal: &[u8],
) -> Result<Option<Shown>, CertificateDenial> {
    if fields.is_empty() && chain_fields.is_empty() {
        return Ok(None);
    }
    // Not Malformed: the header may be perfect, only this peer has no say.
    if !trusted_hops.is_empty() && !listed(trusted_hops, principal) {
        return Err(CertificateDenial::Untrusted);
    }
    let bytes = fields.iter().chain(chain_fields).fold(0_usize, |sum, field| sum.saturating_add(field.len()));
    if bytes > MAX_FIELDS_BYTES {
        return Err(CertificateDenial::Malformed);
    }
    // RFC 9440 §2.2: a single Item; §2.3: no chain without it.
    let [field] = fields else { return Err(CertificateDenial::Malformed) };
    let leaf = Leaf::of(byte_sequence(field)?)?;
    Ok(Some(Shown { thumbprint: leaf.thumbprint, leaf: Some(leaf), chain: list(chain_fields)? }))
}

/// RFC 9440 §2.3: a List of Byte Sequences, in one field or several (RFC 8941 §4.2).
fn list(fields: &[&[u8]]) -> Result<Vec<Vec<u8>>, CertificateDenial> {
    let mut chain = Vec::new();
    for member in fields.iter().flat_map(|field| field.split(|byte| *byte == b',')) {
        if chain.len() == MAX_CHAIN_CERTIFICATES {
            return Err(CertificateDenial::Malformed);
        }
        chain.push(byte_sequence(member.trim_ascii())?);
    }
    Ok(chain)
}

/// RFC 8941 §3.3.5: base64 between colons. Parameters are refused; so is base64 that is not canonical, which RFC 8941
/// §4.2.7 would pass: the one proxy that may set this header has no need of it.
fn byte_sequence(item: &[u8]) -> Result<Vec<u8>, CertificateDenial> {
    let inside = item.strip_prefix(b":").and_then(|rest| rest.strip_suffix(b":"));
    STANDARD.decode(inside.ok_or(CertificateDenial::Malformed)?).map_err(|_| CertificateDenial::Malformed)
}

#[cfg(test)]
mod tests;
