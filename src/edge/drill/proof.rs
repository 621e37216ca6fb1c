//! The drill's own DPoP key, and a proof for each try (RFC 9449 §4.2).

use serde_json::{Value, json};

use crate::decision::jose::{PublicKey, base64url_of, parse_object, sha256};
use crate::decision::revocation::Thumbprint;
use crate::edge::introspection::assertion::Signer;
use crate::edge::{clock, random};

/// A key that tokens are bound to. It is in no `Debug`, log or message.
pub struct ProofKey {
    signer: Signer,
    jwk: Value,
    thumbprint: Thumbprint,
}

/// What a proof is for.
pub struct Occasion<'o> {
    /// `htm`.
    pub method: &'o str,
    /// `htu`: without query and fragment.
    pub target: &'o str,
    /// The token whose hash is `ath`, unless one is only asked for.
    pub token: Option<&'o str>,
    /// What the server gave.
    pub nonce: Option<&'o str>,
}

impl ProofKey {
    /// The key in a file: PEM (PKCS#8), or a JWK.
    ///
    /// # Errors
    /// Says what is wrong, without a word of the content.
    pub fn read(file: &[u8]) -> Result<Self, &'static str> {
        Self::of(Signer::read(file, None, None)?)
    }

    /// A key that nobody had before.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn fresh() -> Result<Self, &'static str> {
        Self::of(Signer::fresh().ok_or("no random bytes for a key")?)
    }

    fn of(signer: Signer) -> Result<Self, &'static str> {
        const UNFIT: &str = "this is no key of P-256 or Ed25519";
        let jwk = signer.public_jwk().ok_or(UNFIT)?;
        let key = parse_object(jwk.to_string().as_bytes()).ok().and_then(|jwk| PublicKey::from_jwk(&jwk).ok());
        let thumbprint = Thumbprint(*key.ok_or(UNFIT)?.thumbprint());
        Ok(Self { signer, jwk, thumbprint })
    }

    /// What `cnf.jkt` of its tokens is.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// A proof for this; `None` if there are no random bytes.
    #[must_use]
    pub fn proof(&self, occasion: &Occasion<'_>) -> Option<String> {
        let mut claims = json!({
            "jti": base64url_of(&random::sixteen()?),
            "htm": occasion.method,
            "htu": occasion.target,
            "iat": clock::now(),
        });
        let members = claims.as_object_mut()?;
        if let Some(token) = occasion.token {
            members.insert("ath".to_owned(), base64url_of(&sha256(token.as_bytes())).into());
        }
        if let Some(nonce) = occasion.nonce {
            members.insert("nonce".to_owned(), nonce.into());
        }
        self.signer.signed(json!({"typ": "dpop+jwt", "jwk": self.jwk}), &claims)
    }
}
