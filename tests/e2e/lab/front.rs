//! An Envoy that ends the clients' TLS connections and asks nobody: the shipped configuration without `ext_authz`, whose API is
//! the next Envoy, reached over TLS with the certificate of the gateway.

use std::path::Path;

use super::envoy::{Ports, Text};

/// How the next hop is told of a client's certificate.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// `x-forwarded-client-cert` with its hash alone.
    Hash,
    /// `x-forwarded-client-cert` with the certificate and its chain.
    Certificate,
    /// `client-cert` (RFC 9440).
    ByteSequence,
}

/// Envoy has the peer's certificate as URL-encoded PEM: between its lines stands the base64 of RFC 9440 §2.2.
const BYTE_SEQUENCE: &str = r#"                  - name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code:
                        inline_string: |
                          function envoy_on_request(handle)
                            local tls = handle:streamInfo():downstreamSslConnection()
                            if tls == nil or not tls:peerCertificatePresented() then return end
                            local pem = tls:urlEncodedPemEncodedPeerCertificate()
                            pem = pem:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
                            local body = pem:match("BEGIN CERTIFICATE%-+(.-)%-+END CERTIFICATE"):gsub("%s", "")
                            handle:headers():replace("client-cert", ":" .. body .. ":")
                          end
"#;

pub(super) fn render(says: Says, directory: &Path, ports: &Ports) -> String {
    let mut text = Text::shipped(directory, ports);
    let told = if matches!(says, Says::ByteSequence) { BYTE_SEQUENCE } else { "" };
    text.replace_until(
        "                  - name: envoy.filters.http.ext_authz\n",
        "                  # Nothing after ext_authz",
        told,
    );
    if matches!(says, Says::Certificate) {
        text.replace("{ uri: true, dns: true }", "{ uri: true, dns: true, cert: true, chain: true }");
    }
    // The id in the response is the next hop's, under which the decision is found.
    text.replace("generate_request_id: true", "generate_request_id: false");
    text.replace("always_set_request_id_in_response: true", "always_set_request_id_in_response: false");
    text.replace_until("    - name: keybound\n", "    - name: upstream\n", "");
    let file = |name: &str| directory.join(name).display().to_string();
    text.replace(
        "    - name: upstream\n      type: STATIC\n",
        &format!(
            "    - name: upstream
      type: STATIC
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          common_tls_context:
            tls_certificates:
              - certificate_chain: {{ filename: {} }}
                private_key: {{ filename: {} }}
            validation_context:
              trusted_ca: {{ filename: {} }}
              match_typed_subject_alt_names: [{{ san_type: DNS, matcher: {{ exact: keybound.test }} }}]
",
            file("caller.crt"),
            file("caller.key"),
            file("server.crt"),
        ),
    );
    text.into_string()
}
