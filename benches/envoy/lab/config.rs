//! Envoy's configurations: the shipped one with ports and paths of this machine, and with another filter in the place of
//! `ext_authz`, or none.

use std::path::Path;

use super::envoy::{Ports, Text};

/// What judges requests.
pub enum Filter<'a> {
    /// Nothing: whatever comes is passed on.
    None,
    /// keybound at this port, as shipped.
    Keybound(u16),
    /// What Envoy has by itself.
    Own(&'a Own<'a>),
}

/// What Envoy's `jwt_authn` and RBAC are told: as much of what keybound checks as they can.
pub struct Own<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    pub key_set: &'a Path,
    pub scope: &'a str,
    pub method: &'a str,
    /// A regular expression.
    pub path: &'a str,
}

const FILTERS: &str = "                  - name: envoy.filters.http.ext_authz\n";
const AFTER_FILTERS: &str = "                  # Nothing after ext_authz";

/// `directory` holds the certificates; the ports are those of clients, of the administrator and of the API.
pub fn render(filter: &Filter<'_>, directory: &Path, [edge, admin, upstream]: [u16; 3]) -> String {
    let mut text = Text::shipped(directory, &Ports { edge, admin, upstream });
    let other = match filter {
        Filter::Keybound(port) => {
            text.replace("port_value: 9191", &format!("port_value: {port}"));
            // A busy machine must not turn a measurement into a denial.
            text.replace("timeout: 0.25s", "timeout: 15s");
            return text.into_string();
        }
        Filter::None => String::new(),
        Filter::Own(own) => own.filters(),
    };
    text.replace_until(FILTERS, AFTER_FILTERS, &other);
    text.replace_until("    - name: keybound\n", "    - name: upstream\n", "");
    text.into_string()
}

impl Own<'_> {
    /// Signature, issuer, audience and times, with what was verified kept; then method, path and scope.
    fn filters(&self) -> String {
        let Self { issuer, audience, scope, method, path, key_set } = self;
        let key_set = key_set.display();
        let scope = scope.replace('.', "[.]");
        format!(
            r#"                  - name: envoy.filters.http.jwt_authn
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        server:
                          issuer: "{issuer}"
                          audiences: ["{audience}"]
                          local_jwks: {{ filename: {key_set} }}
                          jwt_cache_config: {{ jwt_cache_size: 1000 }}
                          payload_in_metadata: claims
                          forward: true
                      rules:
                        - match: {{ prefix: "/" }}
                          requires: {{ provider_name: server }}
                  - name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        action: ALLOW
                        policies:
                          read:
                            permissions:
                              - and_rules:
                                  rules:
                                    - header: {{ name: ":method", string_match: {{ exact: {method} }} }}
                                    - url_path: {{ path: {{ safe_regex: {{ regex: "{path}" }} }} }}
                            principals:
                              - metadata:
                                  filter: envoy.filters.http.jwt_authn
                                  path: [{{ key: claims }}, {{ key: scope }}]
                                  value: {{ string_match: {{ safe_regex: {{ regex: "(.* )?{scope}( .*)?" }} }} }}
"#
        )
    }
}
