//! The options of a server.

use std::path::PathBuf;
use std::time::Duration;

use oras_store::MAX_MANIFEST_SIZE;

use crate::{Tls, User};

/// The options of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Offers the referrers API; without it clients fall back to the tag schema.
    pub referrers: bool,
    /// Rejects every request that would change a repository.
    pub read_only: bool,
    /// Accepts manifests and indexes even if blobs or manifests that they reference do not exist.
    pub sparse: bool,
    /// The users who may log in. Without users, every client may do everything.
    pub users: Vec<User>,
    /// A file of users in place of `users`, in the format of [`User::htpasswd`]. It is reloaded when it changes; if the
    /// new content is invalid, the server logs a warning and keeps the previous users.
    pub htpasswd: Option<PathBuf>,
    /// Allows clients without credentials to pull from every repository. It applies only with users and without rules.
    pub anonymous_pull: bool,
    /// A file of access rules, which the server reloads when it changes. It applies only with users. Without rules,
    /// users may do everything.
    pub rules: Option<PathBuf>,
    /// The URL under which clients reach this server, such as `https://registry.example`. Needed behind a reverse
    /// proxy; without it, the URL of the token endpoint is made from the `Host` of the request.
    pub public_url: Option<String>,
    /// Serves `/metrics` without credentials, even if there are users.
    pub open_metrics: bool,
    /// The certificate; with it the server speaks only TLS.
    pub tls: Option<Tls>,
    /// The interval of [`Stores::maintain`](crate::Stores::maintain), which a read-only server never calls.
    pub maintenance: Duration,
    /// Serves a web page at `/` that shows the repositories, under the same rules as pulls. Needs the feature `page`.
    pub page: bool,
    /// The minimum size in bytes of a chunk that is not the last one of its upload; sent to clients.
    pub min_chunk_size: Option<u64>,
    /// The maximum number of open connections. At the limit, a new connection replaces a connection of the client with
    /// the most connections.
    pub max_connections: usize,
    /// The largest manifest in bytes that is accepted.
    pub max_manifest_size: u64,
}

impl Default for ServerOptions {
    /// All features, no users, complete manifests of at most 4 MiB, maintenance once an hour.
    fn default() -> Self {
        Self {
            referrers: true,
            read_only: false,
            sparse: false,
            users: Vec::new(),
            htpasswd: None,
            anonymous_pull: false,
            rules: None,
            public_url: None,
            open_metrics: false,
            tls: None,
            maintenance: Duration::from_secs(60 * 60),
            page: true,
            min_chunk_size: None,
            max_connections: 1024,
            max_manifest_size: MAX_MANIFEST_SIZE,
        }
    }
}
