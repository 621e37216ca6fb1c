//! Listeners: TCP or a Unix socket, TLS if configured, callers judged once per connection.
//!
//! Each connection goes to the worker that has the fewest, one runtime per core: Envoy opens one connection per worker of its own, and
//! with one runtime for all of them a core would idle while another queues.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::config::ListenAddress;
use crate::edge::door::Door;
use crate::edge::patience::Patience;

/// Connections accepted and not yet taken by their worker.
pub const BACKLOG: usize = 64;

/// An accepted connection, counted as long as it lives.
pub struct Connection {
    stream: Pin<Box<dyn Stream>>,
    _live: Arc<()>,
}

/// Where a worker takes its connections of one listener.
#[derive(Clone)]
pub struct Worker {
    sender: mpsc::Sender<Accepted>,
    /// One reference for each live connection of the worker, of whatever listener, and one for each of its listeners.
    live: Arc<()>,
}

/// A connection that nobody reads yet. It belongs to no runtime: whose it is, is told of its bytes, and that is to be the worker.
pub struct Accepted {
    socket: Socket,
    /// Where it must shake hands, and its place there.
    door: Option<(Arc<Door>, Option<OwnedSemaphorePermit>)>,
    live: Arc<()>,
}

enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Worker {
    /// The worker at the other end. `live` is the same for all its listeners.
    #[must_use]
    pub fn new(sender: mpsc::Sender<Accepted>, live: &Arc<()>) -> Self {
        Self { sender, live: Arc::clone(live) }
    }
}

impl Accepted {
    /// Opens the connection on the worker that it was given to, with a handshake if it must have one; `None` if there is none to serve.
    pub async fn open(self) -> Option<Connection> {
        let Self { socket, door, live } = self;
        let stream = match socket.open() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!(%error, "a connection cannot be read");
                return None;
            }
        };
        let stream: Pin<Box<dyn Stream>> = match door {
            // Its place is free again when the handshake is over.
            Some((door, _place)) => Box::pin(door.admit(stream).await?),
            None => Box::pin(stream),
        };
        Some(Connection { stream, _live: live })
    }
}

impl Socket {
    fn open(self) -> io::Result<Box<dyn StreamUnpin>> {
        match self {
            Self::Tcp(socket) => Ok(Box::new(TcpStream::from_std(socket)?)),
            Self::Unix(socket) => Ok(Box::new(UnixStream::from_std(socket)?)),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    // No vectored writes: with them h2 writes each answer above 256 bytes with a call of its own to the system, without them it puts
    // answers of up to 1,024 bytes, which ours are, together.
    fn is_write_vectored(&self) -> bool {
        false
    }
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

    /// What to do about an address that could not be bound.
    #[must_use]
    pub fn remedy(address: &ListenAddress, error: &io::Error) -> &'static str {
        match (address, error.kind()) {
            (ListenAddress::Tcp(_), io::ErrorKind::AddrInUse) => {
                "is another keybound running? End whoever listens there, or write another port; with port 0 the system \
                 chooses one, and the log line `started` says which"
            }
            (ListenAddress::Tcp(_), io::ErrorKind::AddrNotAvailable) => {
                "write an address of this machine; 0.0.0.0 and [::] stand for all of them"
            }
            (ListenAddress::Tcp(_), io::ErrorKind::PermissionDenied) => {
                "write a port of 1024 or above, or grant CAP_NET_BIND_SERVICE"
            }
            (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
                "is another keybound running? End whoever answers on this socket, or remove the file if it is no socket"
            }
            (ListenAddress::Unix(_), io::ErrorKind::NotFound) => "make the directory that the socket is to be in",
            (ListenAddress::Unix(_), io::ErrorKind::PermissionDenied) => {
                "let keybound write to the directory that the socket is in"
            }
            _ => "write another address",
        }
    }

    /// Where it listens, as the system has it: a port that was 0 is the one that was chosen.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| "unknown".to_owned(), |at| at.to_string()),
            Self::Unix(listener) => {
                let path = listener.local_addr().ok().and_then(|at| at.as_pathname().map(Path::to_owned));
                format!("unix:{}", path.unwrap_or_default().display())
            }
        }
    }

    /// Accepts for ever and gives each connection to the worker that has the fewest. Ends only when a worker has ended.
    pub async fn accept_into(self, name: &str, door: Option<Arc<Door>>, workers: Vec<Worker>) {
        let mut patience = Patience::new(name);
        loop {
            let place = match &door {
                Some(door) => door.place().await,
                None => None,
            };
            let admitted = loop {
                match self.accept().await {
                    Ok(stream) => break stream,
                    Err(error) => patience.after(error).await,
                }
            };
            let idlest = workers.iter().min_by_key(|worker| Arc::strong_count(&worker.live));
            let Some(worker) = idlest else { return };
            let door = door.as_ref().map(|door| (Arc::clone(door), place));
            // It counts from now on: others are accepted while it shakes hands.
            let accepted = Accepted { socket: admitted, door, live: Arc::clone(&worker.live) };
            if worker.sender.send(accepted).await.is_err() {
                return;
            }
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    // It is gone already, which its reader will find out; the next one must not wait for that.
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                stream.into_std().map(Socket::Tcp)
            }
            Self::Unix(listener) => listener.accept().await?.0.into_std().map(Socket::Unix),
        }
    }
}

trait StreamUnpin: Stream + Unpin {}
impl<T: Stream + Unpin> StreamUnpin for T {}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
