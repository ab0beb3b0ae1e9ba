//! How a client reaches registries.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oras_spec::MediaType;
use oras_store::MAX_MANIFEST_SIZE;

use crate::credentials::{Anonymous, CredentialStore};
use crate::guard::AllowedHost;
use crate::rate::RateLimit;
use crate::registries_conf::RegistriesConf;
use crate::retry::RetryPolicy;

/// Told the registry and the text of a warning it sends (distribution-spec, "Warnings").
pub type WarningHandler = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How referrers are kept in a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferrersMode {
    /// By the referrers API where the registry has it, else by the tag schema.
    #[default]
    Auto,
    /// By the API only.
    Api,
    /// By the tag schema only.
    Tag,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1, over which one big blob moves faster; HTTP/2 with servers that speak nothing else over TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS too.
    Http2,
}

/// Where to connect for a host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveOverride {
    /// The host in the reference.
    pub host: String,
    /// The port in the reference.
    pub port: u16,
    /// The address to connect to.
    pub address: IpAddr,
    /// The port to connect to.
    pub address_port: u16,
}

/// When and how one blob is fetched over several connections: only where one connection is slow, and the server sends
/// parts of blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelDownload {
    /// The connections to one registry that its big blobs share; 1 turns it off.
    pub connections: usize,
    /// The bytes that must be left for it to be worth a try.
    pub smallest: u64,
    /// The bytes a second from which one connection is fast enough.
    pub fast: u64,
    /// How long one connection is watched before it is called slow.
    pub measured: Duration,
    /// How long a number of connections is tried before there are more; at least as long as two parts take.
    pub epoch: Duration,
    /// The bytes of a blob that are asked for ahead of those that were handed on: bounds the memory.
    pub window: usize,
}

impl Default for ParallelDownload {
    /// Up to eight connections for what is left of 32 MiB at less than 150 MB/s.
    fn default() -> Self {
        Self {
            connections: 8,
            smallest: 32 << 20,
            fast: 150_000_000,
            measured: Duration::from_millis(300),
            epoch: Duration::from_millis(500),
            window: 6 << 20,
        }
    }
}

/// Options of a [`Client`](crate::Client).
#[derive(Clone)]
pub struct ClientOptions {
    /// HTTP without TLS; `None` means only for `localhost`.
    pub plain_http: Option<bool>,
    /// Skips the check of the registry's certificate.
    pub insecure: bool,
    /// A PEM file of certificate authorities that replaces the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Directories of certificates by registry, `host:port/*.crt`, `*.cert` and `*.key`; the first that has a registry
    /// counts for it. What the options above say wins.
    pub certificate_directories: Vec<PathBuf>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Headers sent to the registry, and to nobody else.
    pub headers: Vec<(String, String)>,
    /// Addresses to connect to.
    pub resolve: Vec<ResolveOverride>,
    /// Hosts that a registry may name (by redirects, upload locations, token servers) although their addresses are of
    /// a private network or of this machine, and the registry's are not.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Hosts that are reached past any proxy, as `NO_PROXY` lists them.
    pub no_proxy: String,
    /// Where credentials come from.
    pub credentials: Arc<dyn CredentialStore>,
    /// Which registries are blocked, need not be verified, or are read elsewhere ([`Mirrored`](crate::Mirrored)).
    pub registries: Arc<RegistriesConf>,
    /// Where the credentials of mirrors come from, by their own hosts.
    pub mirror_credentials: Arc<dyn CredentialStore>,
    /// How referrers are kept.
    pub referrers: ReferrersMode,
    /// Takes warnings of registries, each once.
    pub warnings: Option<WarningHandler>,
    /// The types of manifests that are asked for by tag or digest, in the order of the `Accept` header.
    pub manifest_types: Vec<MediaType>,
    /// The largest manifest that is read.
    pub max_manifest_size: u64,
    /// Which HTTP is spoken.
    pub http_version: HttpVersion,
    /// How often a failed request is sent again.
    pub retry: RetryPolicy,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a server may be silent: before it takes more of a request, before it answers, and between pieces of its
    /// answer. To answer an upload when it has all bytes it has twice as long, and a second more for each 16 MiB.
    pub idle_timeout: Duration,
    /// When one blob is fetched over several connections.
    pub parallel: ParallelDownload,
    /// How many bytes of blobs are moved in a second, downloads and uploads together; clients with clones of one limit
    /// share it.
    pub limit_rate: Option<RateLimit>,
    /// A directory for the state of uploads that were not finished, so that a later run goes on with them
    /// ([`UnfinishedUploads`](crate::UnfinishedUploads)); nothing is kept without one.
    pub unfinished_uploads: Option<PathBuf>,
}

impl Default for ClientOptions {
    /// Anonymous, with TLS but for `localhost`.
    fn default() -> Self {
        Self {
            plain_http: None,
            insecure: false,
            ca_file: None,
            client_certificate: None,
            certificate_directories: Vec::new(),
            user_agent: concat!("oras/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            resolve: Vec::new(),
            allowed_hosts: Vec::new(),
            no_proxy: String::new(),
            credentials: Arc::new(Anonymous),
            registries: Arc::default(),
            mirror_credentials: Arc::new(Anonymous),
            referrers: ReferrersMode::Auto,
            warnings: None,
            manifest_types: MediaType::MANIFESTS.to_vec(),
            max_manifest_size: MAX_MANIFEST_SIZE,
            http_version: HttpVersion::Auto,
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            parallel: ParallelDownload::default(),
            limit_rate: None,
            unfinished_uploads: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    /// Without the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("plain_http", &self.plain_http)
            .field("insecure", &self.insecure)
            .field("ca_file", &self.ca_file)
            .field("user_agent", &self.user_agent)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("resolve", &self.resolve)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("referrers", &self.referrers)
            .finish_non_exhaustive()
    }
}
