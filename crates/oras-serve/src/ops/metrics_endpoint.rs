//! The endpoint `/metrics`.

use http::Method;

use super::metrics::MetricsText;
use crate::api::error::{Answer, ApiError};
use crate::http_message::uncached_text;
use crate::registry::Registry;

/// Returns all metrics of a server.
pub(crate) fn answer(registry: &Registry, method: &Method) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(ApiError::unsupported());
    }
    let mut text = MetricsText::default();
    registry.metrics.write(&mut text);
    text.begin("oras_connections", "gauge", "Connections that are open.");
    text.line("oras_connections", "", registry.connection_limits.open());
    text.begin("oras_connections_closed_total", "counter", "Connections closed or refused for too many.");
    text.line("oras_connections_closed_total", "", registry.connection_limits.closed());
    text.begin("oras_uploads", "gauge", "Uploads that are open.");
    text.line("oras_uploads", "", registry.uploads.open_count());
    Ok(uncached_text(text.0, "text/plain; version=0.0.4; charset=utf-8"))
}
