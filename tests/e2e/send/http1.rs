//! HTTP/1.1 over TLS, byte for byte: what a hostile client would send.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::lab::files::server_certificate;
use crate::support::{Leaf, Request};

const AT_MOST: Duration = Duration::from_secs(30);

/// A response.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.as_str()).collect()
    }

    /// The one value of a header.
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times", all.len());
        all.first().copied()
    }
}

/// Sends the bytes on a connection of its own, which the server closes, and reads what comes back.
pub async fn exchange(port: u16, request: &Request, bytes: &[u8]) -> Response {
    let whole = async {
        let stream = connect(port, &request.authority, request.certificate).await.expect("a TLS connection");
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut answer = Vec::new();
        // A server may answer and close before it has read everything, and close without a word of TLS.
        let write = async { writer.write_all(bytes).await.and(writer.flush().await).is_ok() };
        let read = async { reader.read_to_end(&mut answer).await.is_ok() };
        tokio::join!(write, read);
        answer
    };
    parse(&tokio::time::timeout(AT_MOST, whole).await.expect("an answer in time"))
}

/// The first thing that a TLS server says to these bytes; nothing if it only ends the connection.
pub async fn first_words(port: u16, name: &str, leaf: Option<&Leaf>, bytes: &[u8]) -> Vec<u8> {
    let words = async {
        let mut words = vec![0; 1024];
        let mut stream = connect(port, name, leaf).await?;
        // In TLS 1.3 a client learns that its certificate is refused only when it reads.
        stream.write_all(bytes).await?;
        let length = stream.read(&mut words).await?;
        words.truncate(length);
        std::io::Result::Ok(words)
    };
    tokio::time::timeout(AT_MOST, words).await.expect("an answer in time").unwrap_or_default()
}

async fn connect(port: u16, name: &str, leaf: Option<&Leaf>) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).expect("a host name");
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(tls(leaf))).connect(name, stream).await
}

/// Trusts the lab's server certificate and no other.
fn tls(leaf: Option<&Leaf>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let server = CertificateDer::from_pem_slice(server_certificate().pem.as_bytes()).expect("a certificate");
    roots.add(server).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots);
    let Some(leaf) = leaf else { return builder.with_no_client_auth() };
    let chain = format!("{}{}", leaf.pem(), leaf.chain_pem);
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    builder.with_client_auth_cert(chain, key).expect("a certificate and its key")
}

fn parse(bytes: &[u8]) -> Response {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let field = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let mut response = Response { status, headers: lines.map(field).collect(), body: bytes[end + 4..].to_vec() };
    if response.one("transfer-encoding") == Some("chunked") {
        response.body = unchunked(&response.body);
    }
    response
}

fn unchunked(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").expect("the length of a chunk");
        let length = std::str::from_utf8(&chunks[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let length = length.expect("the length of a chunk");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
}
