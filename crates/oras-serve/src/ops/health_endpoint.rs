//! The endpoints `/healthz` and `/readyz`, for supervisors and load balancers. They never require credentials.

use http::{Method, StatusCode};

use crate::api::error::{Answer, ApiError};
use crate::http_message::uncached_text;
use crate::registry::Registry;

/// Returns 200 as long as the server can answer requests.
pub(crate) fn live(method: &Method) -> Answer {
    match *method {
        Method::GET | Method::HEAD => Ok(uncached_text("ok\n".to_owned(), "text/plain; charset=utf-8")),
        _ => Err(ApiError::unsupported()),
    }
}

/// Returns 503 while the store can't be used, and 200 otherwise.
pub(crate) async fn ready(registry: &Registry, method: &Method) -> Answer {
    let response = live(method)?;
    if registry.health.is_ready(&*registry.stores, !registry.options.read_only).await {
        return Ok(response);
    }
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "the store can't be used: see the log"))
}
