//! Requests and responses: their types, and functions that make responses and bodies.

use std::error::Error;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

/// The reason why a body ended early.
pub(crate) type BodyError = Box<dyn Error + Send + Sync>;
/// The body of a response. [`Registry::respond`](crate::Registry::respond) returns it, and hyper and axum send it. The
/// default is an empty body.
///
/// ```
/// use std::net::SocketAddr;
///
/// use oras_serve::{Body, Registry};
///
/// /// Answers a request of any server on hyper.
/// async fn answer(registry: &Registry, request: http::Request<Body>, peer: SocketAddr) -> http::Response<Body> {
///     registry.respond(request, Some(peer)).await
/// }
/// ```
pub type Body = UnsyncBoxBody<Bytes, BodyError>;
pub(crate) type Request = http::Request<Body>;
pub(crate) type Response = http::Response<Body>;

/// Returns true for the methods that only read.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Returns the body of a request in the type that the handlers receive.
pub(crate) fn received<B>(body: B) -> Body
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BodyError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Returns a body with these bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body that sends the chunks of a stream.
pub(crate) fn streamed<E>(chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body
where
    E: Into<BodyError> + 'static,
{
    let frames = chunks.map_ok(Frame::data).map_err(Into::into);
    StreamBody::new(frames).boxed_unsync()
}

/// Returns a response with these headers.
pub(crate) fn make_response<V: AsRef<str>>(
    status: StatusCode,
    headers: impl IntoIterator<Item = (&'static str, V)>,
    body: Body,
) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        set_header(&mut response, name, value.as_ref());
    }
    response
}

/// Returns a response with a JSON body.
pub(crate) fn json(bytes: Vec<u8>) -> Response {
    make_response(StatusCode::OK, [("content-type", "application/json")], full(bytes))
}

/// Returns a response without a body.
pub(crate) fn empty(status: StatusCode, headers: &[(&'static str, String)]) -> Response {
    make_response(status, headers.iter().map(|(name, value)| (*name, value)), Body::default())
}

/// Sets a header, or omits it if the value can't be sent. Most values come from this server or match a grammar without
/// control characters. Only media types, which other programs may have stored, can be invalid.
pub(crate) fn set_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Returns a plain-text response that caches must not store, for probes and metrics.
pub(crate) fn uncached_text(text: impl Into<Bytes>, content_type: &str) -> Response {
    make_response(StatusCode::OK, [("content-type", content_type), ("cache-control", "no-store")], full(text))
}
