//! One span and one line for every request.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// Runs a request in a span that names it, and says how it ended. Queries and headers are not logged: they may hold
/// secrets.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let span = tracing::info_span!("request", method = %request.method(), path = request.uri().path());
    async move {
        let began = Instant::now();
        let response = next.run(request).await;
        let status = response.status().as_u16();
        tracing::info!(status, duration_us = began.elapsed().as_micros(), "answered");
        response
    }
    .instrument(span)
    .await
}
