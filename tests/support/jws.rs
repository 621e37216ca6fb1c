//! A JWS as data: change header, claims, signer or text, and it is signed after the change.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::keys::SigningKey;
use super::{base64url, sha256};

type Edit<T> = Arc<dyn Fn(T) -> T + Send + Sync>;
type Sign = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;
type Hash = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Stands for the hash of the token that the proof goes with, until the token is signed.
pub const HASH_OF_TOKEN: &str = "(ath)";

/// A JWS before it is signed.
#[derive(Clone)]
pub struct Jws {
    /// The protected header.
    pub header: Value,
    /// The payload.
    pub claims: Value,
    sign: Sign,
    hash: Hash,
    edit_header: Option<Edit<Vec<u8>>>,
    edit_claims: Option<Edit<Vec<u8>>>,
    edit_signature: Option<Edit<Vec<u8>>>,
    edit_text: Option<Edit<String>>,
}

impl Jws {
    /// Signed by `key` with `algorithm`, which the header names.
    pub fn new(token_type: &str, algorithm: &'static str, key: &'static SigningKey, claims: Value) -> Self {
        Self {
            header: json!({"typ": token_type, "alg": algorithm}),
            claims,
            sign: Arc::new(move |input| key.sign(algorithm, input)),
            hash: Arc::new(|token| sha256(token)),
            edit_header: None,
            edit_claims: None,
            edit_signature: None,
            edit_text: None,
        }
    }

    /// Another key or algorithm signs; the header does not say so.
    pub fn signed_by(&mut self, key: &'static SigningKey, algorithm: &'static str) {
        self.sign = Arc::new(move |input| key.sign(algorithm, input));
    }

    /// Whatever this gives for the signing input is the signature.
    pub fn signed_with(&mut self, sign: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) {
        self.sign = Arc::new(sign);
    }

    /// `ath` is whatever this gives for the token.
    pub fn hash_with(&mut self, hash: impl Fn(&str) -> String + Send + Sync + 'static) {
        self.hash = Arc::new(hash);
    }

    /// Leaves a claim out.
    pub fn without(&mut self, claim: &str) {
        self.claims.as_object_mut().expect("claims").remove(claim).expect("a claim to leave out");
    }

    /// Leaves a header member out.
    pub fn without_header(&mut self, member: &str) {
        self.header.as_object_mut().expect("a header").remove(member).expect("a member to leave out");
    }

    /// Changes the header's JSON text.
    pub fn edit_header(&mut self, edit: impl Fn(String) -> String + Send + Sync + 'static) {
        self.edit_header = Some(text_edit(edit));
    }

    /// Changes the payload's JSON text.
    pub fn edit_claims(&mut self, edit: impl Fn(String) -> String + Send + Sync + 'static) {
        self.edit_claims = Some(text_edit(edit));
    }

    /// Puts these bytes in the place of the header's JSON text.
    pub fn replace_header(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        self.edit_header = Some(Arc::new(edit));
    }

    /// Puts these bytes in the place of the payload's JSON text.
    pub fn replace_claims(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        self.edit_claims = Some(Arc::new(edit));
    }

    /// Changes the signature's bytes.
    pub fn edit_signature(&mut self, edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        self.edit_signature = Some(Arc::new(edit));
    }

    /// Changes the finished text.
    pub fn edit_text(&mut self, edit: impl Fn(String) -> String + Send + Sync + 'static) {
        self.edit_text = Some(Arc::new(edit));
    }

    /// Adds a member to the JSON text of the header, whatever is there already.
    pub fn add_to_header(&mut self, member: &'static str) {
        self.edit_header(move |text| text.replacen('{', &format!("{{{member},"), 1));
    }

    /// Adds a member to the JSON text of the payload, whatever is there already.
    pub fn add_to_claims(&mut self, member: &'static str) {
        self.edit_claims(move |text| text.replacen('{', &format!("{{{member},"), 1));
    }

    /// The payload's JSON text.
    pub fn payload(&self) -> Vec<u8> {
        edited(self.claims.to_string().into_bytes(), self.edit_claims.as_ref())
    }

    /// The compact serialisation.
    pub fn compact(&self) -> String {
        self.compact_for("")
    }

    /// The compact serialisation of a proof that goes with this token.
    pub fn compact_for(&self, token: &str) -> String {
        let mut claims = self.claims.clone();
        if claims.get("ath").is_some_and(|hash| hash == HASH_OF_TOKEN) {
            claims["ath"] = json!((self.hash)(token));
        }
        let part =
            |value: &Value, edit: Option<&Edit<Vec<u8>>>| base64url(edited(value.to_string().into_bytes(), edit));
        let input =
            format!("{}.{}", part(&self.header, self.edit_header.as_ref()), part(&claims, self.edit_claims.as_ref()));
        let signature = edited((self.sign)(input.as_bytes()), self.edit_signature.as_ref());
        edited(format!("{input}.{}", base64url(signature)), self.edit_text.as_ref())
    }
}

fn edited<T>(value: T, edit: Option<&Edit<T>>) -> T {
    match edit {
        Some(edit) => edit(value),
        None => value,
    }
}

fn text_edit(edit: impl Fn(String) -> String + Send + Sync + 'static) -> Edit<Vec<u8>> {
    Arc::new(move |bytes| edit(String::from_utf8(bytes).expect("JSON text")).into_bytes())
}

/// Says nothing about what it would sign.
impl fmt::Debug for Jws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").finish_non_exhaustive()
    }
}
