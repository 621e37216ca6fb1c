//! The shipped Envoy configuration with ports, paths and one setting or another changed. Each replaced text must be there exactly
//! once, so that the tests cannot drift away from what is shipped.

use std::path::{Path, PathBuf};

/// How Envoy reaches keybound.
#[derive(Clone)]
pub enum Road {
    Tcp(u16),
    Unix(PathBuf),
    /// TLS with the certificate of that name.
    Tls(u16, &'static str),
}

/// What differs from the shipped configuration.
#[derive(Clone)]
pub struct Variant {
    pub name: &'static str,
    pub road: Road,
    /// `encode_raw_headers`.
    pub raw_headers: bool,
    /// How long Envoy waits for an answer of keybound's.
    pub check_timeout: &'static str,
    /// `failure_mode_allow`.
    pub open: bool,
    /// Bodies of up to this many bytes go into the check.
    pub body_bytes: Option<u32>,
    /// Header blocks far above keybound's limit are taken.
    pub large_headers: bool,
    /// A proxy in front ends the clients' TLS connections and tells of their certificates in a header, which is not removed:
    /// the `forward_client_cert_details` that `x-forwarded-client-cert` then has.
    pub behind: Option<&'static str>,
}

impl Variant {
    pub fn new(name: &'static str, road: Road) -> Self {
        Self {
            name,
            road,
            raw_headers: true,
            // An unoptimised keybound on a busy machine; most tests are about codes.
            check_timeout: "6s",
            open: false,
            body_bytes: None,
            large_headers: false,
            behind: None,
        }
    }
}

pub(super) struct Ports {
    pub edge: u16,
    pub admin: u16,
    pub upstream: u16,
}

const KEYBOUND: &str = "socket_address: { address: 127.0.0.1, port_value: 9191 }";

/// The shipped configuration, changed text by text.
pub(super) struct Text(String);

impl Text {
    /// Of this machine: `directory` holds the certificates.
    pub fn shipped(directory: &Path, ports: &Ports) -> Self {
        let mut text = Self(include_str!("../../../deploy/envoy/envoy.yaml").to_owned());
        for name in ["server.crt", "server.key", "clients-ca.crt"] {
            text.replace(&format!("/etc/envoy/tls/{name}"), &directory.join(name).display().to_string());
        }
        text.replace("address: 0.0.0.0, port_value: 10443", &format!("address: 127.0.0.1, port_value: {}", ports.edge));
        text.replace("port_value: 9901", &format!("port_value: {}", ports.admin));
        text.replace("port_value: 8080", &format!("port_value: {}", ports.upstream));
        text.replace(r#"["pay.example.com", "accounts.example.com", "catalogue.example.com"]"#, r#"["*"]"#);
        text
    }

    /// A text that is there exactly once becomes another.
    pub fn replace(&mut self, from: &str, to: &str) {
        assert_eq!(self.0.matches(from).count(), 1, "deploy/envoy/envoy.yaml: {from}");
        self.0 = self.0.replace(from, to);
    }

    /// What is between two texts, the first with it, becomes another.
    pub fn replace_until(&mut self, from: &str, until: &str, to: &str) {
        let (before, rest) = self.0.split_once(from).unwrap_or_else(|| panic!("deploy/envoy/envoy.yaml: {from}"));
        let (_, after) = rest.split_once(until).unwrap_or_else(|| panic!("deploy/envoy/envoy.yaml: {until}"));
        self.0 = format!("{before}{to}{until}{after}");
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// The configuration's text; `directory` holds the certificates.
pub(super) fn render(variant: &Variant, directory: &Path, ports: &Ports) -> String {
    let mut text = Text::shipped(directory, ports);
    let mut replace = |from: &str, to: &str| text.replace(from, to);
    let file = |name: &str| directory.join(name).display().to_string();
    replace("timeout: 0.25s", &format!("timeout: {}", variant.check_timeout));
    match &variant.road {
        Road::Tcp(port) => replace("port_value: 9191", &format!("port_value: {port}")),
        Road::Unix(path) => replace(KEYBOUND, &format!("pipe: {{ path: {} }}", path.display())),
        Road::Tls(port, name) => {
            replace("port_value: 9191", &format!("port_value: {port}"));
            replace("    - name: keybound\n      type: STATIC\n", &tls_cluster(name, &file));
        }
    }
    if !variant.raw_headers {
        replace("encode_raw_headers: true", "encode_raw_headers: false");
    }
    if variant.open {
        replace("failure_mode_allow: false", "failure_mode_allow: true");
    }
    if let Some(bytes) = variant.body_bytes {
        let body = format!("with_request_body: {{ max_request_bytes: {bytes}, pack_as_bytes: true }}");
        replace("validate_mutations: true", &format!("validate_mutations: true\n                      {body}"));
    }
    if variant.large_headers {
        replace("max_headers_count: 100", "max_headers_count: 2000");
        replace("max_request_headers_kb: 60", "max_request_headers_kb: 4096");
    }
    if let Some(details) = variant.behind {
        replace("forward_client_cert_details: SANITIZE_SET", &format!("forward_client_cert_details: {details}"));
        for name in ["client-cert", "client-cert-chain"] {
            replace(&format!("                        - remove: {name}\n"), "");
        }
    }
    text.into_string()
}

fn tls_cluster(name: &str, file: &impl Fn(&str) -> String) -> String {
    format!(
        "    - name: keybound
      type: STATIC
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
              - certificate_chain: {{ filename: {} }}
                private_key: {{ filename: {} }}
            validation_context:
              trusted_ca: {{ filename: {} }}
              match_typed_subject_alt_names: [{{ san_type: DNS, matcher: {{ exact: keybound.test }} }}]
",
        file(&format!("{name}.crt")),
        file(&format!("{name}.key")),
        file("server.crt"),
    )
}
