//! HTTP/1.1 over TLS, byte for byte; connections are used again as long as Envoy keeps them.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::Leaf;

const AT_MOST: Duration = Duration::from_secs(15);

/// What a client reads.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.headers.iter().filter(|header| header.0 == name).map(|header| header.1.clone()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|header| header.0 == name)
    }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A client that trusts one server certificate.
pub struct Client {
    server: CertificateDer<'static>,
    /// Kept open, by port and by the certificate that the connection shows.
    open: HashMap<(u16, Option<String>), Stream>,
}

impl Client {
    pub fn new(server_pem: &str) -> Self {
        let server = CertificateDer::from_pem_slice(server_pem.as_bytes()).expect("a certificate");
        Self { server, open: HashMap::new() }
    }

    /// Sends the bytes of one request; none if the connection ended without an answer.
    pub fn send(&mut self, port: u16, leaf: Option<&Leaf>, bytes: &[u8]) -> Option<Answer> {
        let key = (port, leaf.map(Leaf::thumbprint));
        if let Some(mut stream) = self.open.remove(&key)
            // Without an answer Envoy had closed it meanwhile.
            && let Some(answer) = exchange(&mut stream, bytes)
        {
            self.keep(key, stream, &answer);
            return Some(answer);
        }
        let mut stream = self.connect(port, leaf);
        let answer = exchange(&mut stream, bytes)?;
        self.keep(key, stream, &answer);
        Some(answer)
    }

    fn keep(&mut self, key: (u16, Option<String>), stream: Stream, answer: &Answer) {
        let closes = answer.all("connection").iter().any(|value| value == "close");
        if !closes && answer.has("content-length") {
            self.open.insert(key, stream);
        }
    }

    fn connect(&self, port: u16, leaf: Option<&Leaf>) -> Stream {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots);
        let config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = format!("{}{}", leaf.pem(), leaf.chain_pem);
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain.expect("certificates"), key).expect("a certificate and its key")
            }
        };
        // An address has no SNI.
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a TLS client");
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(AT_MOST)).expect("a socket");
        StreamOwned::new(connection, stream)
    }
}

/// Envoy may answer and close before it has read everything, so that a failure to write says nothing yet.
fn exchange(stream: &mut Stream, bytes: &[u8]) -> Option<Answer> {
    let written = stream.write_all(bytes).and_then(|()| stream.flush());
    let answer = read(stream, bytes.starts_with(b"HEAD "));
    if answer.is_none()
        && let Err(error) = written
    {
        assert!(error.kind() != std::io::ErrorKind::WouldBlock, "Envoy does not read");
    }
    answer
}

fn read(stream: &mut Stream, head_only: bool) -> Option<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if !more(stream, &mut bytes) {
            return None;
        }
    };
    let answer = parse(&bytes[..end]);
    let length = answer.all("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    while !head_only && bytes.len() < end + 4 + length {
        assert!(more(stream, &mut bytes), "an answer that is cut short");
    }
    Some(answer)
}

/// Reads on; false at the end, however it came.
fn more(stream: &mut Stream, bytes: &mut Vec<u8>) -> bool {
    let mut part = [0; 16 * 1024];
    match stream.read(&mut part) {
        Ok(0) => false,
        Ok(count) => {
            bytes.extend_from_slice(&part[..count]);
            true
        }
        Err(error) => {
            assert!(error.kind() != std::io::ErrorKind::WouldBlock, "Envoy does not answer");
            false
        }
    }
}

fn parse(head: &[u8]) -> Answer {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let field = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Answer { status, headers: lines.map(field).collect() }
}
