//! A handle of one repository of a registry.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use oras_spec::Reference;
use oras_store::{Error, ErrorKind, Result, StoredArtifact};
use url::Url;

use crate::auth::scope::Scopes;
use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::retry::FailedAttempt;
use crate::repository::referrers::pending_referrers::PendingReferrers;
use crate::repository::upload::upload_capabilities::UploadCapabilities;

oras_store::inherent_read_methods!(Repository);
oras_store::inherent_write_methods!(Repository);

/// A repository of a registry, as a store of manifests and blobs. Use it to push, pull and list the artifacts of one
/// repository. Cheap to clone.
///
/// Pushed blobs are streamed, and the registry verifies their digests. Whether the registry supports the referrers
/// API is detected once and shared by all clones.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    endpoint: Endpoint,
    /// Without tag or digest.
    reference: Reference,
    name: String,
    referrers: AtomicU8,
    pending_referrers: PendingReferrers,
}

impl Repository {
    /// Creates a handle of the repository that a text such as `ghcr.io/example/web` names. Doesn't connect.
    ///
    /// The text may end with a tag or a digest, which is ignored. [`Client::artifact`] reads what it names.
    ///
    /// # Errors
    /// `InvalidInput` if the text is not a reference; those of [`Repository::new`].
    pub fn open(client: &Client, reference: &str) -> Result<Self> {
        Self::new(client, &reference.parse()?)
    }

    /// Creates a handle of the repository of `reference`, whose tag or digest is ignored. Doesn't connect.
    ///
    /// # Errors
    /// `InvalidInput` if the registry is not a host; `Denied` with [`RegistryBlocked`](crate::RegistryBlocked).
    pub fn new(client: &Client, reference: &Reference) -> Result<Self> {
        let endpoint = client.endpoint(&reference.registry, &reference.name())?;
        Ok(Self::with_endpoint(client, reference, endpoint))
    }

    /// Returns the repository `path` of the registry at `origin`, which an earlier run saved.
    pub(crate) fn at_origin(client: &Client, origin: &str, path: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, format!("invalid registry {origin:?}"));
        let url = Url::parse(origin).map_err(|_| invalid())?;
        // Credentials are stored under the name that people use.
        let host = match url.host_str().ok_or_else(invalid)? {
            "registry-1.docker.io" => "docker.io",
            host => host,
        };
        let server = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let reference: Reference = format!("{server}/{path}").parse()?;
        // The saved origin decides the scheme, because the upload's location belongs to that origin.
        let plain_http = Some(url.scheme() == "http");
        let endpoint = client.endpoint_with_scheme(&reference.registry, &reference.name(), plain_http)?;
        Ok(Self::with_endpoint(client, &reference, endpoint))
    }

    /// Like [`Repository::new`], without applying the rules of `registries.conf`.
    pub(crate) fn ignoring_registry_rules(
        client: &Client,
        reference: &Reference,
        insecure: bool,
    ) -> Result<Self> {
        let endpoint = client.endpoint_ignoring_rules(&reference.registry, insecure)?;
        Ok(Self::with_endpoint(client, reference, endpoint))
    }

    fn with_endpoint(client: &Client, reference: &Reference, endpoint: Endpoint) -> Self {
        let reference = Reference { tag: None, digest: None, ..reference.clone() };
        let endpoint = endpoint.for_repository(&reference.repository);
        let client = client.clone();
        let name = reference.name();
        let inner = Inner {
            client,
            endpoint,
            reference,
            name,
            referrers: AtomicU8::default(),
            pending_referrers: PendingReferrers::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns `registry/repository` as given.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Sends a request to the registry, with retries.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response> {
        self.client().send(self.endpoint(), request).await
    }

    /// Sends a request to the registry, without retries.
    pub(crate) async fn attempt(&self, request: &Request) -> Result<Response, FailedAttempt> {
        self.client().attempt(self.endpoint(), request).await
    }

    /// Returns the detected support of the referrers API: see
    /// [`ApiSupport`](crate::repository::referrers::repository_referrers).
    pub(crate) fn referrers_state(&self) -> &AtomicU8 {
        &self.inner.referrers
    }

    /// Returns the referrers that are to be added to an index.
    pub(crate) fn pending_referrers(&self) -> &PendingReferrers {
        &self.inner.pending_referrers
    }

    /// Returns the upload capabilities of the registry.
    pub(crate) fn upload_capabilities(&self) -> Arc<UploadCapabilities> {
        self.client().host(self.endpoint().base()).uploads(self.endpoint().server())
    }

    /// Returns the name of the repository without its registry.
    pub(crate) fn path(&self) -> &str {
        &self.inner.reference.repository
    }

    /// Returns the address of `rest` in the repository.
    pub(crate) fn url(&self, rest: &str) -> Result<Url> {
        self.inner.endpoint.url(&format!("/v2/{}/{rest}", self.path()))
    }

    /// Returns the reference to the tag or digest `target` of this repository.
    pub(crate) fn reference_to(&self, target: &str) -> Result<Reference> {
        Ok(self.inner.reference.with_target(target)?)
    }

    /// Returns the scopes for reading.
    pub(crate) fn pull_scopes(&self) -> Scopes {
        Scopes::repository(self.path(), &["pull"])
    }

    /// Returns the scopes for writing. A push requests them with its first request, so that one token is enough.
    pub(crate) fn push_scopes(&self) -> Scopes {
        Scopes::repository(self.path(), &["pull", "push"])
    }
}

impl Client {
    /// Reads the manifest that a reference such as `ghcr.io/example/web:v1` names, and gives access to the config, the
    /// layers and the referrers of the artifact.
    ///
    /// # Errors
    /// `InvalidInput` if the text is not a reference, or has neither tag nor digest; `NotFound` if the registry does
    /// not have the artifact; those of [`StoredArtifact::open`].
    pub async fn artifact(&self, reference: &str) -> Result<StoredArtifact> {
        let reference: Reference = reference.parse()?;
        let target = reference.target().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("{reference} has neither a tag nor a digest"))
        })?;
        Repository::new(self, &reference)?.artifact(&target).await
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
