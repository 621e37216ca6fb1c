//! Requests whose token the issuer is asked about: what is told of it are the claims of a token, and members of the answer.

use serde_json::{Value, json};

use super::{Good, NOW, Request, base, bearer, dpop, fresh_id, host, keys, mtls, nonce, pki, token};

/// A good DPoP request with an opaque token, at the API that has them read by their issuer.
pub fn good_opaque() -> Good {
    good_opaque_at(host::OPAQUE)
}

/// The same at another API.
pub fn good_opaque_at(host: &'static str) -> Good {
    base(format!("DPoP with an opaque token at {host}"), move || {
        dpop(host, token(), &keys().client, "ES256").opaque("DPoP")
    })
}

/// The same with a nonce, at the API that wants one.
pub fn good_opaque_nonce() -> Good {
    base("DPoP with an opaque token and a nonce".to_owned(), || {
        dpop(host::OPAQUE_NONCE, token(), &keys().client, "ES256")
            .opaque("DPoP")
            .proof(|proof| proof.claims["nonce"] = json!(nonce("opaque-nonce", NOW - 10)))
    })
}

/// An opaque token that is bound to a certificate.
pub fn good_opaque_mtls() -> Good {
    base("mTLS with an opaque token".to_owned(), || mtls(host::OPAQUE, &pki().client).opaque("Bearer"))
}

/// An opaque token that is bound to nothing, where no proof is demanded.
pub fn good_opaque_bearer() -> Good {
    base("Bearer with an opaque token".to_owned(), || bearer(host::OPAQUE_OPEN, token()).opaque("Bearer"))
}

/// A JWT, at the API that has its issuer asked about JWTs too.
pub fn good_asked() -> Good {
    base("DPoP with a token that its issuer is asked about".to_owned(), || {
        dpop(host::ASKED, token(), &keys().client, "ES256").answered(|_| {})
    })
}

/// The text of a token whose claims are its issuer's to tell.
#[derive(Clone)]
pub(super) struct Text {
    text: String,
    /// What the issuer tells is not made of the claims.
    own_answer: bool,
}

impl Good {
    /// The token becomes opaque: what it said, the issuer says.
    fn opaque(mut self, token_type: &str) -> Self {
        self.token.claims["active"] = json!(true);
        self.token.claims["token_type"] = json!(token_type);
        self.opaque = Some(Text { text: fresh_id(), own_answer: false });
        self
    }

    /// Its access token as it is signed.
    pub fn access_token(&self) -> String {
        self.token.compact()
    }

    /// The text of the token, where it is opaque.
    pub fn opaque_text(mut self, text: impl Into<String>) -> Self {
        self.opaque = Some(Text { text: text.into(), own_answer: false });
        self
    }

    /// The issuer answers this about a token that it has signed: that it is active, and what is changed of that.
    pub fn answered(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut answer = json!({"active": true});
        change(&mut answer);
        self.request.answer = Some(answer.to_string().into_bytes());
        self
    }

    /// The issuer answers this text.
    pub fn answered_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.request.answer = Some(text.into());
        self.answers_itself()
    }

    /// The issuer does not answer.
    pub fn unanswered(mut self) -> Self {
        self.request.answer = None;
        self.answers_itself()
    }

    /// What is answered is not made of the token.
    fn answers_itself(mut self) -> Self {
        if let Some(opaque) = &mut self.opaque {
            opaque.own_answer = true;
        }
        self
    }

    /// The token as it is presented; what its issuer says of it is put into the request.
    pub(super) fn presented(&self, request: &mut Request) -> String {
        let Some(Text { text, own_answer }) = &self.opaque else { return self.token.compact() };
        if !own_answer {
            request.answer = Some(self.token.payload());
        }
        text.clone()
    }
}
