//! The access log: one event for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode, Uri, header};
use hyper::body::Body as _;
use parking_lot::Mutex;

use super::metrics::{Metrics, label};
use crate::api::endpoint::Endpoint;
use crate::http_message::{Request, Response};
use crate::limits::connection_activity::Peer;

/// The target of the events of requests. Their fields are `remote`, `method`, `path`, `status`, `bytes`, `duration_us`,
/// `user` for a user who logged in, and `client_left` for a client that disconnected before the response.
pub const ACCESS_TARGET: &str = "oras_serve::access";

/// The logged status of a request whose client disconnected before the response, as in nginx.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The log entry of one request. It is written when the response is known. If the client disconnects before that, it is
/// written when the last handle is dropped. Queries and headers are not logged, as they may contain secrets.
pub(crate) struct AccessLogEntry {
    metrics: Arc<Metrics>,
    began: Instant,
    remote: SocketAddr,
    endpoint: &'static str,
    method: Method,
    uri: Uri,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    is_written: bool,
    user: Option<String>,
    /// The status of a write, which is logged if its client has disconnected.
    outcome: Option<StatusCode>,
}

impl AccessLogEntry {
    /// Begins the entry of a request.
    pub(crate) fn begin(
        metrics: &Arc<Metrics>,
        peer: &Peer,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            began: Instant::now(),
            remote: peer.address,
            endpoint: label(endpoint),
            method: request.method().clone(),
            uri: request.uri().clone(),
            progress: Mutex::default(),
        })
    }

    /// Records the user of the request.
    pub(crate) fn set_user(&self, user: Option<&str>) {
        self.progress.lock().user = user.map(ToOwned::to_owned);
    }

    /// Records the status of a write. It is logged if the client disconnects before the response.
    pub(crate) fn set_outcome(&self, status: StatusCode) {
        self.progress.lock().outcome = Some(status);
    }

    /// Writes the entry of a request whose response is about to be sent; `bytes` is the length of its body.
    pub(crate) fn finish(&self, response: &Response) {
        // The size of a streamed body is unknown, so the `Content-Length` header takes precedence.
        let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let bytes = length.and_then(|text| text.parse::<u64>().ok()).or(response.body().size_hint().exact());
        let user = {
            let mut progress = self.progress.lock();
            progress.is_written = true;
            progress.user.take()
        };
        self.write(response.status(), user.as_deref(), bytes, false);
    }

    fn write(&self, status: StatusCode, user: Option<&str>, bytes: Option<u64>, client_left: bool) {
        let took = self.began.elapsed();
        self.metrics.record_request(self.endpoint, &self.method, status, took);
        tracing::info!(
            target: ACCESS_TARGET,
            remote = %self.remote,
            method = %self.method,
            path = self.uri.path(),
            status = status.as_u16(),
            bytes,
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            user,
            client_left = client_left.then_some(true),
        );
    }
}

impl Drop for AccessLogEntry {
    /// hyper drops the future of a request when its connection ends. The task of a write holds another handle, and
    /// records the status before it drops that handle.
    fn drop(&mut self) {
        let Progress { is_written, user, outcome } = std::mem::take(&mut *self.progress.lock());
        if is_written {
            return;
        }
        let status = outcome.or(StatusCode::from_u16(CLIENT_CLOSED_REQUEST).ok()).unwrap_or_default();
        self.write(status, user.as_deref().filter(|_| outcome.is_some()), None, true);
    }
}
