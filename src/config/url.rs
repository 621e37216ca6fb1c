//! Where keys may be fetched from.
//!
//! Trusted: DNS, for what a name resolves to. Refused: anything but https (plain http to loopback where a laboratory
//! says so), user names and passwords, and addresses that answer to whoever asks from inside: link-local and the
//! metadata services of clouds.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A URL, parsed by the parser of the client that will fetch it: `http://2852039166/` is 169.254.169.254 for both.
pub use reqwest::Url;

/// Metadata services outside the link-local range: Azure, Alibaba Cloud, Oracle Cloud, AWS, Google Cloud.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongUrl {
    /// It cannot be parsed, has other characters than visible ASCII, or has no host.
    Malformed,
    /// It has a fragment.
    Fragment,
    /// It holds a user name or a password.
    Credentials,
    /// Neither https, nor plain http to loopback where that is allowed.
    Insecure,
    /// Neither https nor http.
    Scheme,
    /// The address answers to whoever asks from inside.
    ForbiddenAddress,
}

impl WrongUrl {
    /// What is wrong, and what would be right.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("is no URL", "write an absolute https URL in visible ASCII"),
            Self::Fragment => ("has a fragment", "leave out `#` and what follows"),
            Self::Credentials => ("holds a user name or a password", "leave out what stands before the `@`"),
            Self::Insecure => (
                "is not https",
                "write https://; plain http is for loopback hosts only, with `allow_loopback_http: true`",
            ),
            Self::Scheme => ("is neither https nor http", "write an absolute URL with one of them"),
            Self::ForbiddenAddress => (
                "is a link-local or cloud metadata address",
                "name a host that serves keys; such an address would answer with secrets of this machine",
            ),
        }
    }
}

/// The URL, if keys may be fetched from there.
///
/// # Errors
/// Says why not.
pub fn key_url(text: &str, allow_loopback_http: bool) -> Result<Url, WrongUrl> {
    let (url, loopback) = sound(text)?;
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback && allow_loopback_http) {
        return Err(WrongUrl::Insecure);
    }
    Ok(url)
}

/// The URL, if a certificate revocation list may be fetched from there: it is signed, so plain http does.
///
/// # Errors
/// Says why not.
pub fn crl_url(text: &str) -> Result<Url, WrongUrl> {
    let (url, _) = sound(text)?;
    if matches!(url.scheme(), "https" | "http") { Ok(url) } else { Err(WrongUrl::Scheme) }
}

/// A URL that something may be fetched from, and whether it names this very machine.
fn sound(text: &str) -> Result<(Url, bool), WrongUrl> {
    // The parser strips spaces and line breaks; what it reads must be what is written.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(WrongUrl::Malformed);
    }
    let url = Url::parse(text).map_err(|_| WrongUrl::Malformed)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(WrongUrl::Malformed)?;
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WrongUrl::Credentials);
    }
    if url.fragment().is_some() {
        return Err(WrongUrl::Fragment);
    }
    if address.is_some_and(is_forbidden_address) {
        return Err(WrongUrl::ForbiddenAddress);
    }
    let loopback = host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
    Ok((url, loopback))
}

/// Whether nothing may be fetched from this address.
#[must_use]
pub fn is_forbidden_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local || address.is_unspecified() || address.is_multicast() || METADATA.contains(&address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_forbidden_address_is_known_in_every_form() {
        let forbidden = |text: &str| is_forbidden_address(text.parse::<IpAddr>().unwrap());
        assert!(forbidden("169.254.170.2") && forbidden("::ffff:168.63.129.16") && forbidden("::"));
        assert!(!forbidden("127.0.0.1") && !forbidden("10.0.0.1") && !forbidden("2001:db8::1"));
    }
}
