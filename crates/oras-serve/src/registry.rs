//! The state that all requests of a server share.

use std::io;
use std::sync::Arc;

use oras_spec::{Descriptor, MediaType};
#[cfg(feature = "page")]
use tokio::sync::Semaphore;

use crate::api::reference_locks::ReferenceLocks;
use crate::api::upload_sessions::{EXPIRY, MAX_OPEN, UploadSessions};
use crate::auth::access_control::AccessControl;
use crate::digests_in_use::DigestsInUse;
use crate::limits::connection_limits::ConnectionLimits;
use crate::limits::manifest_memory::ManifestMemory;
use crate::ops::health::Health;
use crate::ops::metrics::Metrics;
use crate::ops::write_tasks::WriteTasks;
use crate::server_options::ServerOptions;
use crate::stores::Stores;

/// The number of web pages that are rendered at a time. Each may hold a large manifest in memory.
#[cfg(feature = "page")]
const MAX_PAGES: usize = 4;

/// The state that all requests of a server share.
pub(crate) struct Registry {
    pub(crate) options: ServerOptions,
    /// Whether the server uses TLS.
    pub(crate) is_secure: bool,
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) access: AccessControl,
    pub(crate) uploads: UploadSessions,
    pub(crate) reference_locks: ReferenceLocks,
    pub(crate) digests_in_use: DigestsInUse,
    pub(crate) write_tasks: WriteTasks,
    pub(crate) connection_limits: Arc<ConnectionLimits>,
    pub(crate) manifest_memory: ManifestMemory,
    #[cfg(feature = "page")]
    pub(crate) page_permits: Semaphore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
}

impl Registry {
    /// Creates the state, and reads the files of users and rules.
    pub(crate) fn new(
        mut options: ServerOptions,
        is_secure: bool,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        Ok(Self {
            access: AccessControl::new(&mut options)?,
            is_secure,
            stores,
            uploads: UploadSessions::new(MAX_OPEN, EXPIRY),
            reference_locks: ReferenceLocks::new(),
            digests_in_use: DigestsInUse::default(),
            write_tasks: WriteTasks::default(),
            connection_limits: Arc::new(ConnectionLimits::new(options.max_connections)),
            manifest_memory: ManifestMemory::new(options.max_manifest_size),
            #[cfg(feature = "page")]
            page_permits: Semaphore::new(MAX_PAGES),
            metrics: Arc::default(),
            health: Health::default(),
            options,
        })
    }

    /// Returns true if `node`, to which a store resolved `reference`, is a manifest. The media type of a manifest may
    /// be unknown to this server.
    pub(crate) fn is_manifest(&self, reference: &str, node: &Descriptor) -> bool {
        // By default, stores resolve the digest of a blob to a node of this type. A tag always names a manifest.
        let is_typed = node.media_type != MediaType::OCTET_STREAM;
        is_typed || !reference.contains(':') || self.stores.resolves_manifests_only()
    }
}
