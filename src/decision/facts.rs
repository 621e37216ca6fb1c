//! What the mesh asserts about a request, within limits, behind accessors; the bytes are borrowed.
//!
//! Proves: method, authority and path are well formed and unambiguous; sizes and counts are bounded; the header fields
//! that the decision reads hold no NUL, CR or LF. Trusts the mesh for `source.*` alone. Header lists are kept whole: nobody has
//! merged duplicates away. Conformance §3.11.

use core::net::IpAddr;

use crate::decision::certificate::CertificateFacts;
use crate::decision::denial::Denial;
use crate::decision::limits;

/// A CheckRequest's fields as decoded, unjudged.
#[derive(Default)]
pub struct RawRequest<'a> {
    /// `request.http.method`.
    pub method: &'a [u8],
    /// `request.http.host`.
    pub host: &'a [u8],
    /// `request.http.path`: path and query.
    pub path: &'a [u8],
    /// `request.http.query`; Envoy leaves it empty.
    pub query: &'a [u8],
    /// `request.http.fragment`; Envoy leaves it empty.
    pub fragment: &'a [u8],
    /// Every header field in order: name and value.
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    /// `source.address`.
    pub peer_address: &'a [u8],
    /// `source.principal`.
    pub peer_principal: &'a [u8],
    /// `source.certificate`.
    pub peer_certificate: &'a [u8],
    /// `context_extensions.api`, if the route sends it.
    pub api_hint: Option<&'a [u8]>,
}

/// A request within limits, well formed.
pub struct RequestFacts<'a> {
    point: &'a str,
    method: &'a str,
    authority: Authority<'a>,
    path: &'a str,
    query: Option<&'a str>,
    fields: Fields<'a>,
    peer_ip: Option<IpAddr>,
    peer_principal: &'a [u8],
    peer_certificate: &'a [u8],
    api_hint: Option<&'a [u8]>,
}

/// The header fields that the decision reads, each with all its values in order.
#[derive(Default)]
struct Fields<'a> {
    authorization: Vec<&'a [u8]>,
    dpop: Vec<&'a [u8]>,
    xfcc: Vec<&'a [u8]>,
    client_cert: Vec<&'a [u8]>,
    client_cert_chain: Vec<&'a [u8]>,
    traceparent: Vec<&'a [u8]>,
    request_id: Vec<&'a [u8]>,
    method_override: bool,
}

/// A host with an optional port.
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> RequestFacts<'a> {
    /// Judges a request's form. `point` is the enforcement point: the name of the listener in keybound's own config.
    ///
    /// # Errors
    /// A denial of class `request`.
    pub fn new(point: &'a str, raw: &RawRequest<'a>) -> Result<Self, Denial> {
        let (path, query) = target(raw.path)?;
        if !raw.query.is_empty() || !raw.fragment.is_empty() {
            return Err(Denial::RequestTargetAmbiguous);
        }
        Ok(Self {
            point,
            method: method(raw.method)?,
            authority: authority(raw.host).ok_or(Denial::RequestAuthority)?,
            path,
            query,
            fields: Fields::read(&raw.headers)?,
            peer_ip: address(raw.peer_address),
            peer_principal: raw.peer_principal,
            peer_certificate: raw.peer_certificate,
            api_hint: raw.api_hint,
        })
    }

    /// The enforcement point that asks.
    #[must_use]
    pub fn point(&self) -> &'a str {
        self.point
    }

    /// The method, case kept (RFC 9110 §9.1).
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The host of the authority, case kept.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.authority.host
    }

    /// The port of the authority, if it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.authority.port
    }

    /// The path, as Envoy routes on it: canonical, without query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// What follows the first `?`, undecoded.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The direct peer's address, from `source.address` only.
    #[must_use]
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_ip
    }

    /// The API that the route says it is for.
    #[must_use]
    pub fn api_hint(&self) -> Option<&'a [u8]> {
        self.api_hint
    }

    /// Every `Authorization` field.
    #[must_use]
    pub fn authorization(&self) -> &[&'a [u8]] {
        &self.fields.authorization
    }

    /// Every `DPoP` field.
    #[must_use]
    pub fn dpop(&self) -> &[&'a [u8]] {
        &self.fields.dpop
    }

    /// The one `traceparent` field; correlation only, never evidence.
    #[must_use]
    pub fn traceparent(&self) -> Option<&'a [u8]> {
        match self.fields.traceparent.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The one `X-Request-Id` field, if it is short and plain; for the record only.
    #[must_use]
    pub fn request_id(&self) -> Option<&'a str> {
        let [one] = self.fields.request_id.as_slice() else { return None };
        let plain = one.len() <= limits::REQUEST_ID_BYTES && one.iter().all(u8::is_ascii_graphic);
        core::str::from_utf8(one).ok().filter(|_| plain)
    }

    /// Whether a header, or `_method` in the query, asks for another method than the real one.
    #[must_use]
    pub fn overrides_method(&self) -> bool {
        self.fields.method_override || self.has_parameter("_method")
    }

    /// Whether some reader of queries takes a parameter for this name, which has `_` in it and no other punctuation.
    ///
    /// Names are percent-decoded, and `+` is a space. PHP also leaves leading spaces out, ends a name at NUL or `[`, and takes `.`, a
    /// space and an open `[` for `_`. Other letter cases are other names.
    #[must_use]
    pub fn has_parameter(&self, name: &str) -> bool {
        self.query.is_some_and(|query| {
            query.split(['&', ';']).any(|parameter| {
                let named = parameter.split_once('=').map_or(parameter, |(named, _)| named);
                loosely_eq(named, name)
            })
        })
    }

    /// What the mesh says about the client certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateFacts<'_> {
        CertificateFacts {
            peer_certificate: self.peer_certificate,
            peer_principal: self.peer_principal,
            xfcc: &self.fields.xfcc,
            client_cert: &self.fields.client_cert,
            client_cert_chain: &self.fields.client_cert_chain,
        }
    }
}

impl<'a> Fields<'a> {
    fn read(headers: &[(&'a [u8], &'a [u8])]) -> Result<Self, Denial> {
        if headers.len() > limits::HEADERS {
            return Err(Denial::RequestLimitExceeded);
        }
        let mut fields = Self::default();
        let mut left = limits::HEADER_BYTES;
        for (name, value) in headers {
            left = left
                .checked_sub(name.len())
                .and_then(|left| left.checked_sub(value.len()))
                .ok_or(Denial::RequestLimitExceeded)?;
            fields.keep(name, value)?;
        }
        Ok(fields)
    }

    /// Envoy sends names in lower case; they are matched without case anyway.
    fn keep(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Denial> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let list = match name.len() {
            13 if is("authorization") => &mut self.authorization,
            4 if is("dpop") => &mut self.dpop,
            23 if is("x-forwarded-client-cert") => &mut self.xfcc,
            11 if is("client-cert") => &mut self.client_cert,
            17 if is("client-cert-chain") => &mut self.client_cert_chain,
            11 if is("traceparent") => &mut self.traceparent,
            12 if is("x-request-id") => &mut self.request_id,
            13 | 17 | 22 if is("x-http-method") || is("x-method-override") || is("x-http-method-override") => {
                self.method_override = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        // CVE-2019-9900: such bytes end or split a value for some readers.
        if memchr::memchr3(0, b'\r', b'\n', value).is_some() {
            return Err(Denial::RequestMalformed);
        }
        list.push(value);
        Ok(())
    }
}

/// An IPv4 address in its IPv6 form (`::ffff:192.0.2.1`, as proxies on dual-stack sockets write it) is that IPv4 address:
/// policies name it so, and Cedar takes the other form for no address.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = core::str::from_utf8(bytes).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// RFC 9110 §9.1: a token.
fn method(bytes: &[u8]) -> Result<&str, Denial> {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if bytes.is_empty() || bytes.len() > limits::METHOD_BYTES || !bytes.iter().all(token) {
        return Err(Denial::RequestMalformed);
    }
    core::str::from_utf8(bytes).map_err(|_| Denial::RequestMalformed)
}

/// RFC 3986 §3.2.2 and §3.2.3, without userinfo: a registered name of unreserved characters, an IPv4 address or an IPv6
/// literal, and a port of digits. Judged before it is used anywhere: `host/path?` would move a path into a query.
fn authority(bytes: &[u8]) -> Option<Authority<'_>> {
    let text = core::str::from_utf8(bytes).ok().filter(|text| text.len() <= limits::AUTHORITY_BYTES)?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<core::net::Ipv6Addr>().ok()?;
            let host = text.get(..address.len().checked_add(2)?)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if host.is_empty() || !(host.starts_with('[') || host.bytes().all(name)) {
        return None;
    }
    let port = match port {
        None => None,
        Some(digits) if !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
    };
    Some(Authority { host, port })
}

/// Splits at the first `?` and refuses every path that two readers could read in two ways: it is looked at as bytes and by
/// no URL parser (CVE-2026-26205, CVE-2026-33186, CVE-2021-32779).
fn target(bytes: &[u8]) -> Result<(&str, Option<&str>), Denial> {
    if bytes.len() > limits::TARGET_BYTES {
        return Err(Denial::RequestLimitExceeded);
    }
    if !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(Denial::RequestTargetAmbiguous);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Denial::RequestTargetAmbiguous)?;
    if text.contains('#') {
        return Err(Denial::RequestTargetAmbiguous);
    }
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    if is_canonical(path) { Ok((path, query)) } else { Err(Denial::RequestTargetAmbiguous) }
}

fn is_canonical(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    if rest.contains([';', '\\']) || path.contains("//") || !escapes_are_needed(rest.as_bytes()) {
        return false;
    }
    let mut segments = rest.split('/');
    segments.clone().count() <= limits::PATH_SEGMENTS && !segments.any(|segment| matches!(segment, "." | ".."))
}

/// Every `%` starts an escape of an octet that had to be escaped, and that is neither a slash nor a backslash nor a control.
fn escapes_are_needed(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let octet = match rest.get(at.saturating_add(1)..at.saturating_add(3)) {
            Some([high, low]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let Some(octet) = octet else { return false };
        // `%2541` is `%41` to a server that decodes once, and `A` to one that decodes twice.
        let twice =
            || matches!(rest.get(at.saturating_add(3)..), Some([high, low, ..]) if hex(*high).and(hex(*low)).is_some());
        if octet == b'%' && twice() {
            return false;
        }
        let unreserved = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
        if unreserved || octet.is_ascii_control() || matches!(octet, b'/' | b'\\') {
            return false;
        }
        rest = rest.get(at.saturating_add(3)..).unwrap_or_default();
    }
    true
}

fn loosely_eq(encoded: &str, plain: &str) -> bool {
    let decoded = loosely_decoded(encoded);
    let until = |ends: &[u8]| {
        let end = decoded.iter().position(|byte| ends.contains(byte));
        decoded.get(..end.unwrap_or(decoded.len())).unwrap_or_default().trim_ascii_start()
    };
    // A `[` that nothing closes is one more `_`.
    let same = |(read, plain): (&u8, u8)| *read == plain || (plain == b'_' && matches!(read, b'.' | b' ' | b'['));
    let is = |read: &[u8]| read.len() == plain.len() && read.iter().zip(plain.bytes()).all(same);
    is(until(&[0])) || is(until(&[0, b'[']))
}

/// Percent-decoded, `+` too, as queries are (ASCII, by now); an escape that is none stays as it is.
fn loosely_decoded(mut text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some(first) = text.as_bytes().first().copied() {
        let escape = text.get(..3).filter(|_| first == b'%').and_then(octets);
        text = text.get(if escape.is_some() { 3 } else { 1 }..).unwrap_or_default();
        bytes.extend(escape.unwrap_or_else(|| vec![if first == b'+' { b' ' } else { first }]));
    }
    bytes
}

/// Percent-decoded; `None` if an escape is none.
pub(super) fn octets(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'%', high, low, rest @ ..] => {
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a' - 10),
        b'A'..=b'F' => digit.checked_sub(b'A' - 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
