//! The clients: raw bytes over TLS through Envoy, HTTP/2 through Envoy, gRPC straight to keybound.

pub mod answer;
pub mod direct;
pub mod http1;
pub mod http2;

pub use answer::{Answer, Sent};
pub use direct::Direct;

use crate::lab::files::{keep_leaf, server_certificate};
use crate::lab::upstream::MARK;
use crate::lab::{Edge, secrets};
use crate::support::Request;

/// A request's bytes, or a part of them, changed before they are sent.
pub type Change<'c> = &'c (dyn Fn(Vec<u8>) -> Vec<u8> + Sync);

impl Edge {
    /// Sends a request through Envoy; the connection shows the request's certificate.
    pub async fn send(&self, request: &Request) -> Answer {
        self.send_bytes(request, &[], &|bytes| bytes).await
    }

    /// The same with a body.
    pub async fn send_body(&self, request: &Request, body: &[u8]) -> Answer {
        self.send_bytes(request, body, &|bytes| bytes).await
    }

    /// The same with the head changed as bytes.
    pub async fn send_bytes(&self, request: &Request, body: &[u8], change: Change<'_>) -> Answer {
        let sent = Sent::through(self);
        let head = change(head(request, &sent.mark, body.len()));
        let bytes = [&head, body].concat();
        let response = http1::exchange(self.port, request, &bytes).await;
        Answer::of(self, &sent, response)
    }
}

/// The head of a request in HTTP/1.1. What is in it is remembered as secret.
fn head(request: &Request, mark: &str, body: usize) -> Vec<u8> {
    keep_secrets_of(request);
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.path, request.authority).into_bytes();
    for (name, value) in &request.headers {
        head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    let length = if body == 0 { String::new() } else { format!("content-length: {body}\r\n") };
    head.extend(format!("{MARK}: {mark}\r\n{length}connection: close\r\n\r\n").into_bytes());
    head
}

/// Tokens, proofs and certificates of a request may be written nowhere.
pub fn keep_secrets_of(request: &Request) {
    for (name, value) in &request.headers {
        if name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("dpop") {
            secrets::keep(value);
        }
    }
    if let Some(leaf) = request.certificate {
        keep_leaf(leaf);
    }
    secrets::keep(&server_certificate().key_pem);
}
