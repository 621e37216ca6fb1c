//! One document from an issuer, by HTTP, with a word on what went wrong.
//!
//! Redirects are not followed, sizes and times are capped, and link-local and metadata addresses are refused after name resolution
//! too. Errors name the URL without what may be secret in it.

use core::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};

use crate::config::{self, Url};

/// A key set or a discovery document, at most.
const DOCUMENT_BYTES: usize = 1024 * 1024;
/// A certificate revocation list, at most: some 200,000 certificates.
pub const LIST_BYTES: usize = 8 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(10);

/// What fetches. `ca` is PEM, and trusted beside the system's.
///
/// # Errors
/// `ca` holds no PEM certificates; says why.
pub fn client(ca: Option<&[u8]>) -> Result<Client, String> {
    guarded(ca)?.connect_timeout(CONNECT).timeout(WHOLE).build().map_err(|error| error.to_string())
}

/// The same before it has timeouts.
///
/// # Errors
/// As above.
pub fn guarded(ca: Option<&[u8]>) -> Result<ClientBuilder, String> {
    let builder =
        Client::builder().redirect(redirect::Policy::none()).no_proxy().dns_resolver(Arc::new(GuardedResolver));
    let Some(pem) = ca else { return Ok(builder) };
    let certificates = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string())?;
    Ok(builder.tls_certs_merge(certificates))
}

/// What is at a URL.
///
/// # Errors
/// Says why it could not be had, and from where.
pub async fn document(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    let place = place(url.clone());
    read(client, url, "application/json", DOCUMENT_BYTES).await.map_err(|why| format!("{place}: {why}"))
}

/// The certificate revocation list at a URL (RFC 2585 §4.2).
///
/// # Errors
/// As [`document`].
pub async fn list(client: &Client, url: Url) -> Result<Vec<u8>, String> {
    let place = place(url.clone());
    read(client, url, "application/pkix-crl, */*;q=0.5", LIST_BYTES).await.map_err(|why| format!("{place}: {why}"))
}

async fn read(client: &Client, url: Url, accept: &str, most: usize) -> Result<Vec<u8>, String> {
    let told = |error: reqwest::Error| causes(&error.without_url());
    let answer = client.get(url).header("accept", accept).send().await.map_err(told)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("status {}", answer.status().as_u16()));
    }
    body(answer, most).await
}

/// The body of an answer, of so many bytes at most.
///
/// # Errors
/// Says why it could not be had.
pub async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, String> {
    let told = |error: reqwest::Error| causes(&error.without_url());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(format!("more than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A URL as logs may have it: what grants access stands in front of the host or in the query.
#[must_use]
pub fn place(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return url.host_str().unwrap_or_default().to_owned();
    }
    url.into()
}

/// An error and what it came from, down to the system's or the peer's own word; what one repeats of the next is left out.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut told = vec![error.to_string()];
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        if let Some(last) = told.last_mut()
            && last.ends_with(&text)
        {
            last.truncate(last.len().saturating_sub(text.len()));
            *last = last.trim_end_matches([':', ' ']).to_owned();
        }
        told.push(text);
        below = cause.source();
    }
    told.retain(|each| !each.is_empty());
    told.join(": ")
}

/// Refuses names that resolve to a link-local or metadata address.
struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|address| config::is_forbidden_address(address.ip())) {
                return Err(io::Error::other("the name resolves to a forbidden address").into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn an_error_names_the_place_and_the_last_cause_and_no_secret() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = Url::parse(&format!("http://user:word@{address}/jwks?key=hidden")).unwrap();
        let told = document(&client(None).unwrap(), url).await.unwrap_err();
        assert!(told.starts_with(&format!("http://{address}/jwks: ")), "{told}");
        assert!(told.contains("Connection refused"), "{told}");
        assert!(["user", "word", "hidden"].iter().all(|secret| !told.contains(secret)), "{told}");
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_tls_is_told_apart() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("https://{}/jwks", listener.local_addr().unwrap())).unwrap();
        let client = client(None).unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            std::future::pending::<()>().await;
        };
        let told = tokio::select! { told = document(&client, url) => told.unwrap_err(), () = answer => String::new() };
        assert!(told.contains("InvalidContentType"), "{told}");
    }
}
