//! What may be revoked, as sources write it and as the list looks for it.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decision::jose::base64url_32;

/// What an entry names. All but keys and certificates belong to an issuer: their names mean nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// One token, by its `jti`.
    Token {
        /// Its `iss`.
        issuer: String,
        /// Its `jti`.
        jti: String,
    },
    /// One token, by the SHA-256 of its text: the only name that an opaque token has.
    TokenHash {
        /// Who issued it.
        issuer: String,
        /// The hash, base64url.
        sha256: Thumbprint,
    },
    /// Every token about a subject.
    Subject {
        /// Who knows the subject.
        issuer: String,
        /// The `sub`.
        sub: String,
    },
    /// Every token of a client.
    Client {
        /// Who knows the client.
        issuer: String,
        /// The client's id there.
        client_id: String,
    },
    /// Every token of a session.
    Session {
        /// Whose session it is.
        issuer: String,
        /// The `sid`.
        sid: String,
    },
    /// Every token that was verified with a key of an issuer.
    Key {
        /// Whose key.
        issuer: String,
        /// Its `kid`.
        kid: String,
    },
    /// Every token of an issuer.
    Issuer {
        /// The issuer.
        issuer: String,
    },
    /// Every token that is bound to a proof key (RFC 9449 §6.1).
    ProofKey {
        /// Its RFC 7638 thumbprint, base64url.
        jkt: Thumbprint,
    },
    /// A client certificate, and every token that is bound to it (RFC 8705 §3.1).
    Certificate {
        /// SHA-256 of the certificate, base64url.
        #[serde(rename = "x5t#S256")]
        thumbprint: Thumbprint,
    },
    /// A client certificate by its serial number. Needs the certificate in the request, not its hash alone.
    CertificateSerial {
        /// The certificate's issuer, as policies see it: RFC 2253 text.
        issuer: String,
        /// The serial number, as policies see it: lower-case hexadecimal.
        serial: String,
    },
}

/// A SHA-256, written in base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("not a SHA-256 in base64url: 43 characters, no padding");
        base64url_32(&text).map(Self).ok_or_else(wrong)
    }
}

/// The kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A token by `jti`.
    Token,
    /// A token by hash.
    TokenHash,
    /// A subject.
    Subject,
    /// A client.
    Client,
    /// A session.
    Session,
    /// A key of an issuer.
    Key,
    /// An issuer.
    Issuer,
    /// A sender's proof key.
    ProofKey,
    /// A certificate by thumbprint.
    Certificate,
    /// A certificate by serial number.
    CertificateSerial,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Token,
        Self::TokenHash,
        Self::Subject,
        Self::Client,
        Self::Session,
        Self::Key,
        Self::Issuer,
        Self::ProofKey,
        Self::Certificate,
        Self::CertificateSerial,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::TokenHash => "token_hash",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Session => "session",
            Self::Key => "key",
            Self::Issuer => "issuer",
            Self::ProofKey => "proof_key",
            Self::Certificate => "certificate",
            Self::CertificateSerial => "certificate_serial",
        }
    }

    /// Its place in [`Kind::ALL`].
    #[must_use]
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default()
    }
}

impl Target {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.name().kind()
    }

    /// Its issuer, if it belongs to one whose tokens are judged.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Token { issuer, .. }
            | Self::TokenHash { issuer, .. }
            | Self::Subject { issuer, .. }
            | Self::Client { issuer, .. }
            | Self::Session { issuer, .. }
            | Self::Key { issuer, .. }
            | Self::Issuer { issuer } => Some(issuer),
            Self::ProofKey { .. } | Self::Certificate { .. } | Self::CertificateSerial { .. } => None,
        }
    }

    /// What is looked for.
    #[must_use]
    pub fn name(&self) -> Name<'_> {
        fn name<'n>(kind: Kind, issuer: &'n str, rest: &'n [u8]) -> Name<'n> {
            Name::new(kind, issuer.as_bytes(), rest)
        }
        match self {
            Self::Token { issuer, jti } => name(Kind::Token, issuer, jti.as_bytes()),
            Self::TokenHash { issuer, sha256 } => name(Kind::TokenHash, issuer, &sha256.0),
            Self::Subject { issuer, sub } => name(Kind::Subject, issuer, sub.as_bytes()),
            Self::Client { issuer, client_id } => name(Kind::Client, issuer, client_id.as_bytes()),
            Self::Session { issuer, sid } => name(Kind::Session, issuer, sid.as_bytes()),
            Self::Key { issuer, kid } => name(Kind::Key, issuer, kid.as_bytes()),
            Self::Issuer { issuer } => name(Kind::Issuer, issuer, &[]),
            Self::ProofKey { jkt } => Name::new(Kind::ProofKey, &[], &jkt.0),
            Self::Certificate { thumbprint } => Name::new(Kind::Certificate, &[], &thumbprint.0),
            Self::CertificateSerial { issuer, serial } => name(Kind::CertificateSerial, issuer, serial.as_bytes()),
        }
    }
}

/// What is looked for, borrowed. What a token does not have is empty, and no entry names that.
#[derive(Clone, Copy)]
pub struct Name<'n> {
    kind: Kind,
    issuer: &'n [u8],
    rest: &'n [u8],
}

impl<'n> Name<'n> {
    pub(super) fn new(kind: Kind, issuer: &'n [u8], rest: &'n [u8]) -> Self {
        Self { kind, issuer, rest }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// To whom it belongs; empty for keys and certificates of senders.
    #[must_use]
    pub fn issuer(&self) -> &'n [u8] {
        self.issuer
    }

    /// The rest of it.
    #[must_use]
    pub fn rest(&self) -> &'n [u8] {
        self.rest
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.kind != Kind::Issuer
    }
}

/// Names one entry: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub [u8; 16]);

impl EntryId {
    /// Reads 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let number = (text.len() == 32 && text.bytes().all(lower)).then(|| u128::from_str_radix(text, 16).ok());
        number.flatten().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an id of an entry: 32 lower-case hexadecimal digits"))
    }
}
