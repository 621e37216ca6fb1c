//! gRPC straight to keybound, frame by frame: what no Envoy sends too.

use std::path::Path;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::value::Kind;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::keep_secrets_of;
use crate::support::{Encoding, Request, wire};

const AT_MOST: Duration = Duration::from_secs(30);
const CHECK: &str = "http://keybound/envoy.service.auth.v3.Authorization/Check";

/// A connection.
#[derive(Clone)]
pub struct Direct(SendRequest<Bytes>);

/// What came back for one call.
#[derive(Debug)]
pub struct Reply {
    /// Of HTTP; gRPC says everything with 200.
    pub status: u16,
    /// `grpc-status` as written; none if the stream was cut off.
    pub grpc_status: Option<String>,
    /// Messages without their prefix.
    pub messages: Vec<Vec<u8>>,
    /// Why the stream ended before its time.
    pub cut_off: Option<String>,
}

/// An answer of keybound's, read by another crate than the one that wrote it.
#[derive(Debug)]
pub struct Judged {
    /// Envoy lets the request pass on 0 and on nothing else.
    pub code: i32,
    /// Status and body that the client would get.
    pub denied: Option<(i32, String)>,
    /// The code of the decision.
    pub slug: String,
}

/// A call that is under way.
pub struct Call {
    body: SendStream<Bytes>,
    response: ResponseFuture,
}

impl Direct {
    pub async fn tcp(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self::over(stream).await
    }

    pub async fn unix(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.expect("a connection")).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        // A thousand short answers at once are no attack on this client.
        let mut builder = h2::client::Builder::new();
        builder.data_frame_budget(1 << 30).initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
        let (sender, connection) = builder.handshake(stream).await.expect("HTTP/2");
        // Its end, good or bad, shows in the calls.
        tokio::spawn(async move { connection.await.is_ok() });
        Self(sender)
    }

    /// Begins a call with these headers more.
    pub async fn open(&self, headers: &[(&str, &str)]) -> Call {
        let mut sender = self.0.clone().ready().await.expect("room for a stream");
        let mut request = http::Request::post(CHECK).header("te", "trailers");
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, body) = sender.send_request(request.body(()).expect("a request"), false).expect("a stream");
        Call { body, response }
    }

    /// One call with these bytes as its body, and its end in the last frame of them, as Envoy sends it.
    pub async fn call(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let mut call = self.open(headers).await;
        call.body.send_data(Bytes::from(body), true).expect("an open stream");
        call.answer().await
    }

    /// One good call with this message.
    pub async fn message(&self, message: &[u8]) -> Judged {
        self.call(&[], framed(0, message)).await.judged()
    }

    /// Asks about a request as Envoy would.
    pub async fn check(&self, request: &Request, encoding: Encoding) -> Judged {
        keep_secrets_of(request);
        self.message(&wire::encode(request, encoding)).await
    }
}

impl Call {
    /// Sends a part of the body.
    pub fn send(&mut self, part: Vec<u8>) {
        self.body.send_data(Bytes::from(part), false).expect("an open stream");
    }

    /// Ends the body and waits for the answer.
    pub async fn finish(mut self) -> Reply {
        // Whoever was answered already may have closed the stream.
        let ended = self.body.send_data(Bytes::new(), true).is_ok();
        let reply = self.answer().await;
        assert!(ended || reply.grpc_status.is_some(), "cut off: {reply:?}");
        reply
    }

    /// Waits for the answer without ending the body.
    pub async fn answer(self) -> Reply {
        let Self { body: _open, response } = self;
        tokio::time::timeout(AT_MOST, read(response)).await.expect("an answer in time")
    }
}

async fn read(response: ResponseFuture) -> Reply {
    let (head, mut body) = response.await.expect("an answer").into_parts();
    let mut reply = Reply {
        status: head.status.as_u16(),
        grpc_status: grpc_status(&head.headers),
        messages: Vec::new(),
        cut_off: None,
    };
    let mut bytes = Vec::new();
    while let Some(part) = body.data().await {
        match part {
            Ok(part) => {
                body.flow_control().release_capacity(part.len()).expect("a window");
                bytes.extend_from_slice(&part);
            }
            Err(error) => {
                reply.cut_off = Some(error.to_string());
                return reply;
            }
        }
    }
    match body.trailers().await {
        Ok(trailers) => reply.grpc_status = reply.grpc_status.or(trailers.as_ref().and_then(grpc_status)),
        Err(error) => reply.cut_off = Some(error.to_string()),
    }
    let mut rest = bytes.as_slice();
    while let Some((prefix, more)) = rest.split_first_chunk::<5>() {
        assert_eq!(prefix[0], 0, "nothing was asked to be compressed");
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        reply.messages.push(more[..length].to_vec());
        rest = &more[length..];
    }
    reply
}

fn grpc_status(headers: &http::HeaderMap) -> Option<String> {
    headers.get("grpc-status").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

impl Reply {
    /// The one message of a call that gRPC calls good.
    #[track_caller]
    pub fn judged(&self) -> Judged {
        assert_eq!((self.status, self.grpc_status.as_deref()), (200, Some("0")), "{self:?}");
        let [message] = self.messages.as_slice() else { panic!("not one message: {self:?}") };
        let response = CheckResponse::decode(message.as_slice()).expect("a CheckResponse");
        let text = |name: &str| match response.dynamic_metadata.as_ref()?.fields.get(name)?.kind.as_ref()? {
            Kind::StringValue(text) => Some(text.clone()),
            _ => None,
        };
        let slug = text("code").expect("a code");
        let denied = match response.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                Some((denied.status.expect("an HTTP status").code, denied.body))
            }
            Some(HttpResponse::OkResponse(_)) => None,
            other => panic!("neither denied nor allowed: {other:?}"),
        };
        Judged { code: response.status.expect("a status").code, denied, slug }
    }

    /// gRPC is content, and the answer is no.
    #[track_caller]
    pub fn denied(&self, slug: &str, status: i32) {
        self.judged().denied(slug, status);
    }
}

impl Judged {
    #[track_caller]
    pub fn allowed(&self) {
        assert_eq!((self.slug.as_str(), self.code, &self.denied), ("allowed", 0, &None));
    }

    /// Denied whatever `failure_mode_allow` says.
    #[track_caller]
    pub fn denied(&self, slug: &str, status: i32) {
        let seen = self.denied.as_ref().map(|(status, _)| *status);
        assert_eq!((self.slug.as_str(), seen), (slug, Some(status)), "{self:?}");
        assert_ne!(self.code, 0, "Envoy would allow it: {self:?}");
    }
}

/// A message with its prefix; `flag` 1 says that it is compressed.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a length").to_be_bytes();
    [&[flag], &length[..], message].concat()
}
