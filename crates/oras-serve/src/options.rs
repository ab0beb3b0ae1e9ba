//! What a server is told when it starts.

use std::path::PathBuf;
use std::time::Duration;

use oras_store::MAX_MANIFEST_SIZE;

use crate::{Tls, User};

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Offers the referrers API; without it clients fall back to the tag schema.
    pub referrers: bool,
    /// Refuses everything that changes a repository.
    pub read_only: bool,
    /// Takes manifests and indexes whose blobs and manifests are not all here.
    pub sparse: bool,
    /// Who may come in, by a password or with a token that the server gave for it; when empty, everybody.
    pub users: Vec<User>,
    /// A file of users in place of `users`, as [`User::htpasswd`] reads it. It is read again when it changes; one that can't
    /// be used then changes nothing.
    pub htpasswd: Option<PathBuf>,
    /// With users: whoever gives no credentials may read everything. Rules decide instead, if there are some.
    pub anonymous_pull: bool,
    /// With users: a file that says who may do what in which repositories. It is read again when it changes. Without it
    /// users may do everything.
    pub rules: Option<PathBuf>,
    /// What clients call this server, such as `https://registry.example`; needed where a proxy is in front of it. Without
    /// it, clients are sent for tokens to the host that they asked for.
    pub public_url: Option<String>,
    /// With users: `/metrics` is for everybody.
    pub open_metrics: bool,
    /// Speaks TLS, and nothing else.
    pub tls: Option<Tls>,
    /// How often [`Stores::maintain`](crate::Stores::maintain) is called; never if the server only reads.
    pub maintenance: Duration,
    /// Shows people what is there, on a web page at `/`, under the same rules as pulls.
    pub page: bool,
    /// The fewest bytes of a chunk that is not the last one of its upload; told to clients.
    pub min_chunk_size: Option<u64>,
    /// Connections that may be open at once. When there are as many, a new one takes the place of one of the client that has
    /// the most.
    pub max_connections: usize,
    /// The largest manifest that is taken.
    pub max_manifest_size: u64,
}

impl Default for Options {
    /// Everything on, for everybody; complete manifests of at most 4 MiB; maintenance once an hour.
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
