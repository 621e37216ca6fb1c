//! Listeners: TCP or a Unix socket, TLS if configured, callers judged once per connection.
//!
//! Connections are spread over the workers, one runtime per core: Envoy opens one connection per worker of its own, and with one
//! runtime for all of them a core would idle while another queues.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use crate::config::{ListenAddress, Tls};
use crate::decision::certificate;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After an accept that failed (no file descriptors left, say) the listener waits, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections accepted and not yet taken by their worker.
pub const BACKLOG: usize = 64;

/// An accepted connection.
pub struct Connection(Pin<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

/// Who may connect, and how.
#[derive(Clone)]
pub struct Door {
    acceptor: TlsAcceptor,
    /// URI or DNS names; `None` lets in whoever has a certificate of the client CA, or anyone if there is no client CA.
    callers: Option<Arc<[String]>>,
}

/// The files of a TLS listener cannot be used; says which and why.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct DoorRefused {
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

impl Door {
    /// Reads the certificate, the key and the client CA.
    ///
    /// # Errors
    /// [`DoorRefused`].
    pub fn open(tls: &Tls) -> Result<Self, DoorRefused> {
        let refused = |path: &Path, why: String| DoorRefused { path: path.display().to_string(), why };
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, DoorRefused> {
            let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let all = all.map_err(|error| refused(path, error.to_string()))?;
            if all.is_empty() { Err(refused(path, "no certificate in it".to_owned())) } else { Ok(all) }
        };
        let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| refused(&tls.key, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&tls.certificate, error.to_string()))?;
        let builder = match &tls.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| refused(path, error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| refused(path, error.to_string()))?)
            }
        };
        let mut config = builder
            .with_single_cert(certificates(&tls.certificate)?, key)
            .map_err(|error| refused(&tls.certificate, error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let callers = tls.callers.as_ref().map(|callers| Arc::from(callers.as_slice()));
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), callers })
    }

    async fn admit(self, stream: impl Stream + Unpin + 'static) -> Option<Connection> {
        let handshake = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await;
        let Ok(Ok(stream)) = handshake else {
            tracing::warn!("a TLS handshake on a check listener failed");
            return None;
        };
        if let Some(callers) = &self.callers {
            let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            if !leaf.is_some_and(|leaf| is_caller(leaf, callers)) {
                tracing::warn!("a caller that is not listed was turned away from a check listener");
                return None;
            }
        }
        Some(Connection(Box::pin(stream)))
    }
}

fn is_caller(leaf: &CertificateDer<'_>, callers: &[String]) -> bool {
    certificate::names_of(leaf)
        .is_some_and(|names| names.uris.iter().chain(&names.dns_names).any(|name| callers.contains(name)))
}

/// A bound listener.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Binds; a stale Unix socket is replaced.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => Ok(Self::Tcp(TcpListener::bind(address).await?)),
            ListenAddress::Unix(path) => {
                // A socket that nobody answers on is what a killed process left; a live one is somebody else's.
                if std::os::unix::net::UnixStream::connect(path).is_err() && is_socket(path) {
                    std::fs::remove_file(path)?;
                }
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    /// Accepts for ever and gives the connections to the workers in turn. Ends only when a worker has ended.
    pub async fn accept_into(self, door: Option<Door>, workers: Vec<mpsc::Sender<Connection>>) {
        for worker in workers.iter().cycle() {
            let admitted = loop {
                match self.accept().await {
                    Ok(stream) => break stream,
                    Err(error) => {
                        tracing::warn!(%error, "a check listener could not accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            };
            match &door {
                None => {
                    if worker.send(Connection(Box::pin(admitted))).await.is_err() {
                        return;
                    }
                }
                Some(door) => {
                    if worker.is_closed() {
                        return;
                    }
                    hand_over(door.clone(), admitted, worker.clone());
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn StreamUnpin>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

trait StreamUnpin: Stream + Unpin {}
impl<T: Stream + Unpin> StreamUnpin for T {}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// A handshake must not hold up the next accept. The task is bounded by [`HANDSHAKE`] and owned by nobody: it ends by itself.
#[allow(clippy::disallowed_methods, reason = "bounded by a timeout; its end is no event for the process")]
fn hand_over(door: Door, stream: Box<dyn StreamUnpin>, worker: mpsc::Sender<Connection>) {
    tokio::spawn(async move {
        if let Some(connection) = door.admit(stream).await {
            let gone = worker.send(connection).await.is_err();
            tracing::debug!(gone, "a connection was handed to its worker");
        }
    });
}
