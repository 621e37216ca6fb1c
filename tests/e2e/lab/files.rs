//! The files of a lab: keybound's, Envoy's (the shipped one with ports, paths and one setting or another changed), certificates.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use time::{Date, OffsetDateTime};

use super::secrets;
use crate::support::issuers::{AUDIENCE, SERVER, named_keys};
use crate::support::{Leaf, pki};

/// What a lab is asked for, beyond the usual.
#[derive(Clone)]
pub struct Plan {
    /// The section `issuers`; `{directory}` stands for the lab's.
    pub issuers: String,
    /// More entries of `listeners.check`.
    pub listeners: String,
    /// The section `certificate`.
    pub certificate: String,
    /// Whole sections more.
    pub sections: String,
    /// Keys of the section `revocations` beside the journal; only labs with a desk have it.
    pub revocations: String,
    /// Whether a desk keeps a journal.
    pub is_kept: bool,
    pub poll_seconds: u64,
    pub future_skew_seconds: u64,
    pub in_flight: usize,
    pub deadline_milliseconds: u64,
    pub drain_seconds: u64,
    /// More keys of the section `proofs`, each after a comma.
    pub proofs: String,
    /// How many file descriptors keybound may have.
    pub descriptors: Option<u32>,
    pub strip_credentials: bool,
    /// File name to text.
    pub bundle: BTreeMap<String, String>,
    /// The bundle is laid out as Kubernetes does it with a ConfigMap.
    pub config_map: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            issuers: issuer(SERVER, "file: \"{directory}/keys.json\"", ""),
            listeners: String::new(),
            certificate: "{ source: envoy_peer_certificate, chain_verified_by: envoy }".to_owned(),
            sections: String::new(),
            revocations: String::new(),
            is_kept: true,
            poll_seconds: 1,
            // Proofs are refused for this long after a start; one clock here.
            future_skew_seconds: 1,
            in_flight: 1024,
            // An unoptimised keybound on a busy machine; the tests are about codes.
            deadline_milliseconds: 4000,
            drain_seconds: 1,
            proofs: String::new(),
            descriptors: None,
            strip_credentials: false,
            bundle: bundle(),
            config_map: false,
        }
    }
}

/// An entry of `issuers`.
pub fn issuer(name: &str, keys: &str, more: &str) -> String {
    format!(
        "  - {{ issuer: \"{name}\", audiences: [\"{AUDIENCE}\"], max_lifetime_seconds: 3600, keys: {{ {keys} }} {more} }}\n"
    )
}

/// The policies, inventory and registry of these tests.
pub fn bundle() -> BTreeMap<String, String> {
    let files = [
        ("schema.cedarschema", include_str!("../bundle/schema.cedarschema")),
        ("policies.cedar", include_str!("../bundle/policies.cedar")),
        ("guardrails.cedar", include_str!("../bundle/guardrails.cedar")),
        ("apis.yaml", include_str!("../bundle/apis.yaml")),
        ("clients.yaml", include_str!("../bundle/clients.yaml")),
    ];
    let days = |days: i64| day(OffsetDateTime::now_utc().date() + time::Duration::days(days));
    let (soon, past) = (days(30), days(-3));
    let dated = |text: &str| text.replace("2030-01-01", &soon).replace("2020-01-01", &past);
    files.into_iter().map(|(name, text)| (name.to_owned(), dated(text))).collect()
}

fn day(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// Writes the bundle's files.
pub fn write_bundle(directory: &Path, files: &BTreeMap<String, String>) {
    std::fs::create_dir_all(directory).expect("a directory");
    for (name, text) in files {
        replace(&directory.join(name), text);
    }
}

/// Lays the bundle out as a ConfigMap: files are links into `..data`, which is a link to the directory of a version and is swapped.
pub fn write_config_map(directory: &Path, files: &BTreeMap<String, String>, version: &str) {
    write_bundle(&directory.join(version), files);
    symlink(version, directory.join("..data.new")).expect("a link");
    std::fs::rename(directory.join("..data.new"), directory.join("..data")).expect("a swapped link");
    for name in files.keys() {
        let link = directory.join(name);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(name), link).expect("a link");
        }
    }
}

/// Puts a whole new file in the place of an old one.
pub fn replace(path: &Path, text: impl AsRef<[u8]>) {
    let partial = path.with_file_name(format!(".{}.partial", path.file_name().expect("a file").to_string_lossy()));
    std::fs::write(&partial, text).expect("a written file");
    std::fs::rename(&partial, path).expect("a renamed file");
}

/// Addresses of keybound.
#[derive(Clone, Copy)]
pub struct Ports {
    pub check: u16,
    pub probes: u16,
    pub public: u16,
}

/// The secret from which keybound's nonces are made, so that a test can mint an old one.
pub const NONCE_KEY: [u8; 32] = *b"NonceKeyOfTheEndToEndTestsOnly32";

/// Seconds, the least that can be configured.
pub const NONCE_LIFETIME: i64 = 30;

/// Writes everything that keybound reads; the operator's file.
pub fn write_keybound(directory: &Path, plan: &Plan, ports: Ports) -> PathBuf {
    let policies = directory.join("policies");
    if plan.config_map {
        write_config_map(&policies, &plan.bundle, "..first");
    } else {
        write_bundle(&policies, &plan.bundle);
    }
    replace(&directory.join("keys.json"), named_keys(SERVER).expect("keys").to_string());
    secrets::keep(NONCE_KEY);
    replace(&directory.join("nonce.key"), NONCE_KEY);
    write_certificates(directory);
    let mut text = format!(
        "listeners:
  check:
    - {{ name: edge, address: \"127.0.0.1:{}\" }}
{}  probes: 127.0.0.1:{}
  public: 127.0.0.1:{}
bundle: {{ directory: policies, poll_seconds: {} }}
issuers:
{}certificate: {}
proofs: {{ future_skew_seconds: {}, nonce_key_files: [nonce.key], nonce_lifetime_seconds: {NONCE_LIFETIME}{} }}
upstream: {{ strip_credentials: {} }}
limits: {{ in_flight: {}, deadline_milliseconds: {}, drain_seconds: {} }}
log: {{ level: debug, allow_sample_percent: 100 }}
",
        ports.check,
        plan.listeners,
        ports.probes,
        ports.public,
        plan.poll_seconds,
        plan.issuers,
        plan.certificate,
        plan.future_skew_seconds,
        plan.proofs,
        plan.strip_credentials,
        plan.in_flight,
        plan.deadline_milliseconds,
        plan.drain_seconds,
    );
    text.write_str(&plan.sections).expect("text");
    let config = directory.join("keybound.yaml");
    std::fs::write(&config, text.replace("{directory}", &directory.display().to_string())).expect("a written file");
    config
}

/// A server certificate that is its own authority; clients trust it and no other.
pub struct ServerCertificate {
    pub pem: String,
    pub key_pem: String,
}

/// Of Envoy towards clients, and of keybound towards Envoy.
pub fn server_certificate() -> &'static ServerCertificate {
    static CERTIFICATE: LazyLock<ServerCertificate> = LazyLock::new(|| {
        let names = ["*.example.com", "keybound.test"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
        secrets::keep(&pem);
        secrets::keep(&key_pem);
        ServerCertificate { pem, key_pem }
    });
    &CERTIFICATE
}

fn write_certificates(directory: &Path) {
    let server = server_certificate();
    let (caller, other) = (&pki().gateway, &pki().other);
    for leaf in [caller, other] {
        keep_leaf(leaf);
    }
    let chain = |leaf: &Leaf| format!("{}{}", leaf.pem(), leaf.chain_pem);
    for (name, text) in [
        ("server.crt", server.pem.clone()),
        ("server.key", server.key_pem.clone()),
        ("clients-ca.crt", pki().root_pem.clone()),
        ("caller.crt", chain(caller)),
        ("caller.key", caller.key_pem.clone()),
        ("other.crt", chain(other)),
        ("other.key", other.key_pem.clone()),
    ] {
        replace(&directory.join(name), text);
    }
}

/// No log may name a certificate or its key, in any of its spellings.
pub fn keep_leaf(leaf: &Leaf) {
    for text in [leaf.key_pem.clone(), leaf.pem(), leaf.encoded(), leaf.byte_sequence()] {
        secrets::keep(text);
    }
}
