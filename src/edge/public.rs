//! The public listener: what anybody may read without a token. Now: resource metadata (RFC 9728), per host.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::decision::facts::{RawRequest, RequestFacts};
use crate::decision::metadata;
use crate::decision::snapshot::Snapshot;

/// Its routes.
pub fn routes(snapshot: Arc<ArcSwap<Snapshot>>) -> Router {
    Router::new().route(metadata::PATH, get(document)).with_state(snapshot)
}

async fn document(State(snapshot): State<Arc<ArcSwap<Snapshot>>>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).map(header::HeaderValue::as_bytes).unwrap_or_default();
    let raw = RawRequest { method: b"GET", host, path: metadata::PATH.as_bytes(), ..RawRequest::default() };
    let snapshot = snapshot.load_full();
    let document = RequestFacts::new("public", &raw).ok().and_then(|facts| {
        let bundle = snapshot.bundle.as_ref()?;
        metadata::answer(&snapshot, bundle, &facts)
    });
    match document {
        Some(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
