//! Answers.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};

use crate::error::Refusal;

/// The answer to a request.
pub(crate) type Answer = Result<Response<Body>, Refusal>;

/// A JSON body.
pub(crate) fn json(bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    set(&mut response, "content-type", "application/json");
    response
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode, headers: &[(&'static str, String)]) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in headers {
        set(&mut response, name, value);
    }
    Ok(response)
}

/// Sets a header. The values are ours, or text that was checked against a grammar without control characters, or
/// media types, which a store may have from anywhere: one that can't be sent is left out.
pub(crate) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
