//! Options of a client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oras_spec::MediaType;
use oras_store::MAX_MANIFEST_SIZE;
use oras_tls::PemSource;

use crate::auth::credential::{Anonymous, CredentialStore};
use crate::config::registries_conf::RegistriesConf;
use crate::connection::address_guard::AllowedHost;
use crate::connection::name_resolution::{NameResolver, ResolveOverride};
use crate::connection::proxy::Proxy;
use crate::connection::root_certificates::{ClientCertificate, RootCertificates};
use crate::http::bandwidth_limit::RateLimit;
use crate::http::retry::RetryPolicy;
use oras_store::setters;

/// Receives the registry and the text of a warning that it sent (distribution-spec, "Warnings").
/// [`ClientOptions::warnings`] sets it.
pub type WarningHandler = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How a registry stores referrers. Set it for a registry whose support is detected wrongly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferrersMode {
    /// The referrers API where the registry has it, otherwise the tag schema.
    #[default]
    Auto,
    /// Only the referrers API.
    Api,
    /// Only the tag schema.
    Tag,
}

/// The version of HTTP. [`ClientOptions::http_version`] sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.1, which transfers one large blob faster; HTTP/2 for servers that accept nothing else over TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, even without TLS.
    Http2,
}

/// When and how one blob is downloaded over several connections. That happens only if one connection is slow and the
/// server supports ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParallelDownload {
    /// Connections to one registry that its large downloads share; 1 disables parallel downloads.
    pub connections: usize,
    /// The smallest number of remaining bytes for which more connections are opened.
    pub smallest: u64,
    /// The rate in bytes per second at which one connection is fast enough.
    pub fast: u64,
    /// The time for which one connection is measured before it can count as slow.
    pub measured: Duration,
    /// The most bytes of one blob that are requested but not yet delivered. Bounds the memory.
    pub window: usize,
}

impl Default for ParallelDownload {
    /// Up to eight connections for at least 32 MiB at less than 150 MB/s.
    fn default() -> Self {
        Self {
            connections: 8,
            smallest: 32 << 20,
            fast: 150_000_000,
            measured: Duration::from_millis(300),
            window: 6 << 20,
        }
    }
}

impl ParallelDownload {
    setters! {
        connections: usize;
        smallest: u64;
        fast: u64;
        measured: Duration;
        window: usize;
    }
}

/// Options of a [`Client`](crate::Client).
///
/// The default reads nothing from the environment, except that the system's certificates may be at the location that
/// `SSL_CERT_FILE` names ([`RootCertificates`]). [`ClientOptions::from_env`] returns the options of the `oras` command.
///
/// ```
/// use oras_remote::{ClientOptions, Credential, RetryPolicy, StaticCredentials};
///
/// let options = ClientOptions::default()
///     .user_agent("my-tool/1.0")
///     .credentials(StaticCredentials::for_server("ghcr.io", Credential::basic("user", "password")))
///     .retry(RetryPolicy::default().retries(2));
/// # let _ = options;
/// ```
///
/// The credentials and mirrors of Docker and of the containers tools, and what a strange network needs:
///
/// ```no_run
/// use oras_remote::{
///     AllowedHost, ClientOptions, DockerConfig, HttpVersion, ParallelDownload, Proxy, ReferrersMode, RegistriesConf,
///     ResolveOverride,
/// };
///
/// # fn main() -> oras_remote::store::Result<()> {
/// let options = ClientOptions::default()
///     .credentials(DockerConfig::system())
///     .registries(RegistriesConf::system()?)
///     .proxy(Proxy::from_env())
///     .resolve(vec![ResolveOverride::new("registry.test", 443, ([127, 0, 0, 1], 8443).into())])
///     .allowed_hosts(vec![AllowedHost::new("storage.test")])
///     .http_version(HttpVersion::Http1)
///     .parallel(ParallelDownload::default().connections(4))
///     .referrers(ReferrersMode::Api)
///     .warnings(|registry, text| eprintln!("{registry}: {text}"));
/// # let _ = options;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Whether to use HTTP without TLS; `None` means only for the name `localhost`, not for `127.0.0.1`.
    pub plain_http: Option<bool>,
    /// Whether to skip verification of the registry's certificate.
    pub insecure: bool,
    /// The certificates that are trusted.
    pub roots: RootCertificates,
    /// The client certificate. It is shown only to the registry, and never through an HTTPS proxy.
    pub client_certificate: Option<ClientCertificate>,
    /// Directories of certificates by registry: `host:port/*.crt`, `*.cert` and `*.key`. The first directory with an
    /// entry for a registry is used. The options above take precedence.
    pub certificate_directories: Vec<PathBuf>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// Headers sent to the registry and to no other server.
    pub headers: Vec<(String, String)>,
    /// Overrides of name resolution.
    pub resolve: Vec<ResolveOverride>,
    /// Resolves names instead of the system.
    pub resolver: Option<Arc<dyn NameResolver>>,
    /// Hosts that a registry may name (by redirects, upload locations, token servers) although their addresses are
    /// private or loopback and the registry's are not. Link-local addresses stay forbidden.
    pub allowed_hosts: Vec<AllowedHost>,
    /// The proxies.
    pub proxy: Proxy,
    /// Hosts that are reached without a proxy, in the format of `NO_PROXY`.
    pub no_proxy: String,
    /// The credentials of registries.
    pub credentials: Arc<dyn CredentialStore>,
    /// Registries that are blocked, insecure or mirrored ([`Mirrored`](crate::Mirrored)).
    pub registries: Arc<RegistriesConf>,
    /// The credentials of mirrors, by their own hosts.
    pub mirror_credentials: Arc<dyn CredentialStore>,
    /// How referrers are stored.
    pub referrers: ReferrersMode,
    /// Receives each distinct warning of a registry once.
    pub warnings: Option<WarningHandler>,
    /// Manifest types for the `Accept` header, in order.
    pub manifest_types: Vec<MediaType>,
    /// Size in bytes of the largest manifest that is read.
    pub max_manifest_size: u64,
    /// The version of HTTP.
    pub http_version: HttpVersion,
    /// When and how often failed requests are retried.
    pub retry: RetryPolicy,
    /// Timeout of connecting.
    pub connect_timeout: Duration,
    /// Timeout for a server that makes no progress: it does not read the request, does not answer, or does not send
    /// the body. After the last byte of an upload, the server has twice this time, plus a second for each 16 MiB, to
    /// answer.
    pub idle_timeout: Duration,
    /// When and how one blob is downloaded over several connections.
    pub parallel: ParallelDownload,
    /// The limit of blob bytes per second, for downloads and uploads together. Clients that have clones of one limit
    /// share it.
    pub limit_rate: Option<RateLimit>,
    /// Directory for the state of interrupted uploads, which a later run resumes
    /// ([`UnfinishedUploads`](crate::UnfinishedUploads)). Without it, no state is saved.
    pub unfinished_uploads: Option<PathBuf>,
}

impl Default for ClientOptions {
    /// Anonymous, with TLS except for `localhost`.
    fn default() -> Self {
        Self {
            plain_http: None,
            insecure: false,
            roots: RootCertificates::default(),
            client_certificate: None,
            certificate_directories: Vec::new(),
            user_agent: concat!("oras/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers: Vec::new(),
            resolve: Vec::new(),
            resolver: None,
            allowed_hosts: Vec::new(),
            proxy: Proxy::none(),
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

impl ClientOptions {
    setters! {
        plain_http: bool => Some(plain_http);
        insecure: bool;
        roots: RootCertificates;
        certificate_directories: Vec<PathBuf>;
        user_agent: impl Into<String> => user_agent.into();
        headers: Vec<(String, String)>;
        resolve: Vec<ResolveOverride>;
        allowed_hosts: Vec<AllowedHost>;
        proxy: Proxy;
        no_proxy: impl Into<String> => no_proxy.into();
        credentials: impl CredentialStore + 'static => Arc::new(credentials);
        registries: impl Into<Arc<RegistriesConf>> => registries.into();
        mirror_credentials: impl CredentialStore + 'static => Arc::new(mirror_credentials);
        referrers: ReferrersMode;
        manifest_types: Vec<MediaType>;
        max_manifest_size: u64;
        http_version: HttpVersion;
        retry: RetryPolicy;
        connect_timeout: Duration;
        idle_timeout: Duration;
        parallel: ParallelDownload;
        limit_rate: RateLimit => Some(limit_rate);
    }

    /// Sets [`client_certificate`](#structfield.client_certificate) from files or PEM in memory.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PemSource>,
        key: impl Into<PemSource>,
    ) -> Self {
        self.client_certificate = Some(ClientCertificate::new(certificate, key));
        self
    }

    /// Adds one of the [`headers`](#structfield.headers).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets [`resolver`](#structfield.resolver).
    #[must_use]
    pub fn resolver(mut self, resolver: impl NameResolver + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Sets [`warnings`](#structfield.warnings).
    #[must_use]
    pub fn warnings(mut self, handler: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.warnings = Some(Arc::new(handler));
        self
    }

    /// Sets [`unfinished_uploads`](#structfield.unfinished_uploads).
    #[must_use]
    pub fn unfinished_uploads(mut self, directory: impl Into<PathBuf>) -> Self {
        self.unfinished_uploads = Some(directory.into());
        self
    }
}

impl fmt::Debug for ClientOptions {
    /// Omits the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("plain_http", &self.plain_http)
            .field("insecure", &self.insecure)
            .field("roots", &self.roots)
            .field("user_agent", &self.user_agent)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("resolve", &self.resolve)
            .field("proxy", &self.proxy)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("referrers", &self.referrers)
            .finish_non_exhaustive()
    }
}
