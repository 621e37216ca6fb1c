//! Where keybound listens.

use core::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::admin::AdminListener;
use super::raw;
use super::sections::Tls;
use crate::problem::{Findings, Position};
use crate::yaml::Node;

/// Where keybound listens. Names and addresses are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// Those that answer Envoy, at least one.
    pub check: Vec<CheckListener>,
    /// Plain HTTP: `/livez`, `/readyz`, `/metrics`.
    pub probes: Option<SocketAddr>,
    /// Plain HTTP: RFC 9728 documents.
    pub public: Option<SocketAddr>,
    /// Revocations.
    pub admin: Option<AdminListener>,
    /// Security events.
    pub events: Option<EventsListener>,
}

/// The listener to which transmitters push security events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its TLS; plain text on loopback if absent.
    pub tls: Option<Tls>,
}

/// A listener that answers Envoy's `ext_authz` gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckListener {
    /// The enforcement point, part of the replay key.
    pub name: String,
    /// Where it listens.
    pub address: ListenAddress,
    /// TLS towards Envoy.
    pub tls: Option<Tls>,
    /// Whether gRPC reflection is served.
    pub reflection: bool,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and a port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// As it is configured.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenAddress {
    /// Whether a network other than our own host can reach it.
    fn is_exposed(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }

    /// Whether the system would refuse the second of the two.
    fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(other)) => one == other,
            (Self::Tcp(one), Self::Tcp(other)) => {
                let wildcard = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() != 0
                    && one.port() == other.port()
                    && (one.ip() == other.ip() || (wildcard && one.is_ipv4() == other.is_ipv4()))
            }
            (Self::Tcp(_), Self::Unix(_)) | (Self::Unix(_), Self::Tcp(_)) => false,
        }
    }
}

pub(super) fn settle(written: raw::Listeners, node: &Node, findings: &mut Findings) -> Listeners {
    let mut taken = Vec::new();
    let mut check: Vec<CheckListener> = Vec::new();
    for (index, listener) in written.check.into_iter().enumerate() {
        let node = node.key("check").item(index);
        check_name(&listener.name, &check, node.key("name").at, findings);
        let tls = listener.tls.map(|tls| settle_tls(&tls, node.key("tls"), findings));
        let Some(address) = address(&listener.address, node.key("address"), &mut taken, findings) else { continue };
        if address.is_exposed() {
            warn_of_exposure(&listener.name, tls.as_ref(), node, findings);
        }
        check.push(CheckListener { name: listener.name, address, tls, reflection: listener.reflection });
    }
    let mut plain = |text: Option<String>, key: &str, findings: &mut Findings| {
        let node = if ["admin", "events"].contains(&key) { node.key(key).key("address") } else { node.key(key) };
        match address(&text?, node, &mut taken, findings)? {
            ListenAddress::Tcp(address) => Some(address),
            ListenAddress::Unix(_) => {
                findings.error(node.at, format!("`{key}` is a Unix socket"), "write an IP address and a port");
                None
            }
        }
    };
    let probes = plain(written.probes, "probes", findings);
    let public = plain(written.public, "public", findings);
    let (address, tls) = written.admin.map_or((None, None), |admin| (Some(admin.address), admin.tls));
    let admin = plain(address, "admin", findings).map(|address| {
        let files = |tls: raw::AdminTls| Tls {
            certificate: tls.certificate,
            key: tls.key,
            client_ca: tls.client_ca,
            callers: None,
        };
        let tls = tls.map(|tls| settle_tls(&files(tls), node.key("admin").key("tls"), findings));
        AdminListener { address, tls, certificate_optional: false }
    });
    let (address, tls) = written.events.map_or((None, None), |events| (Some(events.address), events.tls));
    let events = plain(address, "events", findings).map(|address| {
        let files =
            |tls: raw::EventsTls| Tls { certificate: tls.certificate, key: tls.key, client_ca: None, callers: None };
        let tls = tls.map(|tls| settle_tls(&files(tls), node.key("events").key("tls"), findings));
        EventsListener { address, tls }
    });
    Listeners { check, probes, public, admin, events }
}

/// Whoever can call keybound chooses what it is told, and can use up the proofs of others.
fn warn_of_exposure(name: &str, tls: Option<&Tls>, node: &Node, findings: &mut Findings) {
    match tls {
        None => findings.warning(
            node.key("address").at,
            format!("listener `{name}` is open to the network without TLS"),
            "add `tls` with `client_ca`, or listen on loopback or a unix: socket; whoever can write on the way \
             can change answers",
        ),
        Some(tls) if tls.client_ca.is_none() => findings.warning(
            node.key("tls").at,
            format!("listener `{name}` is open to the network and asks no caller who it is"),
            "add `client_ca`, the CA of Envoy's certificates; whoever can call keybound chooses what it is told, and \
             can use up the proofs of others",
        ),
        Some(_) => {}
    }
}

fn check_name(name: &str, before: &[CheckListener], at: Position, findings: &mut Findings) {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.len() > 32 || !name.bytes().all(allowed) {
        findings.error(at, format!("`{name}` is no listener name"), "write 1 to 32 of `a-z`, `0-9` and `-`");
    }
    if before.iter().any(|other| other.name == name) {
        findings.error(
            at,
            format!("two listeners are named `{name}`"),
            "give each its own name: it is the enforcement point and part of the replay key",
        );
    }
}

fn settle_tls(written: &Tls, node: &Node, findings: &mut Findings) -> Tls {
    if written.callers.is_some() && written.client_ca.is_none() {
        findings.error(
            node.key("callers").at,
            "`callers` names who may call, but without `client_ca` no caller shows who it is",
            "add `client_ca`, the CA that the callers' certificates chain to",
        );
    }
    for (index, caller) in written.callers.iter().flatten().enumerate() {
        if !is_uri(caller) && !is_dns_name(caller) {
            findings.error(
                node.key("callers").item(index).at,
                format!("`{caller}` is neither a URI nor a DNS name: no caller can have it"),
                "write a name from the certificate's subject alternative names, such as `spiffe://example.org/gateway` \
                 or `envoy.example.org`; its subject (`CN=…`) and its IP addresses are not looked at",
            );
        }
    }
    Tls {
        certificate: findings.path(node.key("certificate"), &written.certificate),
        key: findings.path(node.key("key"), &written.key),
        client_ca: written.client_ca.as_deref().map(|path| findings.path(node.key("client_ca"), path)),
        callers: written.callers.clone(),
    }
}

/// RFC 3986 §3, as far as it matters: a scheme, and visible ASCII. `DNS:` and `URI:` are what tools print before a name.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.bytes().all(of_scheme);
    let rest_fits = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic());
    scheme_fits && rest_fits && !["DNS", "URI"].contains(&scheme) && text.parse::<IpAddr>().is_err()
}

/// RFC 1034 §3.1, with `_`, and `*` because a certificate may say so; it is compared as text all the same.
pub(super) fn is_dns_name(text: &str) -> bool {
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(of_label);
    text.len() <= 253 && text.split('.').all(label) && text.parse::<IpAddr>().is_err()
}

fn address(text: &str, node: &Node, taken: &mut Vec<ListenAddress>, findings: &mut Findings) -> Option<ListenAddress> {
    let address = match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(ListenAddress::Unix(findings.path(node, Path::new(path)))),
        None => text.parse().ok().map(ListenAddress::Tcp),
    };
    let Some(address) = address else {
        findings.error(
            node.at,
            format!("`{text}` is no address to listen on"),
            "write an IP address and a port, such as 127.0.0.1:9191 or [::1]:9191, or unix:/path/of/a.sock",
        );
        return None;
    };
    if taken.iter().any(|other| other.collides_with(&address)) {
        findings.error(node.at, format!("`{text}` is taken by another listener"), "give each listener its own address");
    }
    taken.push(address.clone());
    Some(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use crate::config::parse;
    use crate::problem::Problem;

    const REST: &str = "\
bundle: { directory: policies }
issuers: [{ issuer: https://as.test, keys: { discovery: true }, audiences: [a], max_lifetime_seconds: 300 }]
";

    fn problems(address: &str, tls: &str) -> Vec<Problem> {
        let tls = format!("tls: {{ certificate: a, key: b{tls} }}");
        let source = format!("listeners:\n  check:\n    - name: edge\n      address: {address}\n      {tls}\n{REST}");
        parse("keybound.yaml", &source).map_or_else(|problems| problems, |(_, warnings)| warnings)
    }

    #[test]
    fn a_listener_that_asks_no_caller_who_it_is_is_for_our_own_host() {
        let found = problems("0.0.0.0:9191", "");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(!found[0].is_error() && found[0].what.contains("asks no caller"), "{found:#?}");
        assert_eq!((found[0].place.line, found[0].place.column), (5, 12));
        for (address, tls) in
            [("0.0.0.0:9191", ", client_ca: c"), ("127.0.0.1:9191", ""), ("'[::1]:9191'", ""), ("unix:/a", "")]
        {
            assert_eq!(problems(address, tls), [], "{address}");
        }
    }

    #[test]
    fn a_caller_is_a_uri_or_a_dns_name() {
        for good in ["spiffe://x.test/ns/a/sa/b", "urn:envoy:1", "envoy", "envoy.mesh.test", "*.mesh.test"] {
            assert_eq!(problems("127.0.0.1:1", &format!(", client_ca: c, callers: [\"{good}\"]")), [], "{good}");
        }
        for bad in [
            "CN=envoy",
            "CN=envoy,O=a:b",
            "the gateway",
            "spiffe://x.test/a b",
            "URI:spiffe://x.test/a",
            "DNS:envoy.test",
            "envoy..test",
            ".envoy",
            "10.0.0.1",
            "fe80::1",
            "envoy/a",
            "1:2",
            "a:",
        ] {
            let found = problems("127.0.0.1:1", &format!(", client_ca: c, callers: [envoy, \"{bad}\"]"));
            assert_eq!(found.len(), 1, "{bad}: {found:#?}");
            assert!(found[0].is_error() && found[0].what.contains("neither a URI nor a DNS name"), "{bad}: {found:#?}");
            assert!(found[0].remedy.contains("subject alternative names"), "{found:#?}");
            assert_eq!((found[0].place.line, found[0].place.column), (5, 69), "{bad}");
        }
    }
}
