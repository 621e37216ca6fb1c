//! A token by the client credentials grant (RFC 6749 §4.4), for one resource (RFC 8707), bound by DPoP (RFC 9449 §5) or to the
//! certificate of the connection (RFC 8705 §3). A nonce that the server asks for (RFC 9449 §8) is given, once.
//!
//! Neither secret nor token nor any text of the answer but its `error` code is in a message.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Client, Response};
use serde_json::Value;

use super::entrance::nonce_of;
use super::proof::{Occasion, ProofKey};
use crate::config::Url;
use crate::decision::limits::{INTROSPECTION_BYTES, TOKEN_BYTES};
use crate::edge::introspection::assertion::Signer;
use crate::edge::introspection::{basic, encoded, secret};
use crate::edge::{clock, fetch};

/// How the client shows who it is (RFC 6749 §2.3, RFC 7523 §2.2, RFC 8705 §2).
pub enum Shown {
    /// `client_secret_basic`: the value of `Authorization`.
    Basic(HeaderValue),
    /// `client_secret_post`: the secret, encoded for a form.
    Post(String),
    /// `private_key_jwt`, and the audience of its assertions.
    Signed(Box<Signer>, String),
    /// The certificate of the connection.
    Certificate,
}

impl Shown {
    /// A secret, from the content of its file.
    #[must_use]
    pub fn secret(client_id: &str, file: &[u8], in_form: bool) -> Option<Self> {
        let secret = secret(file)?;
        if in_form { Some(Self::Post(encoded(secret))) } else { basic(client_id, secret).map(Self::Basic) }
    }
}

/// What is asked for, where and by whom.
pub struct Grant {
    /// The token endpoint.
    pub endpoint: Url,
    /// Who asks.
    pub client_id: String,
    /// How that is shown.
    pub shown: Shown,
    /// `scope`, `resource`, `audience`: names and values that the form has beside.
    pub wanted: Vec<(&'static str, String)>,
}

/// What was granted. It is in no `Debug`.
pub struct Granted {
    /// The token.
    pub token: String,
    /// `token_type` is `DPoP`.
    pub is_dpop: bool,
    /// Seconds, if the server says so.
    pub expires_in: Option<i64>,
}

impl Grant {
    /// Asks for a token.
    ///
    /// # Errors
    /// There was none; says why.
    pub async fn ask(&self, client: &Client, key: Option<&ProofKey>) -> Result<Granted, String> {
        let place = fetch::place(self.endpoint.clone());
        self.granted(client, key).await.map_err(|why| format!("{place}: {why}"))
    }

    async fn granted(&self, client: &Client, key: Option<&ProofKey>) -> Result<Granted, String> {
        let (mut status, mut headers, mut body) = self.call(client, key, None).await?;
        if status == StatusCode::BAD_REQUEST
            && code(&body) == Some("use_dpop_nonce")
            && let Some(nonce) = nonce_of(&headers)
        {
            (status, headers, body) = self.call(client, key, Some(&nonce)).await?;
        }
        drop(headers);
        if status != StatusCode::OK {
            let told = code(&body).map_or_else(String::new, |code| format!(" {code}"));
            return Err(format!("status {}{told}", status.as_u16()));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let token = text("access_token").filter(|token| {
            !token.is_empty() && token.len() <= TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic())
        });
        let token = token.ok_or("the answer has no access_token")?.to_owned();
        let kind = text("token_type").unwrap_or_default();
        let is_dpop = kind.eq_ignore_ascii_case("DPoP");
        if !is_dpop && !kind.eq_ignore_ascii_case("Bearer") {
            return Err("the answer's token_type is neither Bearer nor DPoP".to_owned());
        }
        Ok(Granted { token, is_dpop, expires_in: body.get("expires_in").and_then(Value::as_i64) })
    }

    async fn call(
        &self,
        client: &Client,
        key: Option<&ProofKey>,
        nonce: Option<&str>,
    ) -> Result<(StatusCode, HeaderMap, Value), String> {
        let mut form = "grant_type=client_credentials".to_owned();
        let mut add = |name: &str, value: &str| form.extend(["&", name, "=", value]);
        for (name, value) in &self.wanted {
            add(name, &encoded(value.as_bytes()));
        }
        let mut request = client.post(self.endpoint.clone()).header(ACCEPT, "application/json");
        let id = encoded(self.client_id.as_bytes());
        match &self.shown {
            Shown::Basic(header) => request = request.header(AUTHORIZATION, header.clone()),
            Shown::Post(secret) => {
                add("client_id", &id);
                add("client_secret", secret);
            }
            Shown::Signed(signer, audience) => {
                let assertion = signer.assertion(&self.client_id, audience, clock::now());
                add("client_id", &id);
                add("client_assertion_type", "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
                add("client_assertion", &assertion.ok_or("no client assertion could be signed")?);
            }
            Shown::Certificate => add("client_id", &id),
        }
        if let Some(key) = key {
            let target = target_of(&self.endpoint);
            let proof = key.proof(&Occasion { method: "POST", target: &target, token: None, nonce });
            request = request.header("dpop", proof.ok_or("no proof could be signed")?);
        }
        let sent = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form).send().await;
        let answer: Response = sent.map_err(|error| fetch::causes(&error.without_url()))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = fetch::body(answer, INTROSPECTION_BYTES).await?;
        Ok((status, headers, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// A URL as `htu` names it (RFC 9449 §4.2).
#[must_use]
pub fn target_of(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The `error` of an answer (RFC 6749 §5.2), if it is a plain word.
fn code(body: &Value) -> Option<&str> {
    let code = body.get("error")?.as_str()?;
    (code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(code)
}
