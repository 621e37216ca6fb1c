//! Plain HTTP listeners: probes, metrics, and what anybody may read.
//!
//! Whoever opens connections there and says nothing must not use up the file descriptors that checks need: there are only so many
//! connections at once, the next one waits, and each is ended when its time is over, whatever it does.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::edge::patience::Patience;

/// Probes, a scraper, and some readers; far below the least number of descriptors that a process may have (1024 by custom).
const CONNECTIONS: usize = 128;
/// An answer is a few KiB: whoever is not done by then is in no hurry to be.
const LIFE: Duration = Duration::from_secs(15);

/// A bound listener.
pub struct PlainListener {
    listener: TcpListener,
    patience: Patience,
    connections: Arc<Semaphore>,
    life: Duration,
}

impl PlainListener {
    /// With the usual bounds.
    #[must_use]
    pub fn new(name: &str, listener: TcpListener) -> Self {
        Self::bounded(name, listener, CONNECTIONS, LIFE)
    }

    fn bounded(name: &str, listener: TcpListener, connections: usize, life: Duration) -> Self {
        Self { patience: Patience::new(name), listener, connections: Arc::new(Semaphore::new(connections)), life }
    }
}

impl axum::serve::Listener for PlainListener {
    type Io = PlainConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.connections).acquire_owned().await.ok();
        let (stream, address) = loop {
            match self.listener.accept().await {
                Ok(accepted) => break accepted,
                Err(error) => self.patience.after(error).await,
            }
        };
        (PlainConnection { stream, end: Box::pin(sleep(self.life)), _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// An accepted connection, until its time is over.
pub struct PlainConnection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl PlainConnection {
    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for PlainConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for PlainConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    const BRIEF: Duration = Duration::from_millis(300);

    async fn asked(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn silent_connections_are_few_and_end_so_that_others_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = PlainListener::bounded("probes", listener, 2, BRIEF);
        let permits = Arc::clone(&listener.connections);
        let served = axum::serve(listener, Router::new().route("/", get(async || "ok")));
        let story = async {
            assert!(asked(address).await.ends_with("ok"));
            let mut silent = Vec::new();
            for _ in 0..5 {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
                silent.push(stream);
            }
            assert!(timeout(BRIEF / 3, asked(address)).await.is_err(), "the bound is reached");
            assert_eq!(permits.available_permits(), 0);
            // They hold on to their ends; ours are closed all the same, and whoever waited is served.
            let answer = timeout(BRIEF * 10, asked(address)).await.unwrap();
            assert!(answer.ends_with("ok"), "{answer}");
            drop(silent);
        };
        tokio::select! {
            _ = served.into_future() => {}
            () = story => {}
        }
    }
}
