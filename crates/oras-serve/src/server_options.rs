//! The options of a server.

use std::path::PathBuf;
use std::time::Duration;

use oras_store::MAX_MANIFEST_SIZE;

use crate::{Tls, User};

/// The options of a server. Each field has a method of its name that sets it.
///
/// ```
/// use oras_serve::{ServerOptions, User};
///
/// let options = ServerOptions::default().users([User::new("ann", "s3cret")]).anonymous_pull(true);
/// assert!(options.anonymous_pull && !options.read_only);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// The URL under which clients reach this server, such as `https://registry.example`, with the base path. Needed
    /// behind a reverse proxy; without it, the URL of the token endpoint is made from the `Host` of the request.
    pub public_url: Option<String>,
    /// The path under which clients reach the registry, such as `/registry`; empty for the root of the host. All
    /// addresses in responses begin with it: `Location`, `Link`, the URL of the token endpoint, and the links of the
    /// web page. Requests are accepted with and without it. Most clients need a proxy that maps `/v2/` to it
    /// ([`Registry`](crate::Registry)).
    ///
    /// It has only letters, digits, and `-`, `.`, `_`, `~` between its slashes. It does not end with a slash, and does
    /// not begin with `/v2` or `/-`, which are paths of the registry.
    pub base_path: String,
    /// Serves `/metrics`, `/healthz` and `/readyz`.
    pub status_endpoints: bool,
    /// Serves `/metrics` without credentials, even if there are users.
    pub open_metrics: bool,
    /// The certificate; with it the server speaks only TLS. Only a [`Server`](crate::Server) has one.
    pub tls: Option<Tls>,
    /// The interval of [`Stores::maintain`](crate::Stores::maintain), which a read-only server never calls.
    pub maintenance: Duration,
    /// Serves a web page at `/` that shows the repositories, under the same rules as pulls. Needs the feature `page`.
    pub page: bool,
    /// The minimum size in bytes of a chunk that is not the last one of its upload; sent to clients.
    pub min_chunk_size: Option<u64>,
    /// The maximum number of open connections. At the limit, a new connection replaces a connection of the client with
    /// the most connections. Also the maximum number of running writes of one client.
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
            base_path: String::new(),
            status_endpoints: true,
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

impl ServerOptions {
    oras_store::setters! {
        referrers: bool;
        read_only: bool;
        sparse: bool;
        users: impl IntoIterator<Item = User> => users.into_iter().collect();
        htpasswd: impl Into<PathBuf> => Some(htpasswd.into());
        anonymous_pull: bool;
        rules: impl Into<PathBuf> => Some(rules.into());
        public_url: impl Into<String> => Some(public_url.into());
        base_path: impl Into<String> => base_path.into();
        status_endpoints: bool;
        open_metrics: bool;
        tls: Tls => Some(tls);
        maintenance: Duration;
        page: bool;
        min_chunk_size: u64 => Some(min_chunk_size);
        max_connections: usize;
        max_manifest_size: u64;
    }
}
