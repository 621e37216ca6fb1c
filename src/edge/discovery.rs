//! Where an issuer says its endpoints are: RFC 8414 §3, OpenID Connect Discovery §4.
//!
//! Trusted is a document only if its `issuer` is exactly the configured one (RFC 8414 §3.3), and of it only URLs that may be fetched.

use reqwest::Client;
use serde_json::Value;

use crate::config::{self, Url};
use crate::edge::fetch;

/// Whose metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// An authorization server's.
    Server,
    /// A transmitter's of security events (SSF 1.0 §7.2).
    Transmitter,
}

/// The URL at the first of these places of the issuer's metadata that is there; a place is a JSON pointer (RFC 6901).
///
/// # Errors
/// Says why there is none.
pub async fn discover(
    client: &Client,
    (of, issuer): (Metadata, &str),
    allow_loopback_http: bool,
    places: &[&str],
) -> Result<Url, String> {
    let mut why = Vec::new();
    for url in urls(issuer, of) {
        let url = config::key_url(&url, allow_loopback_http).map_err(|wrong| wrong.words().0.to_owned())?;
        match fetch::document(client, url).await {
            Ok(document) => return named(&document, issuer, allow_loopback_http, places),
            Err(error) => why.push(error),
        }
    }
    Err(format!("discovery: {}", why.join("; ")))
}

fn named(document: &[u8], issuer: &str, allow_loopback_http: bool, places: &[&str]) -> Result<Url, String> {
    let document: Value =
        serde_json::from_slice(document).map_err(|_| "the discovery document is no JSON".to_owned())?;
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err("the discovery document is another issuer's".to_owned());
    }
    let name = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    let found = places.iter().find_map(|place| Some((name(place), document.pointer(place)?.as_str()?)));
    let Some((name, url)) = found else {
        let name = places.last().map(|place| name(place)).unwrap_or_default();
        return Err(format!("the discovery document has no {name}"));
    };
    config::key_url(url, allow_loopback_http).map_err(|wrong| format!("{name} {}", wrong.words().0))
}

/// OpenID Connect appends the well-known path; RFC 8414 §3.1 inserts its own between host and path, and so does SSF 1.0 §7.2.1.
fn urls(issuer: &str, of: Metadata) -> Vec<String> {
    let trimmed = issuer.strip_suffix('/').unwrap_or(issuer);
    let (mut urls, inserted) = match of {
        Metadata::Server => (vec![format!("{trimmed}/.well-known/openid-configuration")], "oauth-authorization-server"),
        Metadata::Transmitter => (Vec::new(), "ssf-configuration"),
    };
    if let Ok(mut url) = Url::parse(trimmed) {
        let path = if url.path() == "/" { String::new() } else { url.path().to_owned() };
        url.set_path(&format!("/.well-known/{inserted}{path}"));
        urls.push(url.into());
    }
    urls
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn both_well_known_places_are_tried() {
        assert_eq!(
            urls("https://as.test/tenant", Metadata::Server),
            [
                "https://as.test/tenant/.well-known/openid-configuration",
                "https://as.test/.well-known/oauth-authorization-server/tenant",
            ]
        );
        assert_eq!(
            urls("https://as.test", Metadata::Server),
            [
                "https://as.test/.well-known/openid-configuration",
                "https://as.test/.well-known/oauth-authorization-server"
            ]
        );
        assert_eq!(urls("https://as.test/", Metadata::Server), urls("https://as.test", Metadata::Server));
        assert_eq!(
            urls("https://as.test/tenant", Metadata::Transmitter),
            ["https://as.test/.well-known/ssf-configuration/tenant"]
        );
    }

    #[test]
    fn the_first_place_that_is_there_is_taken() {
        let document = serde_json::json!({
            "issuer": "https://as.test",
            "introspection_endpoint": "https://as.test/introspect",
            "mtls_endpoint_aliases": {"introspection_endpoint": "https://mtls.as.test/introspect"},
            "insecure": "http://as.test/introspect",
        });
        let document = document.to_string();
        let places = ["/mtls_endpoint_aliases/introspection_endpoint", "/introspection_endpoint"];
        let found = |issuer: &str, places: &[&str]| named(document.as_bytes(), issuer, false, places);
        assert_eq!(found("https://as.test", &places).unwrap().as_str(), "https://mtls.as.test/introspect");
        assert_eq!(found("https://as.test", &places[1..]).unwrap().as_str(), "https://as.test/introspect");
        assert!(found("https://as.test/", &places).unwrap_err().contains("another issuer's"));
        assert_eq!(found("https://as.test", &["/a/jwks_uri"]).unwrap_err(), "the discovery document has no jwks_uri");
        assert!(found("https://as.test", &["/insecure"]).unwrap_err().contains("is not https"));
    }
}
