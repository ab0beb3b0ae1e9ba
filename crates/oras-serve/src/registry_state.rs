//! The state that all requests of a registry share.

use std::io;
use std::sync::Arc;

use http::Uri;
use oras_spec::{Descriptor, MediaType};
#[cfg(feature = "page")]
use tokio::sync::Semaphore;

use crate::api::endpoint::Endpoint;
use crate::api::reference_locks::ReferenceLocks;
use crate::api::upload_sessions::{EXPIRY, MAX_OPEN, UploadSessions};
use crate::auth::access_control::AccessControl;
use crate::base_path;
use crate::digests_in_use::DigestsInUse;
use crate::limits::connection_limits::ConnectionLimits;
use crate::limits::manifest_memory::ManifestMemory;
use crate::ops::config_file::Misconfigured;
use crate::ops::health::Health;
use crate::ops::metrics::Metrics;
use crate::ops::write_tasks::WriteTasks;
#[cfg(feature = "page")]
use crate::page::SummaryCache;
use crate::server_options::ServerOptions;
use crate::stores::Stores;

/// The number of web pages that are rendered at a time. Each may hold a large manifest in memory.
#[cfg(feature = "page")]
const MAX_PAGES: usize = 4;

/// The state that all requests of a registry share.
pub(crate) struct RegistryState {
    pub(crate) options: ServerOptions,
    /// The scheme of all requests. `None` if another program accepts the connections, with or without TLS.
    pub(crate) scheme: Option<&'static str>,
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
    #[cfg(feature = "page")]
    pub(crate) manifest_summaries: SummaryCache,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
}

impl RegistryState {
    /// Checks the options, reads the files of users and rules, and creates the state.
    pub(crate) fn new(
        mut options: ServerOptions,
        scheme: Option<&'static str>,
        stores: Arc<dyn Stores>,
    ) -> io::Result<Self> {
        check_addresses(&options)?;
        Ok(Self {
            access: AccessControl::new(&mut options)?,
            scheme,
            stores,
            uploads: UploadSessions::new(MAX_OPEN, EXPIRY),
            reference_locks: ReferenceLocks::new(),
            digests_in_use: DigestsInUse::default(),
            write_tasks: WriteTasks::default(),
            connection_limits: Arc::new(ConnectionLimits::new(options.max_connections)),
            manifest_memory: ManifestMemory::new(options.max_manifest_size),
            #[cfg(feature = "page")]
            page_permits: Semaphore::new(MAX_PAGES),
            #[cfg(feature = "page")]
            manifest_summaries: SummaryCache::default(),
            metrics: Arc::default(),
            health: Health::default(),
            options,
        })
    }

    /// Returns the endpoint that a request names. Its path may begin with the base path, or a router may have removed
    /// the base path.
    pub(crate) fn endpoint(&self, uri: &Uri) -> Endpoint {
        let path = base_path::strip(&self.options.base_path, uri.path());
        match Endpoint::parse(path) {
            Endpoint::Metrics | Endpoint::Live | Endpoint::Ready if !self.options.status_endpoints => {
                Endpoint::Other(path.to_owned())
            }
            endpoint => endpoint,
        }
    }

    /// Returns true if `node`, to which a store resolved `reference`, is a manifest. The media type of a manifest may
    /// be unknown to this server.
    pub(crate) fn is_manifest(&self, reference: &str, node: &Descriptor) -> bool {
        // By default, stores resolve the digest of a blob to a node of this type. A tag always names a manifest.
        let is_typed = node.media_type != MediaType::OCTET_STREAM;
        is_typed || !reference.contains(':') || self.stores.resolves_manifests_only()
    }
}

/// Checks the public URL and the base path.
fn check_addresses(options: &ServerOptions) -> Result<(), Misconfigured> {
    let base = options.base_path.as_str();
    if !base_path::is_valid(base) {
        return Err(Misconfigured(format!("{base:?} is not a path such as /registry")));
    }
    let Some(url) = &options.public_url else { return Ok(()) };
    if !base_path::is_public_url(url) {
        return Err(Misconfigured(format!("{url:?} is not a URL such as https://registry.example")));
    }
    if !url.trim_end_matches('/').ends_with(base) {
        return Err(Misconfigured(format!("{url:?} does not end with the base path {base:?}")));
    }
    Ok(())
}
