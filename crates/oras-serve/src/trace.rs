//! One event for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics::Endpoint;
use crate::route::{self, Route};
use crate::server::Registry;
use crate::visitor::Visitor;

/// The target of the events that tell of requests: `remote`, `method`, `path`, `status`, `bytes`, `duration_us` and,
/// if one came in, `user`.
pub const ACCESS_TARGET: &str = "oras_serve::access";

/// The status in the log of a request whose client disconnected before the answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(pub(crate) SocketAddr);

/// Answers a request and logs it: `bytes` is the length of the answer that was begun. Queries and headers are not
/// logged: they may hold secrets. A request whose client disconnects before the answer has its line, too.
pub(crate) async fn request(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let mut entry = Entry {
        registry,
        began: Instant::now(),
        remote: request.extensions().get::<Remote>().copied(),
        method: request.method().clone(),
        uri: request.uri().clone(),
        is_written: false,
    };
    let response = next.run(request).await;
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).or(response.body().size_hint().exact());
    let user = response.extensions().get::<Visitor>().and_then(Visitor::name);
    let endpoint = response.extensions().get::<Endpoint>().copied().unwrap_or_default();
    entry.write(endpoint, response.status(), bytes, user);
    response
}

/// The line of one request in the log.
struct Entry {
    registry: Arc<Registry>,
    began: Instant,
    remote: Option<Remote>,
    method: Method,
    uri: Uri,
    is_written: bool,
}

impl Entry {
    fn write(&mut self, endpoint: Endpoint, status: StatusCode, bytes: Option<u64>, user: Option<&str>) {
        self.is_written = true;
        let took = self.began.elapsed();
        self.registry.metrics.request(endpoint, &self.method, status, took);
        tracing::info!(
            target: ACCESS_TARGET,
            remote = self.remote.map(|remote| tracing::field::display(remote.0)),
            method = %self.method,
            path = self.uri.path(),
            status = status.as_u16(),
            bytes,
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            user,
        );
    }
}

impl Drop for Entry {
    /// hyper drops the future of a request when its connection ends. What the request began to write may be there.
    fn drop(&mut self) {
        if !self.is_written {
            let path = route::decoded(&self.uri);
            let endpoint = Endpoint::of(&path, Route::parse(&path).as_ref());
            let status = StatusCode::from_u16(CLIENT_GONE).unwrap_or_default();
            self.write(endpoint, status, None, None);
        }
    }
}
