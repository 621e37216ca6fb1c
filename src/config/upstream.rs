//! The identity headers: names that Envoy can set and remove, and that mean nothing else.

use super::sections::IdentityHeaders;
use crate::problem::Findings;
use crate::yaml::Node;

/// Headers with a meaning of their own. Hop-by-hop ones (RFC 9110 §7.6.1) end at the next proxy; the others would
/// change where the message goes, how long it is, or who seems to have sent it.
const RESERVED: [&str; 17] = [
    "authorization",
    "client-cert",
    "client-cert-chain",
    "connection",
    "content-length",
    "cookie",
    "dpop",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Families that belong to Envoy and to proxies in general.
const RESERVED_PREFIXES: [&str; 2] = ["x-envoy-", "x-forwarded-"];

impl IdentityHeaders {
    /// Each key with its header, if it has one.
    #[must_use]
    pub fn all(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("issuer", self.issuer.as_deref()),
            ("client", self.client.as_deref()),
            ("subject", self.subject.as_deref()),
            ("proof", self.proof.as_deref()),
            ("decision", self.decision.as_deref()),
        ]
    }

    /// Whether one of them has this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all().into_iter().any(|(_, header)| header == Some(name))
    }
}

pub(super) fn check(headers: &IdentityHeaders, node: &Node, findings: &mut Findings) {
    let mut seen = Vec::new();
    for (key, header) in headers.all() {
        let Some(header) = header else { continue };
        let at = node.key(key).at;
        if !is_plain_name(header) {
            findings.error(
                at,
                format!("`{header}` cannot be an identity header"),
                "write 1 to 64 of `a-z`, `0-9` and `-`: a name with an underscore or of another form escapes removal",
            );
        } else if RESERVED.contains(&header) || RESERVED_PREFIXES.iter().any(|prefix| header.starts_with(prefix)) {
            findings.error(
                at,
                format!("`{header}` means something else"),
                format!("choose a header of your own, such as x-keybound-{key}"),
            );
        } else if seen.contains(&header) {
            findings.error(at, format!("`{header}` is used for two things"), "give each its own header, or write null");
        }
        seen.push(header);
    }
}

fn is_plain_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
