//! One event for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics::Endpoint;
use crate::server::Registry;
use crate::visitor::Visitor;

/// The target of the events that tell of requests: `remote`, `method`, `path`, `status`, `bytes`, `duration_us` and,
/// if one came in, `user`.
pub const ACCESS_TARGET: &str = "oras_serve::access";

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(pub(crate) SocketAddr);

/// Answers a request and tells how: `bytes` is the length of the answer that was begun. Queries and headers are not
/// told: they may hold secrets.
pub(crate) async fn request(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let (began, method, uri) = (Instant::now(), request.method().clone(), request.uri().clone());
    let remote = request.extensions().get::<Remote>().map(|remote| tracing::field::display(remote.0));
    let response = next.run(request).await;
    let (took, status) = (began.elapsed(), response.status());
    let endpoint = response.extensions().get::<Endpoint>().copied().unwrap_or_default();
    registry.metrics.request(endpoint, &method, status, took);
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).or(response.body().size_hint().exact());
    let user = response.extensions().get::<Visitor>().and_then(Visitor::name);
    tracing::info!(
        target: ACCESS_TARGET,
        remote,
        %method,
        path = uri.path(),
        status = status.as_u16(),
        bytes,
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        user,
    );
    response
}
