//! The way to Redis: TLS with a certificate for each side, a user that may do no more than it must, a password from a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use super::{exactly_one_passes, fleet, plan};
use crate::lab::process::Process;
use crate::lab::redis::{Redis, program};
use crate::lab::{Lab, place, secrets, told, until};

pub const PASSWORD: &str = "HushOfTheEndToEndTestsOnly";
/// What keybound must be allowed, and nothing beside it.
const MAY: [&str; 4] = ["~keybound:*", "+set", "+get", "+info"];

/// Lets keybound in, with these rights more.
pub fn let_in(redis: &Redis, more: &[&str]) {
    secrets::keep(PASSWORD);
    let password = format!(">{PASSWORD}");
    let user = ["ACL", "SETUSER", "keybound", "on", &password].into_iter().chain(MAY).chain(more.iter().copied());
    assert_eq!(redis.ask(&user.collect::<Vec<_>>()), "OK");
}

/// Certificates of a Redis and of its clients, from an authority of their own.
struct Certificates(PathBuf);

impl Certificates {
    fn make(name: &str) -> Self {
        let directory = place::directory(name);
        let mut authority = CertificateParams::default();
        // With the name that a leaf has, OpenSSL would take the leaf for its own issuer.
        authority.distinguished_name.push(DnType::CommonName, "Authority of Redis");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.join("ca.crt"), authority.pem()).unwrap();
        for (name, usage) in
            [("localhost", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
        {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &authority).unwrap();
            for (extension, text) in [("crt", certificate.pem()), ("key", key.serialize_pem())] {
                secrets::keep(&text);
                std::fs::write(directory.join(format!("{name}.{extension}")), text).unwrap();
            }
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

/// Redis with TLS: its own, or that of an Envoy in front if it was built without.
pub struct Secure {
    pub redis: Redis,
    port: u16,
    certificates: Certificates,
    _front: Option<Process>,
}

impl Secure {
    pub fn start(name: &str) -> Self {
        let certificates = Certificates::make(&format!("{name}-certificates"));
        let port = place::free_port();
        let paths = ["localhost.crt", "localhost.key", "ca.crt"].map(|file| certificates.path(file));
        let tls_port = port.to_string();
        let own = [
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            &paths[0],
            "--tls-key-file",
            &paths[1],
            "--tls-ca-cert-file",
            &paths[2],
            "--tls-auth-clients",
            "yes",
        ];
        let users = ["--requirepass", "another"];
        let options: Vec<_> =
            users.into_iter().chain(if speaks_tls() { own.as_slice() } else { &[] }.iter().copied()).collect();
        let redis = Redis::start_with_password(name, &options, Some("another"));
        let_in(&redis, &[]);
        let front = (!speaks_tls()).then(|| front(&certificates, port, redis.port));
        until("TLS is spoken", Duration::from_secs(20), || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { redis, port, certificates, _front: front }
    }

    /// The section `redis`, with a password.
    pub fn section(&self, password: &str) -> String {
        let file = self.certificates.0.join("password");
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let [ca, certificate, key] = ["ca.crt", "client.crt", "client.key"].map(|name| self.certificates.path(name));
        format!(
            "addresses: [\"localhost:{}\"], tls: {{ ca_file: {ca}, certificate: {certificate}, key: {key} }}, \
             username: keybound, password_file: {}",
            self.port,
            file.display()
        )
    }
}

/// Whether this Redis was built with TLS: without, it does not know the option.
fn speaks_tls() -> bool {
    let directory = place::directory("tls");
    let log = directory.join("tls.log");
    std::fs::remove_file(&log).unwrap_or_default();
    let mut process = Process::start(
        &program("redis-server"),
        &["--port", "0", "--tls-port", "1", "--tls-ciphers", "none"],
        &log,
        &log,
    );
    process.wait(Duration::from_secs(10));
    !std::fs::read_to_string(&log).unwrap().contains("FATAL CONFIG FILE ERROR")
}

fn front(certificates: &Certificates, port: u16, behind: u16) -> Process {
    let [certificate, key, ca] = ["localhost.crt", "localhost.key", "ca.crt"].map(|name| certificates.path(name));
    let address = |port: u16| format!("address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}");
    let text = format!(
        "static_resources:
  listeners:
    - {listen}
      filter_chains:
        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              require_client_certificate: true
              common_tls_context:
                tls_certificates: [{{ certificate_chain: {{ filename: {certificate} }}, private_key: {{ filename: {key} }} }}]
                validation_context: {{ trusted_ca: {{ filename: {ca} }} }}
          filters:
            - name: envoy.filters.network.tcp_proxy
              typed_config:
                \"@type\": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
                stat_prefix: redis
                cluster: redis
  clusters:
    - name: redis
      load_assignment: {{ cluster_name: redis, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ {redis} }} }}] }}] }}
",
        listen = address(port),
        redis = address(behind),
    );
    let (config, log) = (certificates.0.join("front.yaml"), certificates.0.join("front.log"));
    std::fs::write(&config, text).unwrap();
    let arguments = ["--config-path", &config.display().to_string(), "--disable-hot-restart", "--concurrency", "1"];
    Process::start(&place::envoy(), &arguments, &log, &log)
}

#[tokio::test]
async fn replicas_reach_redis_over_tls_as_a_user_that_may_do_little() {
    let secure = Secure::start("secure");
    let replicas = fleet("secure", &plan(&secure.section(PASSWORD), ""));
    exactly_one_passes(&replicas).await;
    assert_eq!(secure.redis.ask(&["EXISTS", "keybound:epoch"]), "1");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_right_one_is_taken_without_a_restart() {
    let secure = Secure::start("password");
    let lab = Lab::started("password", &plan(&secure.section("NotTheHushThatRedisWantsToHear"), ""));
    secrets::keep("NotTheHushThatRedisWantsToHear");
    let readyz = || told::get(lab.ports.probes, "probes", "/readyz").map(|(_, _, body)| body);
    let body = until("it says why", Duration::from_secs(20), || {
        readyz().filter(|body| body.contains("the memory of spent proofs cannot be used"))
    });
    assert!(body.contains("Redis says WRONGPASS") || body.contains("authentication"), "{body}");
    secure.section(PASSWORD);
    lab.wait_until_ready();
}

#[tokio::test]
async fn a_redis_with_a_certificate_of_somebody_else_is_not_spoken_to() {
    let secure = Secure::start("stranger");
    let other = Certificates::make("stranger-other");
    let [ours, others] = [&secure.certificates, &other].map(|certificates| certificates.path("ca.crt"));
    let lab = Lab::started("stranger", &plan(&secure.section(PASSWORD).replace(&ours, &others), ""));
    let readyz = || told::get(lab.ports.probes, "probes", "/readyz").map(|(_, _, body)| body);
    until("it says so", Duration::from_secs(20), || {
        readyz().filter(|body| body.contains("the memory of spent proofs cannot be used"))
    });
    assert!(!lab.is_ready());
    assert!(lab.keybound().ended().is_none() && Path::new(&others).exists());
}
