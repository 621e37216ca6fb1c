//! A place for one request under way: a stream of a shared HTTP/2 connection, or an HTTP/1.1 connection of its own.

use std::sync::Arc;

use h2::client::SendRequest;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How requests get there.
#[derive(Clone)]
pub enum Road {
    /// Straight to the API, as Envoy does it: HTTP/1.1 without TLS.
    Api(u16),
    /// To an Envoy: HTTP/2 over TLS, with the certificate that is in there, if any.
    Envoy(u16, Arc<ClientConfig>),
}

/// The name that clients know Envoy by.
pub const SERVER: &str = "localhost";

pub struct Lane {
    connection: usize,
    line: Line,
}

enum Line {
    Stream(SendRequest<Bytes>),
    Whole(http1::SendRequest<Empty<Bytes>>),
}

/// Lanes on this many connections.
pub async fn lanes(road: &Road, connections: usize, in_flight: usize) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for connection in 0..connections {
        match road {
            Road::Envoy(port, tls) => {
                let stream = connect(*port, tls).await;
                lanes.extend((0..in_flight).map(|_| Lane { connection, line: Line::Stream(stream.clone()) }));
            }
            Road::Api(port) => {
                for _ in 0..in_flight {
                    lanes.push(Lane { connection, line: Line::Whole(connect_plainly(*port).await) });
                }
            }
        }
    }
    lanes
}

async fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream
}

async fn connect(port: u16, tls: &Arc<ClientConfig>) -> SendRequest<Bytes> {
    let name = SERVER.try_into().expect("a name");
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp(port).await).await.expect("a TLS connection");
    let mut builder = h2::client::Builder::new();
    // A thousand short answers at once are no attack on this client.
    builder.data_frame_budget(1 << 30).initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
    let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
    // Its end, good or bad, shows in the requests.
    tokio::spawn(async move { connection.await.is_ok() });
    sender
}

async fn connect_plainly(port: u16) -> http1::SendRequest<Empty<Bytes>> {
    let (sender, connection) = http1::handshake(TokioIo::new(tcp(port).await)).await.expect("HTTP/1.1");
    tokio::spawn(async move { connection.await.is_ok() });
    sender
}

impl Lane {
    /// The number of its connection.
    pub fn connection(&self) -> usize {
        self.connection
    }

    /// Sends a request and reads the answer to its end; its status.
    pub async fn exchange(&mut self, request: http::Request<()>) -> Result<u16, String> {
        match &mut self.line {
            Line::Stream(stream) => over_http2(stream, request).await.map_err(|error| error.to_string()),
            Line::Whole(line) => over_http1(line, request).await.map_err(|error| error.to_string()),
        }
    }
}

async fn over_http2(stream: &SendRequest<Bytes>, request: http::Request<()>) -> Result<u16, h2::Error> {
    let (answer, _) = stream.clone().ready().await?.send_request(request, true)?;
    let (head, mut body) = answer.await?.into_parts();
    while let Some(part) = body.data().await {
        let length = part?.len();
        body.flow_control().release_capacity(length)?;
    }
    Ok(head.status.as_u16())
}

async fn over_http1(
    line: &mut http1::SendRequest<Empty<Bytes>>,
    mut request: http::Request<()>,
) -> Result<u16, hyper::Error> {
    let host = request.uri().authority().map(|authority| authority.as_str().parse().expect("a host"));
    if let Some(host) = host {
        request.headers_mut().insert(http::header::HOST, host);
    }
    *request.uri_mut() = request.uri().path().parse().expect("a path");
    line.ready().await?;
    let (head, body) = line.send_request(request.map(|()| Empty::new())).await?.into_parts();
    body.collect().await?;
    Ok(head.status.as_u16())
}
