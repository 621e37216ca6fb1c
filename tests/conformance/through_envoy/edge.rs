//! An Envoy with the shipped settings. Each replaced text must be there exactly once, so that the rows cannot drift away from
//! what is shipped.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::place;
use crate::support::{Encoding, pki};

/// The header by which a row's request says which route it takes, where a route names an API.
pub const ROUTE: &str = "x-tests-route";

/// The shipped route.
const ANY_PATH: &str = "                        - match: { prefix: \"/\" }\n";

/// Ends Envoy when the tests are gone, however that came about: their end of the pipe closes.
const GUARDIAN: &str = r#""$@" & id=$!; cat >/dev/null; kill -s KILL "$id" 2>/dev/null; wait "$id" 2>/dev/null; true"#;

/// A listener differs from the shipped one in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Door {
    /// `encode_raw_headers` or not.
    pub encoding: Encoding,
    /// The hop before is trusted with `x-forwarded-client-cert` and `client-cert`: the one is forwarded
    /// (`ALWAYS_FORWARD_ONLY`, not `SANITIZE_SET`), the other not removed.
    pub forwards: bool,
}

/// A running Envoy.
pub struct Edge {
    doors: Vec<(Door, u16)>,
    access_log: PathBuf,
    guardian: Child,
}

/// What the configuration has to name.
pub struct Neighbours<'n> {
    /// The service.
    pub keybound: u16,
    /// The API.
    pub upstream: u16,
    /// The server's certificate and key, PEM.
    pub certificate: (&'n str, &'n str),
    /// The APIs that some route names.
    pub hints: &'n [&'n str],
}

impl Edge {
    pub fn start(neighbours: &Neighbours<'_>) -> Self {
        let directory = place::directory();
        let (certificate, key) = neighbours.certificate;
        for (name, text) in [("server.crt", certificate), ("server.key", key), ("clients-ca.crt", &pki().root_pem)] {
            std::fs::write(directory.join(name), text).expect("a written file");
        }
        let doors: Vec<_> = Encoding::BOTH
            .into_iter()
            .flat_map(|encoding| [false, true].map(|forwards| (Door { encoding, forwards }, place::free_port())))
            .collect();
        let admin = place::free_port();
        let config = directory.join("envoy.yaml");
        std::fs::write(&config, render(neighbours, &directory, &doors, admin)).expect("a written file");
        let access_log = directory.join("access.log");
        let log = directory.join("envoy.log");
        let guardian = run(&config, &access_log, &log);
        let mut edge = Self { doors, access_log, guardian };
        place::until("Envoy is ready", || {
            let ended = edge.guardian.try_wait().expect("a child of ours");
            let words = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "Envoy has ended:\n{}", words());
            place::says_ok(admin, "/ready").then_some(())
        });
        edge
    }

    /// Where the listener is.
    pub fn port(&self, door: Door) -> u16 {
        self.doors.iter().find(|(other, _)| *other == door).expect("a listener of each kind").1
    }

    pub fn access_log(&self) -> &Path {
        &self.access_log
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        self.guardian.wait().expect("a child of ours");
    }
}

fn run(config: &Path, access_log: &Path, log: &Path) -> Child {
    let file = |path: &Path| File::create(path).expect("a log file");
    let mut command = Command::new("sh");
    command.args(["-c", GUARDIAN, "sh"]).arg(place::envoy()).arg("--config-path").arg(config);
    // Without hot restart it lives beside any other Envoy of the machine.
    let options = "--disable-hot-restart --concurrency 1 --log-level warning --file-flush-interval-msec 20";
    command.args(options.split(' '));
    command.stdin(Stdio::piped()).stdout(file(access_log)).stderr(file(log));
    command.spawn().expect("a shell")
}

fn replace(text: &mut String, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "deploy/envoy/envoy.yaml: {from}");
    *text = text.replace(from, to);
}

/// The shipped configuration with the shipped listener once for each door.
fn render(neighbours: &Neighbours<'_>, directory: &Path, doors: &[(Door, u16)], admin: u16) -> String {
    let shipped = include_str!("../../../deploy/envoy/envoy.yaml");
    let (before, rest) = shipped.split_once("    - name: edge\n").expect("the listener");
    let (listener, after) = rest.split_once("\n  clusters:\n").expect("the clusters");
    let mut text = before.to_owned();
    replace(&mut text, "port_value: 9901", &format!("port_value: {admin}"));
    for (index, (door, port)) in doors.iter().enumerate() {
        let own = listener_of(listener, directory, *door, *port, neighbours.hints);
        write!(text, "    - name: edge-{index}\n{own}").expect("text");
    }
    let mut clusters = format!("\n  clusters:\n{after}");
    replace(&mut clusters, "port_value: 9191", &format!("port_value: {}", neighbours.keybound));
    replace(&mut clusters, "port_value: 8080", &format!("port_value: {}", neighbours.upstream));
    text + &clusters
}

fn listener_of(shipped: &str, directory: &Path, door: Door, port: u16, hints: &[&str]) -> String {
    let mut text = shipped.to_owned();
    for name in ["server.crt", "server.key", "clients-ca.crt"] {
        replace(&mut text, &format!("/etc/envoy/tls/{name}"), &directory.join(name).display().to_string());
    }
    replace(&mut text, "address: 0.0.0.0, port_value: 10443", &format!("address: 127.0.0.1, port_value: {port}"));
    replace(&mut text, r#"["pay.example.com", "accounts.example.com", "catalogue.example.com"]"#, r#"["*"]"#);
    // An unoptimised service on a busy machine; the rows are about codes.
    replace(&mut text, "timeout: 0.25s", "timeout: 6s");
    if door.encoding == Encoding::Map {
        replace(&mut text, "encode_raw_headers: true", "encode_raw_headers: false");
    }
    if door.forwards {
        replace(
            &mut text,
            "forward_client_cert_details: SANITIZE_SET",
            "forward_client_cert_details: ALWAYS_FORWARD_ONLY",
        );
        for name in ["client-cert", "client-cert-chain"] {
            replace(&mut text, &format!("                        - remove: {name}\n"), "");
        }
    }
    let named: String = hints.iter().map(|api| route_of(api)).collect();
    replace(&mut text, ANY_PATH, &format!("{named}{ANY_PATH}"));
    text
}

/// A route that names its API.
fn route_of(api: &str) -> String {
    let indent = " ".repeat(24);
    format!(
        "{indent}- match: {{ prefix: \"/\", headers: [{{ name: {ROUTE}, string_match: {{ exact: \"to-{api}\" }} }}] }}
{indent}  route: {{ cluster: upstream, timeout: 15s }}
{indent}  typed_per_filter_config:
{indent}    envoy.filters.http.ext_authz:
{indent}      \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
{indent}      check_settings: {{ context_extensions: {{ api: \"{api}\" }} }}
"
    )
}
