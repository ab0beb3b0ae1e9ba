//! Responses and their headers.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};

/// Returns a response with a JSON body.
pub(crate) fn json(bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    set_header(&mut response, "content-type", "application/json");
    response
}

/// Returns a plain-text response that caches must not store, for probes and metrics.
pub(crate) fn uncached_text(text: String, content_type: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    set_header(&mut response, "content-type", content_type);
    set_header(&mut response, "cache-control", "no-store");
    response
}

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode, headers: &[(&'static str, String)]) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in headers {
        set_header(&mut response, name, value);
    }
    response
}

/// Sets a header, or omits it if the value can't be sent. Most values come from this server or match a grammar without
/// control characters. Only media types, which other programs may have stored, can be invalid.
pub(crate) fn set_header(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
