//! Who calls through Envoy: certificates, TLS, and the requests that each of them sends.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use http::HeaderValue;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::load::{CONNECTIONS, Request, SERVER};
use crate::world::support::{Leaf, pki};
use crate::world::{self, Algorithm, Client, HOST, METHOD, PATH};

/// How a request shows whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A token bound to the certificate of the connection.
    Certificate,
    /// A token bound to a key, with a proof that was never used.
    Proof,
}

/// Envoy towards clients: a certificate that is its own authority.
static SERVER_CERTIFICATE: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed([SERVER.to_owned()]).expect("a certificate"));

/// Writes what the shipped configuration of Envoy names.
pub fn write_certificates(directory: &Path) {
    let server = &*SERVER_CERTIFICATE;
    for (name, text) in [
        ("server.crt", server.cert.pem()),
        ("server.key", server.signing_key.serialize_pem()),
        ("clients-ca.crt", pki().root_pem.clone()),
    ] {
        std::fs::write(directory.join(name), text).expect("a written file");
    }
}

/// TLS with the certificate of the caller, if it has one.
pub fn tls(caller: Option<&Leaf>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(SERVER_CERTIFICATE.cert.der().clone()).expect("a root");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match caller {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let mut chain = leaf.pem();
            chain.write_str(&leaf.chain_pem).expect("text");
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(|one| one.expect("PEM")).collect();
            let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

impl Credential {
    pub const fn client(self) -> Client {
        match self {
            Self::Certificate => Client::Certificate,
            Self::Proof => Client::DpopEs256,
        }
    }

    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Certificate => "Bearer",
            Self::Proof => "DPoP",
        }
    }

    /// TLS of the client whose these are.
    pub fn tls(self) -> Arc<ClientConfig> {
        tls((self == Self::Certificate).then(|| world::party::certificate()))
    }

    /// A good token.
    pub fn token(self) -> String {
        world::token(self.client(), Algorithm::Es256)
    }

    /// What the connections send: each has a token of its own, and so many proofs where it needs them.
    pub fn requests(self, proofs: usize) -> Vec<Request> {
        (0..CONNECTIONS).map(|_| self.request(&self.token(), proofs.div_ceil(CONNECTIONS))).collect()
    }

    /// A request with this token, for so many sendings.
    pub fn request(self, token: &str, proofs: usize) -> Request {
        let proof = |_| world::tokens::proof(self.client(), token).try_into().expect("a header's value");
        let proofs: Vec<HeaderValue> = match self {
            Self::Certificate => Vec::new(),
            Self::Proof => world::in_parallel(proofs, proof),
        };
        Request { head: head(Some(&format!("{} {token}", self.scheme()))), proofs }
    }
}

/// About what an SDK sends, with these credentials.
pub fn head(authorization: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::builder().method(METHOD).uri(format!("https://{HOST}{PATH}"));
    for (name, value) in [
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("cache-control", "no-cache"),
        ("idempotency-key", "5b1f4f7e-9a0d-4a53-8c3c-2f6c0e1e7d55"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("user-agent", "payments-sdk/4.12.0 (linux; x64) node/22.11.0"),
    ] {
        request = request.header(name, value);
    }
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    request.body(()).expect("a request")
}
