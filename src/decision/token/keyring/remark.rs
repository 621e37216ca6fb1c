//! What is to be said of a key in a JWK Set, for those who wrote the set: why it verifies no token, or not every token.

use core::fmt;

use crate::decision::jose::{KeyDenial, Map, Value, base64url};
use crate::decision::limits;
use crate::decision::token::KeysRefused;

/// Characters of a `kid` that are shown.
const KID_SHOWN: usize = 64;

/// Keys of a refused set whose reasons are told.
const REASONS: usize = 8;

/// Something to say of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRemark {
    /// Its index in `keys`.
    pub index: usize,
    /// Its `kid`, if that is a text.
    pub kid: Option<String>,
    /// What.
    pub kind: RemarkKind,
}

/// What there is to say. All but [`RemarkKind::Unnamed`] keep the key from use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// It has no `kid`: it is tried only for tokens that name none either.
    Unnamed,
    /// It has a member that only private keys have.
    Private,
    /// It is symmetric: whoever verifies with it can sign with it.
    Symmetric,
    /// The item is no JSON object.
    NoObject,
    /// A member is of the wrong type.
    WrongType(&'static str),
    /// `use` is not `sig`.
    OtherUse,
    /// `key_ops` has no `verify`.
    OtherOperations,
    /// `alg` is no signature algorithm of ours.
    Algorithm,
    /// `alg` belongs to another kind of key.
    AlgorithmMisfit,
    /// `kty` is none of ours.
    Kind,
    /// `crv` is none of ours.
    Curve,
    /// RSA of that many bits, outside [`limits::RSA_BITS`].
    RsaBits(usize),
    /// A member is missing, not canonical, or makes no sound key.
    Malformed,
}

impl RemarkKind {
    /// What is wrong.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Unnamed => "has no `kid`: it verifies only tokens that name no `kid` either".to_owned(),
            Self::Private => "holds a private key: the issuer's secret is exposed".to_owned(),
            Self::Symmetric => "holds a symmetric key: whoever can read it can sign tokens".to_owned(),
            Self::NoObject => "is no JSON object".to_owned(),
            Self::WrongType(member) => format!("has a `{member}` of the wrong type"),
            Self::OtherUse => "is not for signatures (`use` is not `sig`)".to_owned(),
            Self::OtherOperations => "is not for verifying (`key_ops` has no `verify`)".to_owned(),
            Self::Algorithm => "has an `alg` that no token may be signed with".to_owned(),
            Self::AlgorithmMisfit => "has an `alg` that another kind of key goes with".to_owned(),
            Self::Kind => "has a `kty` that is not supported".to_owned(),
            Self::Curve => "has a `crv` that is not supported".to_owned(),
            Self::RsaBits(bits) => {
                format!("is RSA of {bits} bits, not {} to {}", limits::RSA_BITS.start(), limits::RSA_BITS.end())
            }
            Self::Malformed => "is malformed: a member is missing, badly encoded, or no sound key".to_owned(),
        }
    }

    /// What would be right.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Unnamed => "let the issuer give every key a `kid`, and name it in every token",
            Self::Private => "let the issuer replace this key now, and publish public members only",
            Self::Symmetric => "let the issuer sign with a key pair, and publish the public key only",
            Self::OtherUse | Self::OtherOperations => "nothing, if its tokens are signed with another key of the set",
            Self::NoObject | Self::WrongType(_) | Self::Malformed => {
                "let the issuer publish the key as RFC 7517 has it"
            }
            Self::Algorithm | Self::AlgorithmMisfit | Self::Kind | Self::Curve | Self::RsaBits(_) => {
                "let the issuer sign with ES256, ES384, PS256 or RS256 (RSA of 2048 bits or more), or Ed25519"
            }
        }
    }

    /// Why a JWK was refused as a public key.
    pub(super) fn of_denial(denial: KeyDenial, jwk: &Map) -> Self {
        let is = |member: &str, value: &str| jwk.get(member).and_then(Value::as_str) == Some(value);
        let rsa = is("kty", "RSA");
        match denial {
            KeyDenial::Private if is("kty", "oct") => Self::Symmetric,
            KeyDenial::Private => Self::Private,
            KeyDenial::Unsupported if is("kty", "EC") || is("kty", "OKP") => Self::Curve,
            KeyDenial::Unsupported => Self::Kind,
            KeyDenial::Malformed => match rsa.then(|| modulus_bits(jwk)).flatten() {
                Some(bits) if !limits::RSA_BITS.contains(&bits) => Self::RsaBits(bits),
                Some(_) | None => Self::Malformed,
            },
        }
    }
}

fn modulus_bits(jwk: &Map) -> Option<usize> {
    let modulus = base64url(jwk.get("n")?.as_str()?.as_bytes())?;
    let leading = usize::try_from(modulus.first()?.leading_zeros()).ok()?;
    modulus.len().saturating_mul(8).checked_sub(leading)
}

/// Which key, and what of it. A `kid` is another's text: it is cut and escaped.
impl fmt::Display for KeyRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys[{}]", self.index)?;
        if let Some(kid) = &self.kid {
            let shown: String = kid.chars().take(KID_SHOWN).collect();
            let rest = if shown.len() < kid.len() { "…" } else { "" };
            write!(f, " (kid {shown:?}{rest})")?;
        }
        write!(f, " {}", self.kind.words())
    }
}

impl KeysRefused {
    /// What would be right.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotAKeySet => "write {\"keys\": [...]} without duplicate members (RFC 7517 §5)",
            Self::TooMany => "keep at most 128",
            Self::NoneUsable(_) => "give public signature keys: EC P-256 or P-384, RSA of 2048 bits or more, Ed25519",
        }
    }
}

/// What is wrong.
impl fmt::Display for KeysRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeySet => f.write_str("this is no JWK Set"),
            Self::TooMany => f.write_str("this JWK Set has too many keys"),
            Self::NoneUsable(remarks) => {
                f.write_str("no key of this JWK Set can verify a token: ")?;
                if remarks.is_empty() {
                    f.write_str("it is empty")?;
                }
                for (index, remark) in remarks.iter().take(REASONS).enumerate() {
                    write!(f, "{}{remark}", if index == 0 { "" } else { "; " })?;
                }
                match remarks.len().checked_sub(REASONS) {
                    Some(rest) if rest > 0 => write!(f, "; and {rest} more"),
                    _ => Ok(()),
                }
            }
        }
    }
}
