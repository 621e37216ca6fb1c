//! A public key from a JWK: checked, named by its thumbprint (RFC 7638), and the only place where signatures are verified.
//!
//! One key has one encoding and so one thumbprint: lengths are exact, base64url is canonical, RSA numbers have no leading
//! zero, Ed25519 points are canonical. Private and symmetric keys are refused, points off the curve too (RFC 8725 §3.4).

use std::sync::OnceLock;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

use super::algorithm::{Algorithm, KeyFamily};
use super::compact::base64url;
use super::hash::sha256;
use super::json::{Map, Value};
use crate::decision::limits;

/// A public key that may verify.
pub struct PublicKey {
    material: Material,
    thumbprint: [u8; 32],
}

/// A thumbprint names one key (RFC 7638 §3.3).
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint
    }
}

impl Eq for PublicKey {}

enum Material {
    Parsed(KeyFamily, ParsedPublicKey),
    Rsa(Box<RsaKey>),
}

/// An RSA key, which each algorithm wants parsed for itself: done when it is first used with it, and once.
struct RsaKey {
    components: RsaPublicKeyComponents<Vec<u8>>,
    parsed: [OnceLock<Option<ParsedPublicKey>>; RSA.len()],
}

const RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Ps256, &RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &RSA_PSS_2048_8192_SHA512),
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
];

impl RsaKey {
    /// The key parsed for an algorithm; `None` if the algorithm is of another family, or the key none that it verifies with.
    fn parsed_for(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let mut slots = RSA.iter().zip(&self.parsed);
        let ((_, parameters), slot) = slots.find(|((known, _), _)| *known == algorithm)?;
        slot.get_or_init(|| self.components.to_parsed_public_key(parameters).ok()).as_ref()
    }
}

/// Why a JWK is not a public key for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDenial {
    /// It has a private member, or is symmetric.
    Private,
    /// A kind of key or curve that we do not know.
    Unsupported,
    /// A member is missing, of the wrong type, length or encoding, or the point or number is not a sound key.
    Malformed,
}

/// Members that only private or symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2; AKP `priv`).
/// One alone refuses the key, whatever its value (CVE-2026-54431).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

impl PublicKey {
    /// Reads the public key of a JWK. Members that are not part of the key are ignored and never fetched.
    ///
    /// # Errors
    /// [`KeyDenial`].
    pub fn from_jwk(jwk: &Map) -> Result<Self, KeyDenial> {
        if PRIVATE_MEMBERS.iter().any(|member| jwk.contains_key(member)) {
            return Err(KeyDenial::Private);
        }
        match text(jwk, "kty")? {
            "EC" => elliptic(jwk),
            "RSA" => rsa(jwk),
            "OKP" => octet_pair(jwk),
            "oct" => Err(KeyDenial::Private),
            _ => Err(KeyDenial::Unsupported),
        }
    }

    /// The SHA-256 thumbprint: what `cnf.jkt` names.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The algorithms this key works with.
    #[must_use]
    pub fn family(&self) -> KeyFamily {
        match &self.material {
            Material::Parsed(family, _) => *family,
            Material::Rsa(_) => KeyFamily::Rsa,
        }
    }

    /// Whether `signature` is this key's over `message` with `algorithm`; an algorithm of another family verifies nothing.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Parsed(family, key) => {
                *family == algorithm.family() && key.verify_sig(message, signature).is_ok()
            }
            Material::Rsa(key) => {
                key.parsed_for(algorithm).is_some_and(|key| key.verify_sig(message, signature).is_ok())
            }
        }
    }
}

fn text<'j>(jwk: &'j Map, member: &str) -> Result<&'j str, KeyDenial> {
    jwk.get(member).and_then(Value::as_str).ok_or(KeyDenial::Malformed)
}

/// A member's bytes and its own, canonical, text.
fn bytes<'j>(jwk: &'j Map, member: &str) -> Result<(&'j str, Vec<u8>), KeyDenial> {
    let encoded = text(jwk, member)?;
    Ok((encoded, base64url(encoded.as_bytes()).ok_or(KeyDenial::Malformed)?))
}

/// RFC 7638 §3.2: the required members in lexicographic order, no white space. Their values are canonical base64url or
/// fixed names here, so nothing needs escaping.
fn thumbprint(json: &str) -> [u8; 32] {
    sha256(json.as_bytes())
}

fn parsed(
    family: KeyFamily,
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    json: &str,
) -> Result<PublicKey, KeyDenial> {
    let key = ParsedPublicKey::new(algorithm, key).map_err(|_| KeyDenial::Malformed)?;
    Ok(PublicKey { material: Material::Parsed(family, key), thumbprint: thumbprint(json) })
}

/// RFC 7518 §6.2.1: coordinates have the full length of the field; the point is checked to be on the curve.
fn elliptic(jwk: &Map) -> Result<PublicKey, KeyDenial> {
    let curve = text(jwk, "crv")?;
    let (family, algorithm, length): (_, &'static dyn VerificationAlgorithm, _) = match curve {
        "P-256" => (KeyFamily::P256, &ECDSA_P256_SHA256_FIXED, 32),
        "P-384" => (KeyFamily::P384, &ECDSA_P384_SHA384_FIXED, 48),
        _ => return Err(KeyDenial::Unsupported),
    };
    let (x_text, x) = bytes(jwk, "x")?;
    let (y_text, y) = bytes(jwk, "y")?;
    if x.len() != length || y.len() != length {
        return Err(KeyDenial::Malformed);
    }
    // SEC 1 §2.3.3: an uncompressed point.
    let point = [&[4u8][..], &x, &y].concat();
    parsed(family, algorithm, &point, &format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x_text}","y":"{y_text}"}}"#))
}

/// RFC 7518 §6.3.1: no leading zeros; size and exponent within FAPI 2.0 §5.4.1 and what aws-lc verifies.
fn rsa(jwk: &Map) -> Result<PublicKey, KeyDenial> {
    let (n_text, n) = bytes(jwk, "n")?;
    let (e_text, e) = bytes(jwk, "e")?;
    let (Some(first), Some(last)) = (n.first(), n.last()) else { return Err(KeyDenial::Malformed) };
    let leading = usize::try_from(first.leading_zeros()).unwrap_or(8);
    let bits = n.len().saturating_mul(8).saturating_sub(leading);
    let odd_exponent = e.last().is_some_and(|byte| byte & 1 == 1) && e.as_slice() != [1];
    let sound = *first != 0 && last & 1 == 1 && limits::RSA_BITS.contains(&bits);
    if !sound || !odd_exponent || e.len() > 4 || e.first() == Some(&0) {
        return Err(KeyDenial::Malformed);
    }
    let thumbprint = thumbprint(&format!(r#"{{"e":"{e_text}","kty":"RSA","n":"{n_text}"}}"#));
    let key = RsaKey { components: RsaPublicKeyComponents { n, e }, parsed: Default::default() };
    Ok(PublicKey { material: Material::Rsa(Box::new(key)), thumbprint })
}

/// RFC 8037 §2. X25519 and X448 do not sign; Ed448 is not on any list of ours.
fn octet_pair(jwk: &Map) -> Result<PublicKey, KeyDenial> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(KeyDenial::Unsupported);
    }
    let (x_text, x) = bytes(jwk, "x")?;
    let point: [u8; 32] = x.as_slice().try_into().map_err(|_| KeyDenial::Malformed)?;
    if !sound_ed25519(point) {
        return Err(KeyDenial::Malformed);
    }
    parsed(KeyFamily::Ed25519, &ED25519, &point, &format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x_text}"}}"#))
}

/// The y coordinates of the points of order 4, 1, 8, 8 and 2, little-endian, without the sign bit. With such a key a
/// signature can be made that fits many messages, so the key proves nobody.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    hex32(b"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    hex32(b"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    hex32(b"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
];

/// Not of small order, and y below p = 2^255 − 19: one point has one encoding.
fn sound_ed25519(mut point: [u8; 32]) -> bool {
    point[31] &= 0x7f;
    let [lowest, middle @ .., highest] = &point;
    let reduced = *highest != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *lowest < 0xed;
    reduced && !SMALL_ORDER.contains(&point)
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at compile time, on constants of 64 hex digits"
)]
const fn hex32(text: &[u8; 64]) -> [u8; 32] {
    const fn digit(character: u8) -> u8 {
        match character {
            b'0'..=b'9' => character - b'0',
            _ => character - b'a' + 10,
        }
    }
    let mut bytes = [0; 32];
    let mut index = 0;
    while index < 32 {
        bytes[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]);
        index += 1;
    }
    bytes
}

#[cfg(test)]
mod tests;
