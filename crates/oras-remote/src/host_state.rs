//! The state of one origin, which a client collects while it runs and does not save.

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
    // If true, a failed connection may be a restart of the server. If false, the error is reported at once.
    has_answered: AtomicBool,
    /// Connections that large downloads share.
    pub(crate) connections: Arc<ConnectionBudget>,
    /// Counts the requests in flight and limits their number.
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
        // Relaxed is enough: the flag protects no other data, and a late reader only repeats one failed handshake.
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

    /// Returns the upload capabilities of the registry `server`. The registry's profile sets the initial values.
    pub(crate) fn uploads(&self, server: &str) -> Arc<UploadCapabilities> {
        // All uploads to one origin share this object, so that one refused request adjusts all of them.
        let uploads = self.uploads.get_or_init(|| {
            let profile = Profile::of(server);
            tracing::debug!(registry = server, profile = profile.name, "uploading");
            Arc::new(UploadCapabilities::new(profile))
        });
        Arc::clone(uploads)
    }
}
