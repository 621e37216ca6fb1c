//! `htu`, normalised, and whether it names the request (RFC 9449 §4.3; RFC 3986 §6.2.2, §6.2.3).
//!
//! The origin to compare with is the API's public one from the inventory, and the path is the request's canonical one: no
//! header of the client takes part.

use crate::decision::facts::hex;
use crate::decision::limits;

/// A scheme, host and port that an API is publicly reached at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://host[:port]`; nothing may follow.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (origin, rest) = split(text)?;
        rest.is_empty().then_some(origin)
    }

    /// The host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's default filled in.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As a URI, the scheme's default port left out.
    #[must_use]
    pub fn uri(&self) -> String {
        let (scheme, default) = if self.https { ("https", 443) } else { ("http", 80) };
        if self.port == default {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }
}

/// Whether `htu` names this origin and this path; query and fragment of `htu` do not count (RFC 9449 §4.3).
/// An `htu` that cannot be read names nothing.
#[must_use]
pub fn names(htu: &str, origin: &Origin, path: &str) -> bool {
    if htu.len() > limits::HTU_BYTES {
        return false;
    }
    let Some((named, rest)) = split(htu) else { return false };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let named_path = rest.get(..end).unwrap_or_default();
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || named_path.contains('\\') {
        return false;
    }
    // Most are the same text, in which nothing is to be decoded.
    let same = named_path == path && path.starts_with('/') && !path.contains('%');
    let alike = || normalised(named_path).zip(normalised(path)).is_some_and(|(named, path)| named == path);
    named == *origin && (same || alike())
}

/// Splits a URI into its origin and what follows. No userinfo; the port may be empty.
fn split(uri: &str) -> Option<(Origin, &str)> {
    let (scheme, rest) = uri.split_once("://")?;
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    // An IPv6 literal has colons of its own: its port follows the bracket.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let sound = match literal {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
    };
    if !sound || port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let default = if https { 443 } else { 80 };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    Some((Origin { https, host: host.to_ascii_lowercase(), port }, rest))
}

/// RFC 3986 §6.2.2: escapes of unreserved characters decoded, other escapes in upper case, dot segments removed; §6.2.3: an
/// empty path is `/`.
fn normalised(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("/".to_owned());
    }
    if !path.starts_with('/') {
        return None;
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let (Some(high), Some(low)) = (digit(after, 0), digit(after, 1)) else { return None };
        let octet = high << 4 | low;
        decoded.push_str(before);
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            decoded.push(char::from(octet));
        } else {
            decoded.push('%');
            decoded.push_str(&after.get(..2)?.to_ascii_uppercase());
        }
        rest = after.get(2..)?;
    }
    decoded.push_str(rest);
    Some(without_dot_segments(&decoded))
}

fn digit(text: &str, index: usize) -> Option<u8> {
    text.as_bytes().get(index).copied().and_then(hex)
}

/// RFC 3986 §5.2.4, for a path that begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn named(htu: &str, path: &str) -> bool {
        names(htu, &Origin::parse("https://rs.example.com").unwrap(), path)
    }

    #[test]
    fn dp_09_to_13_equivalent_spellings_name_the_same_target() {
        for (htu, path) in [
            ("https://rs.example.com/a", "/a"),
            ("https://rs.example.com/a?x=1#y", "/a"),
            ("HTTPS://RS.Example.COM/a", "/a"),
            ("https://rs.example.com/%7euser", "/~user"),
            ("https://rs.example.com/%72es", "/res"),
            ("https://rs.example.com/a%3ab", "/a%3Ab"),
            ("https://rs.example.com/a%3Ab", "/a%3ab"),
            ("https://rs.example.com/x/../a", "/a"),
            ("https://rs.example.com/%2e%2e/a/.", "/a/"),
            ("https://rs.example.com:443/a", "/a"),
            ("https://rs.example.com:/a", "/a"),
            ("https://rs.example.com", "/"),
            ("https://rs.example.com?x", "/"),
        ] {
            assert!(named(htu, path), "{htu} {path}");
        }
    }

    #[test]
    fn an_htu_over_the_limit_names_nothing() {
        let htu = |length: usize| format!("https://rs.example.com/x?{}", "y".repeat(length.saturating_sub(25)));
        assert!(named(&htu(limits::HTU_BYTES), "/x"));
        assert!(!named(&htu(limits::HTU_BYTES.saturating_add(1)), "/x"));
    }

    #[test]
    fn dp_14_other_targets_are_other() {
        for (htu, path) in [
            ("https://rs.example.com/A", "/a"),
            ("https://rs.example.com/a/", "/a"),
            ("https://rs.example.com/a", "/a/"),
            ("https://other.example.com/a", "/a"),
            ("https://rs.example.com:8443/a", "/a"),
            ("http://rs.example.com/a", "/a"),
            ("http://rs.example.com:443/a", "/a"),
            ("https://u@rs.example.com/a", "/a"),
            ("https://u:p@rs.example.com/a", "/a"),
            ("https://rs.example.com@evil.test/a", "/a"),
            ("https://rs.example.com./a", "/a"),
            ("https://rs.example.com//a", "/a"),
            ("https://rs.example.com/a//", "/a/"),
            ("https://rs.example.com\\a", "/a"),
            ("https://rs.example.com/\\a", "/a"),
            ("https://rs.example.com/a%2Fb", "/a/b"),
            ("https://rs.example.com/a%", "/a%25"),
            ("https://rs.example.com/a b", "/a%20b"),
            ("https://rs.example.com:99999/a", "/a"),
            ("https://rs.example.com:+443/a", "/a"),
            ("https:///a", "/a"),
            ("//rs.example.com/a", "/a"),
            ("rs.example.com/a", "/a"),
            ("/a", "/a"),
            ("", "/"),
            ("https://rs.example.com/\u{e9}", "/%C3%A9"),
            ("https://[::1]/a", "/a"),
        ] {
            assert!(!named(htu, path), "{htu} {path}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_alone() {
        let origin = Origin::parse("https://[::1]:8443").unwrap();
        assert_eq!((origin.host(), origin.port(), origin.is_https()), ("[::1]", 8443, true));
        for bad in
            ["https://a/", "https://a/b", "https://a?x", "ftp://a", "a", "https://", "https://a:b", "https://a b"]
        {
            assert!(Origin::parse(bad).is_none(), "{bad}");
        }
    }
}
