//! `envoy.service.auth.v3.Authorization` over gRPC. No CheckRequest, however broken or large, yields a gRPC error: a mesh may turn
//! that into an allow.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http_body::Body;
use http_body_util::Either;
use prost::bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::codegen::Service as _;
use tonic::service::Routes;

use crate::decision::denial::Denial;
use crate::edge::frame;
use crate::edge::gate::{Gate, at_once};

/// The service's name.
pub const NAME: &str = "envoy.service.auth.v3.Authorization";
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The body of an answer: ours, or one of another service.
pub type Answer = Either<frame::Answer, tonic::body::Body>;

/// What one listener is asked, on one worker.
#[derive(Clone)]
pub struct Services {
    listener: Arc<Listener>,
    others: Routes,
}

struct Listener {
    gate: Arc<Gate>,
    point: String,
    in_flight: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Services {
    /// The services of the listener `point` on one worker. `in_flight` is shared by all listeners, `turns` by those of the worker;
    /// `others` is whom calls of other services go to.
    #[must_use]
    pub fn new(gate: Arc<Gate>, point: &str, in_flight: Arc<Semaphore>, turns: Arc<Semaphore>, others: Routes) -> Self {
        Self { listener: Arc::new(Listener { gate, point: point.to_owned(), in_flight, turns }), others }
    }

    /// Answers a call.
    pub fn call<B>(&self, request: http::Request<B>) -> impl Future<Output = http::Response<Answer>> + Send + use<B>
    where
        B: Body<Data = Bytes, Error: Into<tonic::codegen::StdError>> + Send + Unpin + 'static,
    {
        let asked = if request.uri().path() == CHECK {
            // Taken here, before the first poll: a check that waits for its turn is in flight too.
            let permit = Arc::clone(&self.listener.in_flight).try_acquire_owned().ok();
            Either::Left((Arc::clone(&self.listener), request.into_body(), permit, Instant::now()))
        } else {
            // Boxed: what every check carries along is small.
            let mut others = self.others.clone();
            Either::Right(Box::pin(async move { others.call(request).await }))
        };
        async move {
            match asked {
                Either::Left((listener, body, permit, arrived)) => {
                    listener.check(body, permit, arrived).await.map(Either::Left)
                }
                Either::Right(answering) => {
                    let Ok(answer) = answering.await;
                    answer.map(Either::Right)
                }
            }
        }
    }
}

impl Listener {
    async fn check<B: Body<Data = Bytes> + Unpin>(
        &self,
        body: B,
        permit: Option<OwnedSemaphorePermit>,
        arrived: Instant,
    ) -> http::Response<frame::Answer> {
        let message = if permit.is_some() { self.message(body).await } else { Err(Denial::FaultOverloaded) };
        // What is refused at once does not wait for those who are judged.
        let turn = if message.is_ok() { self.turn().await } else { None };
        let mut checking = pin!(self.gate.check(&self.point, message, arrived));
        let answer = match at_once(checking.as_mut()).await {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                // Who waits for somebody else needs no turn.
                drop(turn);
                checking.await
            }
        };
        drop(permit);
        answer.answer()
    }

    /// The message, which mostly is here already: then no timer is needed.
    async fn message<B: Body<Data = Bytes> + Unpin>(&self, body: B) -> Result<Bytes, Denial> {
        let mut reading = pin!(frame::only_message(body));
        match at_once(reading.as_mut()).await {
            Poll::Ready(message) => message,
            Poll::Pending => {
                tokio::time::timeout(self.gate.deadline, reading).await.unwrap_or(Err(Denial::FaultDeadline))
            }
        }
    }

    /// Checks are judged a few at a time: the judgement does not pause, and a worker has one thread. Were each judged when it is
    /// read, the worker would not look at its sockets until all of a burst are judged; `in_flight` would never see them wait, and
    /// those that it refuses would wait as long.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        match self.turns.try_acquire() {
            Ok(turn) => {
                // First the others of the burst come in, and wait.
                tokio::task::yield_now().await;
                Some(turn)
            }
            // It is never closed; if it were, checks would be judged without turns.
            Err(_) => self.turns.acquire().await.ok(),
        }
    }
}
