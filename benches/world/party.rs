//! Who takes part: the issuer with its keys, and three clients, each of which proves itself in its own way.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::support::{Leaf, SigningKey, pki, sha256};

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA with P-256.
    Es256,
    /// RSA PKCS #1 v1.5 with 2048 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// As `alg` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The id of the issuer's key.
    pub const fn kid(self) -> &'static str {
        match self {
            Self::Es256 => "es-1",
            Self::Rs256 => "rs-1",
            Self::EdDsa => "ed-1",
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Its tokens are bound to its certificate.
    Certificate,
    /// Its tokens are bound to a P-256 key.
    DpopEs256,
    /// Its tokens are bound to an Ed25519 key.
    DpopEdDsa,
}

impl Client {
    /// Everybody.
    pub const ALL: [Self; 3] = [Self::Certificate, Self::DpopEs256, Self::DpopEdDsa];

    /// Its id at the issuer.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Certificate => "invoice-robot",
            Self::DpopEs256 => "settlement-robot",
            Self::DpopEdDsa => "ledger-robot",
        }
    }

    /// What its tokens name as the sender's key.
    pub fn confirmation(self) -> Value {
        match self {
            Self::Certificate => json!({"x5t#S256": certificate().thumbprint()}),
            Self::DpopEs256 | Self::DpopEdDsa => json!({"jkt": self.key().thumbprint()}),
        }
    }

    /// The key of its proofs.
    pub fn key(self) -> &'static SigningKey {
        if self == Self::DpopEdDsa { &party().client_eddsa } else { &party().client_es256 }
    }

    /// The algorithm of its proofs.
    pub const fn proof_algorithm(self) -> Algorithm {
        if matches!(self, Self::DpopEdDsa) { Algorithm::EdDsa } else { Algorithm::Es256 }
    }
}

/// Keys of everybody.
pub struct Party {
    es256: SigningKey,
    rs256: SigningKey,
    eddsa: SigningKey,
    client_es256: SigningKey,
    client_eddsa: SigningKey,
}

/// Made once per run.
pub fn party() -> &'static Party {
    static PARTY: LazyLock<Party> = LazyLock::new(|| Party {
        es256: SigningKey::p256(),
        rs256: SigningKey::rsa(),
        eddsa: SigningKey::ed25519(),
        client_es256: SigningKey::p256(),
        client_eddsa: SigningKey::ed25519(),
    });
    &PARTY
}

impl Party {
    /// The issuer's key.
    pub const fn issuer_key(&self, algorithm: Algorithm) -> &SigningKey {
        match algorithm {
            Algorithm::Es256 => &self.es256,
            Algorithm::Rs256 => &self.rs256,
            Algorithm::EdDsa => &self.eddsa,
        }
    }

    /// What the issuer publishes.
    pub fn published(&self) -> Vec<Value> {
        let jwk = |algorithm: Algorithm| {
            let more = json!({"use": "sig", "alg": algorithm.name()});
            self.issuer_key(algorithm).jwk_as(algorithm.kid(), &more)
        };
        [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa].map(jwk).to_vec()
    }
}

/// The certificate of [`Client::Certificate`].
pub fn certificate() -> &'static Leaf {
    &pki().client
}

/// Somebody else's certificate.
pub fn other_certificate() -> &'static Leaf {
    &pki().other
}

/// `ath` of a token (RFC 9449 §4.2).
pub fn hash_of(token: &str) -> String {
    sha256(token)
}
