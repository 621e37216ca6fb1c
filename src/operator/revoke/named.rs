//! What is to be revoked, from the arguments: tokens and certificates are read here, and only their names leave.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::unasked;
use crate::decision::limits::TOKEN_BYTES;
use crate::decision::revocation::{Target, Thumbprint};
use crate::edge::files;
use crate::edge::revocations::admin::client::Unasked;

/// The target of a token in a file.
pub(super) fn token(path: &Path, issuer: Option<String>) -> Result<Target, Unasked> {
    of_token(&content(path)?, issuer)
}

/// The token in a file.
pub(in crate::operator) fn content(path: &Path) -> Result<String, Unasked> {
    let limit = u64::try_from(TOKEN_BYTES).unwrap_or(u64::MAX);
    let content = files::read(path, limit).map_err(|problem| Unasked(problem.to_string()))?;
    let token = content.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        return Err(unasked("error: the file holds no token\n  help: write the token and nothing else"));
    }
    Ok(String::from_utf8_lossy(token).into_owned())
}

/// The target of a token: by its id if it has one, which stays the same whatever is done to its text; else by its hash, a JWT
/// by that of its text without the signature.
pub(in crate::operator) fn of_token(token: &str, issuer: Option<String>) -> Result<Target, Unasked> {
    let claims = claims(token);
    let text = |name: &str| claims.as_ref().and_then(|claims| claims.get(name)?.as_str().map(str::to_owned));
    let issuer = match (issuer, text("iss")) {
        (Some(given), Some(own)) if given != own => {
            return Err(Unasked(format!(
                "error: the token is of {own}\n  help: leave out --issuer, or look for another file"
            )));
        }
        (Some(issuer), _) | (None, Some(issuer)) => issuer,
        (None, None) => {
            return Err(unasked("error: the token does not say who issued it\n  help: write --issuer"));
        }
    };
    if let Some(jti) = text("jti") {
        return Ok(Target::Token { issuer, jti });
    }
    // Whoever holds a JWT can make another signature of an ECDSA one, so that its whole text would name no more than one of two.
    let named = if claims.is_some() { token.rsplit_once('.').map_or(token, |(signed, _)| signed) } else { token };
    Ok(Target::TokenHash { issuer, sha256: hash(named.as_bytes()) })
}

/// The claims of a JWT, believed: a name that is wrong revokes nothing.
pub(in crate::operator) fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.is_object().then_some(claims)
}

/// The target of the first certificate in a PEM file.
pub(in crate::operator) fn certificate(path: &Path) -> Result<Target, Unasked> {
    let pem = files::read(path, files::FILE_BYTES).map_err(|problem| Unasked(problem.to_string()))?;
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|_| unasked("error: the file holds no certificate\n  help: give it in PEM"))?;
    Ok(Target::Certificate { thumbprint: hash(&der) })
}

pub(super) fn thumbprint(text: &str) -> Result<Thumbprint, Unasked> {
    let read = serde_json::from_value(Value::String(text.to_owned()));
    read.map_err(|error| Unasked(format!("error: `{text}` is {error}")))
}

fn hash(bytes: &[u8]) -> Thumbprint {
    Thumbprint(digest(&SHA256, bytes).as_ref().first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn target(token: &str, issuer: Option<&str>) -> Result<Target, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token).unwrap();
        super::token(file.path(), issuer.map(str::to_owned)).map_err(|unasked| unasked.0)
    }

    #[test]
    fn a_token_is_named_by_its_id_or_else_by_its_hash() {
        let jwt = |claims: &str| format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(claims));
        let (issuer, jti) = ("https://as.test".to_owned(), "a".to_owned());
        let by_id = Ok(Target::Token { issuer: issuer.clone(), jti });
        assert_eq!(target(&jwt(r#"{"iss":"https://as.test","jti":"a"}"#), None), by_id);
        assert_eq!(target(&jwt(r#"{"iss":"https://as.test","jti":"a"}"#), Some("https://as.test")), by_id);
        assert!(target(&jwt(r#"{"iss":"https://as.test","jti":"a"}"#), Some("https://b.test")).is_err());
        // RFC 4648 and FIPS 180: SHA-256 of "abc".
        let sha256 = thumbprint("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0").unwrap();
        assert_eq!(target(" abc\n", Some("https://as.test")), Ok(Target::TokenHash { issuer, sha256 }));
        assert!(matches!(target(&jwt(r#"{"iss":"https://as.test"}"#), None), Ok(Target::TokenHash { .. })));
        for nothing in ["", "abc", "a b", "e30.e30.c2ln"] {
            let told = target(nothing, None).unwrap_err();
            assert!(told.contains("help: ") && (nothing.is_empty() || !told.contains(nothing)), "{told}");
        }
    }
}
