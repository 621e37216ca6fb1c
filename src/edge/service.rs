//! `envoy.service.auth.v3.Authorization` over gRPC. No CheckRequest, however broken or large, yields a gRPC error: a mesh may turn
//! that into an allow.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;

use crate::decision::denial::Denial;
use crate::edge::frame;
use crate::edge::gate::Gate;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The service of one listener.
#[derive(Clone)]
pub struct CheckService {
    listener: Arc<Listener>,
}

struct Listener {
    gate: Arc<Gate>,
    point: String,
    in_flight: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl CheckService {
    /// The service of the listener `point` on one worker. `in_flight` is shared by all listeners, `turns` by those of the worker.
    #[must_use]
    pub fn new(gate: Arc<Gate>, point: &str, in_flight: Arc<Semaphore>, turns: Arc<Semaphore>) -> Self {
        Self { listener: Arc::new(Listener { gate, point: point.to_owned(), in_flight, turns }) }
    }
}

impl NamedService for CheckService {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl Service<http::Request<Body>> for CheckService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        if request.uri().path() != CHECK {
            return Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) });
        }
        // Taken here, before the first poll: a check that waits for its turn is in flight too.
        let permit = Arc::clone(&self.listener.in_flight).try_acquire_owned().ok();
        let (listener, arrived) = (Arc::clone(&self.listener), Instant::now());
        Box::pin(async move { Ok(listener.check(request.into_body(), permit, arrived).await) })
    }
}

impl Listener {
    async fn check(&self, body: Body, permit: Option<OwnedSemaphorePermit>, arrived: Instant) -> http::Response<Body> {
        let message = if permit.is_some() {
            let reading = tokio::time::timeout(self.gate.deadline, frame::only_message(body));
            reading.await.unwrap_or(Err(Denial::FaultDeadline))
        } else {
            Err(Denial::FaultOverloaded)
        };
        // What is refused at once does not wait for those who are judged.
        let turn = if message.is_ok() { self.turn().await } else { None };
        let answer = self.gate.check(&self.point, message, arrived);
        drop((turn, permit));
        frame::answer(&answer)
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
