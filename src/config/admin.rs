//! Who may revoke: the admin listener, its callers, and where what they asked is kept.
//!
//! Closed by default: without callers there is no listener. Refused: a listener in plain text that another host could reach, a caller
//! who could never show who it is, two callers that read alike.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::listeners::{is_dns_name, is_uri};
use super::raw;
use super::sections::{Permission, Tls};
use crate::problem::{Findings, Position};
use crate::yaml::Node;

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its TLS; plain text on loopback if absent.
    pub tls: Option<Tls>,
    /// Whether some callers show no certificate.
    pub certificate_optional: bool,
}

/// Somebody who may call the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminCaller {
    /// As entries and logs name it.
    pub name: String,
    /// How it shows who it is.
    pub credential: AdminCredential,
    /// What it may do.
    pub may: Vec<Permission>,
}

/// How a caller of the admin API shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCredential {
    /// The bearer in this file.
    Bearer(PathBuf),
    /// A certificate of the listener's `client_ca` with this URI or DNS name.
    Certificate(String),
}

pub(super) fn settle(written: raw::Admin, node: &Node, findings: &mut Findings) -> Vec<AdminCaller> {
    let mut callers: Vec<AdminCaller> = Vec::new();
    for (index, caller) in written.callers.into_iter().enumerate() {
        let node = node.key("callers").item(index);
        check_name(&caller.name, &callers, node.key("name").at, findings);
        let credential = match (&caller.bearer_file, &caller.certificate) {
            (Some(path), None) => AdminCredential::Bearer(findings.path(node.key("bearer_file"), path)),
            (None, Some(name)) => {
                check_certificate(name, node.key("certificate").at, findings);
                AdminCredential::Certificate(name.clone())
            }
            (Some(_), Some(_)) | (None, None) => {
                let what = format!("caller `{}` needs exactly one of `bearer_file` and `certificate`", caller.name);
                findings.error(node.key("name").at, what, "say how this caller shows who it is");
                continue;
            }
        };
        if callers.iter().any(|other| other.credential == credential) {
            let what = format!("`{}` shows the same as another caller", caller.name);
            findings.error(node.key("name").at, what, "give each caller a bearer or a certificate of its own");
        }
        callers.push(AdminCaller { name: caller.name, credential, may: caller.may });
    }
    callers
}

/// What the listener and its callers need of each other.
pub(super) fn check(
    listener: Option<&AdminListener>,
    callers: &[AdminCaller],
    node: &Node,
    findings: &mut Findings,
) -> bool {
    let is_certificate = |caller: &&AdminCaller| matches!(caller.credential, AdminCredential::Certificate(_));
    let Some(listener) = listener else {
        if let Some(admin) = node.present("admin") {
            let what = "`admin` names callers, and there is no listener that they could call";
            findings.error(admin.at, what, "add `listeners.admin`, or remove `admin`");
        }
        return false;
    };
    let at = node.key("listeners").key("admin").at;
    // One that is named and wrong was told of.
    if node.key("admin").present("callers").is_none() {
        findings.error(at, "nobody may call the admin listener", "add `admin.callers`, or remove `listeners.admin`");
    }
    let asks = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if let Some(caller) = callers.iter().find(is_certificate)
        && !asks
    {
        let what = format!("caller `{}` shows a certificate, and the admin listener asks for none", caller.name);
        findings.error(at, what, "add `tls` with `client_ca`, the CA that the callers' certificates chain to");
    }
    if listener.tls.is_none() && !listener.address.ip().to_canonical().is_loopback() {
        let what = "the admin listener is open to the network without TLS";
        let remedy = "add `tls`, or listen on a loopback address: whoever can read on the way learns bearers";
        findings.error(at, what, remedy);
    }
    callers.iter().any(|caller| matches!(caller.credential, AdminCredential::Bearer(_)))
}

fn check_name(name: &str, before: &[AdminCaller], at: Position, findings: &mut Findings) {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.@".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        let remedy = "write 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.` and `@`";
        findings.error(at, format!("`{name}` is no name of a caller"), remedy);
    }
    if before.iter().any(|other| other.name == name) {
        let what = format!("two callers are named `{name}`");
        findings.error(at, what, "give each its own name: entries and logs say who asked");
    }
}

fn check_certificate(name: &str, at: Position, findings: &mut Findings) {
    if !is_uri(name) && !is_dns_name(name) {
        findings.error(
            at,
            format!("`{name}` is neither a URI nor a DNS name: no caller can have it"),
            "write a name from the certificate's subject alternative names, such as `spiffe://example.org/soc`",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
    use crate::config::{AdminCredential, Config, Permission, parse};

    fn read(admin: &str, callers: &str) -> Result<Config, String> {
        let source = format!(
            "listeners:\n  check: [{{ name: edge, address: 127.0.0.1:0 }}]\n{admin}bundle: {{ directory: policies }}\n\
             issuers: [{{ issuer: https://as.test, keys: {{ discovery: true }}, audiences: [a], max_lifetime_seconds: 300 }}]\n\
             revocations: {{ journal: revocations }}\n{callers}"
        );
        let read = parse("keybound.yaml", &source);
        read.map(|(config, _)| config).map_err(|problems| {
            assert_eq!(problems.len(), 1, "{source}\n{problems:#?}");
            problems[0].what.clone()
        })
    }

    const PLAIN: &str = "  admin: { address: 127.0.0.1:0 }\n";
    const TLS: &str = "  admin: { address: 0.0.0.0:1, tls: { certificate: a, key: b, client_ca: c } }\n";
    const BEARER: &str = "admin: { callers: [{ name: soc, bearer_file: soc.key, may: [read, revoke] }] }\n";
    const BOTH: &str = "admin:\n  callers:\n  - { name: soc, bearer_file: soc.key, may: [read] }\n  \
                        - { name: robot, certificate: spiffe://x.test/a, may: [revoke] }\n";

    #[test]
    fn callers_have_a_name_a_credential_and_permissions() {
        let config = read(PLAIN, BEARER).unwrap();
        assert_eq!(config.admin[0].may, [Permission::Read, Permission::Revoke]);
        assert!(matches!(&config.admin[0].credential, AdminCredential::Bearer(path) if path.ends_with("soc.key")));
        assert!(config.listeners.admin.unwrap().certificate_optional);
        assert!(read(TLS, BOTH).unwrap().listeners.admin.unwrap().certificate_optional);
        let only = BOTH.replace("bearer_file: soc.key", "certificate: soc.x.test");
        assert!(!read(TLS, &only).unwrap().listeners.admin.unwrap().certificate_optional);
        assert_eq!(read("", "").unwrap().admin, []);
    }

    #[test]
    fn what_nobody_could_call_or_anybody_could_is_refused() {
        let without = |text: &str| BEARER.replace(text, "");
        for (admin, callers, what) in [
            ("", BEARER.to_owned(), "there is no listener"),
            (PLAIN, String::new(), "nobody may call"),
            (PLAIN, BOTH.to_owned(), "asks for none"),
            ("  admin: { address: 0.0.0.0:1 }\n", BEARER.to_owned(), "without TLS"),
            (PLAIN, without("bearer_file: soc.key, "), "exactly one of"),
            (PLAIN, BEARER.replace("may", "certificate: a.test, may"), "exactly one of"),
            (PLAIN, BEARER.replace("name: soc", "name: The SOC"), "no name of a caller"),
            (TLS, BOTH.replace("name: robot", "name: soc"), "two callers are named"),
            (TLS, BOTH.replace("certificate: spiffe://x.test/a", "bearer_file: soc.key"), "shows the same"),
            (TLS, BOTH.replace("spiffe://x.test/a", "CN=robot"), "neither a URI nor a DNS name"),
        ] {
            let told = read(admin, &callers).unwrap_err();
            assert!(told.contains(what), "{told}");
        }
    }
}
