//! One event for every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::{Mutex, MutexGuard};

use crate::metrics::Endpoint;
use crate::route::{self, Route};
use crate::server::Registry;
use crate::visitor::Visitor;

/// The target of the events of requests: `remote`, `method`, `path`, `status`, `bytes`, `duration_us`, `user` for a user who
/// logged in, and `client_left` for a client that disconnected before the answer.
pub const ACCESS_TARGET: &str = "oras_serve::access";

/// The status in the log of a request that was given up as its client disconnected before the answer, as nginx has it.
const CLIENT_GONE: u16 = 499;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(pub(crate) SocketAddr);

/// Answers a request and logs it: `bytes` is the length of the answer that was begun. Queries and headers are not
/// logged: they may hold secrets. A request whose client disconnects before the answer has its line, too.
pub(crate) async fn request(
    State(registry): State<Arc<Registry>>,
    mut request: Request,
    next: Next,
) -> Response {
    let entry = Arc::new(Entry {
        registry,
        began: Instant::now(),
        remote: request.extensions().get::<Remote>().copied(),
        method: request.method().clone(),
        uri: request.uri().clone(),
        state: Mutex::default(),
    });
    request.extensions_mut().insert(Arc::clone(&entry));
    let response = next.run(request).await;
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes = length.and_then(|text| text.parse::<u64>().ok()).or(response.body().size_hint().exact());
    let user = response.extensions().get::<Visitor>().and_then(Visitor::name);
    let endpoint = response.extensions().get::<Endpoint>().copied().unwrap_or_default();
    entry.write(endpoint, response.status(), (bytes, user), false);
    response
}

/// The line of one request in the log. It is written when the answer is there, or else by the last who holds the entry.
pub(crate) struct Entry {
    registry: Arc<Registry>,
    began: Instant,
    remote: Option<Remote>,
    method: Method,
    uri: Uri,
    state: Mutex<EntryState>,
}

#[derive(Default)]
struct EntryState {
    is_written: bool,
    /// What came of the request, and its user.
    outcome: Option<(StatusCode, Option<String>)>,
}

impl Entry {
    /// Notes what came of the request, for the line of one whose client has disconnected.
    pub(crate) fn note_outcome(&self, status: StatusCode, user: Option<&str>) {
        self.state().outcome = Some((status, user.map(ToOwned::to_owned)));
    }

    fn write(
        &self,
        endpoint: Endpoint,
        status: StatusCode,
        (bytes, user): (Option<u64>, Option<&str>),
        client_left: bool,
    ) {
        self.state().is_written = true;
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
            client_left = client_left.then_some(true),
        );
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, EntryState> {
        self.state.lock()
    }
}

impl Drop for Entry {
    /// hyper drops the future of a request when its connection ends; a write goes on, and its outcome is known when it ends.
    fn drop(&mut self) {
        let EntryState { is_written, outcome } = std::mem::take(&mut *self.state());
        if is_written {
            return;
        }
        let path = route::decoded(&self.uri);
        let endpoint = Endpoint::of(&path, Route::parse(&path).as_ref());
        let (status, user) =
            outcome.unwrap_or_else(|| (StatusCode::from_u16(CLIENT_GONE).unwrap_or_default(), None));
        self.write(endpoint, status, (None, user.as_deref()), true);
    }
}
