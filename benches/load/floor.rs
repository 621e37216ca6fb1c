//! The floor: what gRPC costs when nothing is decided. A bare tonic server decodes the same messages with Envoy's own full types and
//! answers OK.

use std::io::Write as _;

use envoy_types::ext_authz::v3::CheckResponseExt as _;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

struct Floor;

#[tonic::async_trait]
impl Authorization for Floor {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        if request.get_ref().attributes.is_none() {
            return Err(Status::invalid_argument("no attributes"));
        }
        Ok(Response::new(CheckResponse::with_status(Status::ok(""))))
    }
}

/// Serves until it is ended; says first where.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).expect("a port").with_nodelay(Some(true));
        let address = incoming.local_addr().expect("its address");
        let mut out = std::io::stdout();
        writeln!(out, "{address}").and_then(|()| out.flush()).expect("somebody reads");
        let served = Server::builder().add_service(AuthorizationServer::new(Floor)).serve_with_incoming(incoming).await;
        served.expect("served");
    });
}
