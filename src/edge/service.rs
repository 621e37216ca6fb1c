//! `envoy.service.auth.v3.Authorization` over gRPC. No CheckRequest, however broken or large, yields a gRPC error.
//!
//! A mesh may turn a gRPC error into an allow. So the call is served as a stream of one raw message: decode failures, wrong lengths,
//! a missing or second message, compression that we do not speak and messages over the limit all come to us as values, and each
//! is answered with a denial.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Bytes, Service};
use tonic::server::{ClientStreamingService, Grpc, NamedService};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::decision::denial::Denial;
use crate::edge::gate::Gate;
use crate::edge::proto::CheckResponse;

/// Above Envoy's largest header block (8 MiB, `max_request_headers_kb`) in its longest form, and any body a mesh should send.
const MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The service of one listener.
#[derive(Clone)]
pub struct CheckService {
    gate: Arc<Gate>,
    point: Arc<str>,
    in_flight: Arc<Semaphore>,
}

impl CheckService {
    /// The service of the listener `point`; `in_flight` is shared by all listeners.
    #[must_use]
    pub fn new(gate: Arc<Gate>, point: &str, in_flight: Arc<Semaphore>) -> Self {
        Self { gate, point: Arc::from(point), in_flight }
    }
}

impl NamedService for CheckService {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<Body>> for CheckService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != CHECK {
            return Box::pin(async { Ok(Status::new(Code::Unimplemented, "no such method").into_http()) });
        }
        // An encoding that we do not speak must be our denial, not tonic's error: the flag on the message is judged instead.
        request.headers_mut().remove("grpc-encoding");
        // Taken here, before the first poll: a check that waits for its turn is in flight too.
        let permit = Arc::clone(&self.in_flight).try_acquire_owned().ok();
        let call =
            Call { gate: Arc::clone(&self.gate), point: Arc::clone(&self.point), permit, arrived: Instant::now() };
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).max_decoding_message_size(MESSAGE_BYTES);
            Ok(grpc.client_streaming(call, request).await)
        })
    }
}

/// One call.
struct Call {
    gate: Arc<Gate>,
    point: Arc<str>,
    permit: Option<OwnedSemaphorePermit>,
    arrived: Instant,
}

impl ClientStreamingService<Bytes> for Call {
    type Response = CheckResponse;
    type Future = Answer<Response<CheckResponse>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (gate, point, arrived) = (Arc::clone(&self.gate), Arc::clone(&self.point), self.arrived);
        let permit = self.permit.take();
        Box::pin(async move {
            // A check is judged without a pause, so calls that came with it would find every place free again, however many wait:
            // first they all come in.
            tokio::task::yield_now().await;
            let message = if permit.is_some() {
                let reading = tokio::time::timeout(gate.deadline, only_message(request.into_inner()));
                reading.await.unwrap_or(Err(Denial::FaultDeadline))
            } else {
                Err(Denial::FaultOverloaded)
            };
            let answer = gate.check(&point, message, arrived);
            drop(permit);
            Ok(Response::new(answer))
        })
    }
}

/// The one message of the call.
async fn only_message(mut stream: Streaming<Bytes>) -> Result<Bytes, Denial> {
    let message = match stream.message().await {
        Ok(Some(message)) => message,
        Ok(None) => return Err(Denial::RequestMalformed),
        Err(status) => return Err(unreadable(&status)),
    };
    match stream.message().await {
        Ok(None) => Ok(message),
        Ok(Some(_)) => Err(Denial::RequestMalformed),
        Err(status) => Err(unreadable(&status)),
    }
}

fn unreadable(status: &Status) -> Denial {
    if status.code() == Code::OutOfRange { Denial::RequestLimitExceeded } else { Denial::RequestMalformed }
}

/// Messages as they are on the wire in, protobuf out.
struct Raw;

impl Codec for Raw {
    type Encode = CheckResponse;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = CheckResponse;
    type Error = Status;

    fn encode(&mut self, item: CheckResponse, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        use prost::bytes::Buf as _;
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
