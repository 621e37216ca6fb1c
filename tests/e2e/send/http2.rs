//! HTTP/2 over TLS: many requests at once on one connection.

use std::time::Duration;

use reqwest::{Certificate, Client, Method};

use super::{Sent, keep_secrets_of};
use crate::lab::Edge;
use crate::lab::files::server_certificate;
use crate::lab::upstream::MARK;
use crate::send::http1::Response;
use crate::support::Request;

/// A client with a connection of its own, without a certificate.
pub fn client(edge: &Edge, host: &str) -> Client {
    let server = Certificate::from_pem(server_certificate().pem.as_bytes()).expect("a certificate");
    let builder =
        Client::builder().no_proxy().tls_certs_only([server]).resolve(host, ([127, 0, 0, 1], edge.port).into());
    builder.timeout(Duration::from_secs(30)).build().expect("a client")
}

/// Sends a request through Envoy; what came back, to be looked up when nothing is under way any more.
pub async fn exchange(edge: &Edge, client: &Client, request: &Request) -> (Sent, Response) {
    keep_secrets_of(request);
    let sent = Sent::through(edge);
    let method = Method::from_bytes(request.method.as_bytes()).expect("a method");
    let url = format!("https://{}:{}{}", request.authority, edge.port, request.path);
    let mut message = client.request(method, url).header(MARK, &sent.mark);
    for (name, value) in &request.headers {
        message = message.header(name, value.as_slice());
    }
    let got = message.send().await.expect("an answer");
    assert_eq!(got.version(), http::Version::HTTP_2);
    let headers = got.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let (status, headers) = (got.status().as_u16(), headers.collect());
    let body = got.bytes().await.expect("a body").to_vec();
    (sent, Response { status, headers, body })
}
