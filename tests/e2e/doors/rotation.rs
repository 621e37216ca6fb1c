//! The certificate, key and client CA of a check listener change while it is asked.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::PREFACE;
use crate::lab::files::{replace, server_certificate};
use crate::lab::place::{directory, free_port};
use crate::lab::process::Signal;
use crate::lab::{Edge, Lab, Plan, Road, Variant, secrets, told};
use crate::requests::{dpop, mtls};
use crate::support::pki;
use crate::support::pki::GATEWAY;

/// A poll of one second, a load, and a busy machine.
const POLL: Duration = Duration::from_secs(8);
const AT_MOST: Duration = Duration::from_secs(10);

/// A certificate with what stands above it, and its key; in PEM.
#[derive(Clone)]
struct Pair {
    chain: String,
    key: String,
}

fn kept(pair: Pair) -> Pair {
    secrets::keep(&pair.chain);
    secrets::keep(&pair.key);
    pair
}

/// A new certificate of keybound's, which is its own authority.
fn server() -> Pair {
    let made = rcgen::generate_simple_self_signed(["keybound.test".to_owned()]).unwrap();
    kept(Pair { chain: made.cert.pem(), key: made.signing_key.serialize_pem() })
}

/// A new authority for callers, and the certificate it has made for the gateway.
fn callers() -> (String, Pair) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(GATEWAY.try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    (root.pem(), kept(Pair { chain: leaf.pem(), key: key.serialize_pem() }))
}

/// The gateway's certificate of the authority that every lab knows.
fn gateway() -> Pair {
    let leaf = &pki().gateway;
    Pair { chain: format!("{}{}", leaf.pem(), leaf.chain_pem), key: leaf.key_pem.clone() }
}

/// Whether a new connection that trusts this server certificate, and shows that one of a caller, is greeted.
async fn is_greeted(port: u16, server: &str, caller: Option<&Pair>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match caller {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let words = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("keybound.test").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(PREFACE).await?;
        stream.read(&mut [0; 64]).await
    };
    matches!(tokio::time::timeout(AT_MOST, words).await.expect("an answer in time"), Ok(1..))
}

/// A lab with a listener whose files are `door.*`; they begin as those that Envoy knows.
fn lab_with_door(name: &str, poll_seconds: u64) -> (Lab, u16) {
    let port = free_port();
    let place = directory(name);
    replace(&place.join("door.crt"), &server_certificate().pem);
    replace(&place.join("door.key"), &server_certificate().key_pem);
    replace(&place.join("door-ca.crt"), &pki().root_pem);
    let plan = Plan {
        listeners: format!(
            "    - {{ name: door, address: \"127.0.0.1:{port}\", tls: {{ certificate: door.crt, key: door.key, \
             client_ca: door-ca.crt, callers: [\"{GATEWAY}\"] }} }}\n"
        ),
        poll_seconds,
        ..Plan::default()
    };
    (Lab::ready(name, &plan), port)
}

fn loads(lab: &Lab, outcome: &str) -> f64 {
    lab.metric("keybound_loads_total", &[("what", "listener_tls"), ("outcome", outcome)])
}

/// Changes files and waits until that came out like this; the line of the log about it.
async fn changed(lab: &Lab, files: &[(&str, &str)], outcome: &str) -> Value {
    let (before, seen) = (loads(lab, outcome), told::length(lab.log()));
    for (name, text) in files {
        replace(&lab.directory.join(name), text);
    }
    one_more(lab, outcome, before).await;
    told::line_after("a line in the log", lab.log(), seen, |line| {
        line["what"] == "listener tls" && (outcome == "taken" || line["level"] == "ERROR")
    })
}

async fn one_more(lab: &Lab, outcome: &str, before: f64) {
    let begun = Instant::now();
    while loads(lab, outcome) <= before {
        assert!(begun.elapsed() < POLL, "not {outcome}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks through Envoy until the story is over; every answer is what it was.
async fn under_traffic(edge: &Edge, story: impl Future<Output = ()>) {
    let over = Cell::new(false);
    let traffic = async {
        let mut asked = 0;
        while !over.get() {
            edge.send(&dpop().build()).await.allowed();
            edge.send(&mtls().build()).await.allowed();
            asked += 2;
        }
        assert!(asked > 20, "{asked}");
    };
    let story = async {
        story.await;
        over.set(true);
    };
    tokio::join!(traffic, story);
}

#[tokio::test]
async fn a_certificate_and_a_client_ca_are_rotated_under_traffic() {
    let (lab, port) = lab_with_door("rotation", 1);
    let edge = lab.edge_as(&Variant::new("door", Road::Tls(port, "caller")));
    let (first, second) = (server_certificate(), server());
    let (next_root, next_gateway) = callers();
    let old_gateway = gateway();
    under_traffic(&edge, async {
        assert!(is_greeted(port, &first.pem, Some(&old_gateway)).await);
        assert!(!is_greeted(port, &second.chain, Some(&old_gateway)).await);
        assert!(!is_greeted(port, &first.pem, Some(&next_gateway)).await);

        let told = changed(&lab, &[("door.key", &second.key), ("door.crt", &second.chain)], "taken").await;
        assert_eq!((&told["message"], &told["listener"]), (&"new files are served".into(), &"door".into()), "{told}");
        assert!(is_greeted(port, &second.chain, Some(&old_gateway)).await);
        assert!(!is_greeted(port, &first.pem, Some(&old_gateway)).await);

        // First both authorities, then only the next one.
        let both = format!("{}{next_root}", pki().root_pem);
        changed(&lab, &[("door-ca.crt", &both)], "taken").await;
        assert!(is_greeted(port, &second.chain, Some(&old_gateway)).await);
        assert!(is_greeted(port, &second.chain, Some(&next_gateway)).await);
        changed(&lab, &[("door-ca.crt", &next_root)], "taken").await;
        assert!(!is_greeted(port, &second.chain, Some(&old_gateway)).await);
        assert!(is_greeted(port, &second.chain, Some(&next_gateway)).await);
        assert!(!is_greeted(port, &second.chain, None).await, "nobody is let in without a certificate");
    })
    .await;
}

#[tokio::test]
async fn broken_tls_files_change_nothing_but_the_log_and_the_metric() {
    let (lab, port) = lab_with_door("broken-door", 1);
    let edge = lab.edge_as(&Variant::new("door", Road::Tls(port, "caller")));
    let server = &server_certificate().pem;
    let (gateway, other) = (gateway(), self::server());
    let unchanged = async || {
        assert!(is_greeted(port, server, Some(&gateway)).await);
        assert!(!is_greeted(port, server, None).await, "callers are still asked who they are");
        assert!(!is_greeted(port, &other.chain, Some(&gateway)).await);
    };
    under_traffic(&edge, async {
        for (file, broken, place) in [
            ("door.crt", "", "door.crt:1:1"),
            ("door.crt", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "door.crt:1:1"),
            // Another's: it does not belong to the key.
            ("door.crt", other.chain.as_str(), "door.crt:1:1"),
            ("door.key", "garbage", "door.key:1:1"),
            ("door-ca.crt", "garbage", "door-ca.crt:1:1"),
        ] {
            let path = lab.directory.join(file);
            let good = std::fs::read_to_string(&path).unwrap();
            let told = changed(&lab, &[(file, broken)], "refused").await;
            assert_eq!(told["message"], "refused; the last good one stays", "{told}");
            assert!(told["place"].as_str().is_some_and(|found| found.ends_with(place)), "{told}");
            unchanged().await;
            changed(&lab, &[(file, &good)], "taken").await;
            unchanged().await;
        }
        // A file that is gone is told of where the operator's file names it.
        let (refused, seen) = (loads(&lab, "refused"), told::length(lab.log()));
        std::fs::remove_file(lab.directory.join("door-ca.crt")).unwrap();
        one_more(&lab, "refused", refused).await;
        let told = told::line_after("a line in the log", lab.log(), seen, |line| line["what"] == "listener tls");
        assert!(told["place"].as_str().is_some_and(|place| place.contains("keybound.yaml:4:")), "{told}");
        unchanged().await;
    })
    .await;
}

#[tokio::test]
async fn a_hangup_reads_tls_files_at_once() {
    let (lab, port) = lab_with_door("door-hangup", 60);
    let second = server();
    replace(&lab.directory.join("door.crt"), &second.chain);
    replace(&lab.directory.join("door.key"), &second.key);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(is_greeted(port, &server_certificate().pem, Some(&gateway())).await);
    let taken = loads(&lab, "taken");
    lab.keybound().signal(Signal::Hangup);
    one_more(&lab, "taken", taken).await;
    assert!(is_greeted(port, &second.chain, Some(&gateway())).await);
}
