//! Where keybound listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
        if address.is_exposed() && tls.is_none() {
            findings.warning(
                node.key("address").at,
                format!("listener `{}` is open to the network without TLS", listener.name),
                "add `tls` with `client_ca`, or listen on loopback or a unix: socket; whoever can write on the way \
                 can change answers",
            );
        }
        check.push(CheckListener { name: listener.name, address, tls, reflection: listener.reflection });
    }
    let mut plain = |text: Option<String>, key: &str| match address(&text?, node.key(key), &mut taken, findings)? {
        ListenAddress::Tcp(address) => Some(address),
        ListenAddress::Unix(_) => {
            findings.error(node.key(key).at, format!("`{key}` is a Unix socket"), "write an IP address and a port");
            None
        }
    };
    let probes = plain(written.probes, "probes");
    let public = plain(written.public, "public");
    Listeners { check, probes, public }
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
    Tls {
        certificate: findings.path(node.key("certificate"), &written.certificate),
        key: findings.path(node.key("key"), &written.key),
        client_ca: written.client_ca.as_deref().map(|path| findings.path(node.key("client_ca"), path)),
        callers: written.callers.clone(),
    }
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
