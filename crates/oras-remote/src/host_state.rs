//! What a client has learned of one origin while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::connection::connection_budget::ConnectionBudget;
use crate::http::concurrency_limit::ConcurrencyLimit;
use crate::registry_profile::Profile;
use crate::repository::upload::upload_capabilities::UploadCapabilities;

/// The state of one origin (scheme, host and port), shared by all requests of a client to it.
#[derive(Debug)]
pub(crate) struct HostState {
    /// Whether the server refused HTTP/1.1.
    requires_http2: AtomicBool,
    has_answered: AtomicBool,
    /// Connections that large downloads share.
    pub(crate) connections: Arc<ConnectionBudget>,
    /// Requests that are in flight, and how many may be.
    pub(crate) concurrency: Arc<ConcurrencyLimit>,
    uploads: OnceLock<Arc<UploadCapabilities>>,
}

impl HostState {
    /// Creates the state of an origin that was not contacted yet, with at most `max_connections` for large downloads.
    pub(crate) fn new(max_connections: usize) -> Self {
        Self {
            requires_http2: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            connections: Arc::new(ConnectionBudget::new(max_connections)),
            concurrency: Arc::default(),
            uploads: OnceLock::new(),
        }
    }

    /// Returns true if the server speaks only HTTP/2.
    pub(crate) fn requires_http2(&self) -> bool {
        self.requires_http2.load(Ordering::Relaxed)
    }

    /// Records that the server refused HTTP/1.1.
    pub(crate) fn require_http2(&self) {
        self.requires_http2.store(true, Ordering::Relaxed);
    }

    /// Returns true if the server answered a request before.
    pub(crate) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// Records that the server answered a request.
    pub(crate) fn set_answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Returns what the registry `server` is known to accept as uploads, which begins with its profile.
    pub(crate) fn uploads(&self, server: &str) -> Arc<UploadCapabilities> {
        let uploads = self.uploads.get_or_init(|| {
            let profile = Profile::of(server);
            tracing::debug!(registry = server, profile = profile.name, "uploading");
            Arc::new(UploadCapabilities::new(profile))
        });
        Arc::clone(uploads)
    }
}
