//! A repository of a registry as a store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::api_bodies::TagPage;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType, Reference};
use oras_store::{
    ByteStream, Content, Delete, Error, Ingest, IngestTarget, Kind, Origin, Predecessors, Pushed, Result,
    Source, TagList, Target, Undigested,
};
use url::Url;

use crate::additions::Additions;
use crate::client::Client;
use crate::download;
use crate::endpoint::Endpoint;
use crate::paging::List;
use crate::scope::Scopes;
use crate::upload::Pieces;

/// A repository of a registry: a store of manifests and blobs; cheap to clone.
///
/// Pushed blobs are streamed and checked by the registry against their digest. Whether the registry has the
/// referrers API is found out once and remembered by all clones.
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
    additions: Additions,
}

impl Repository {
    /// The repository that `reference` is in; its tag or digest does not matter. Connects to nobody.
    ///
    /// # Errors
    /// `InvalidInput` when the registry is not a host; `Denied` with [`RegistryBlocked`](crate::RegistryBlocked).
    pub fn new(client: &Client, reference: &Reference) -> Result<Self> {
        let endpoint = client.endpoint(&reference.registry, &reference.name())?;
        Ok(Self::with(client, reference, endpoint))
    }

    /// The repository `path` of the registry at `origin`, as an earlier run told it.
    pub(crate) fn at(client: &Client, origin: &str, path: &str) -> Result<Self> {
        let invalid = || Error::new(Kind::InvalidInput, format!("invalid registry {origin:?}"));
        let url = Url::parse(origin).map_err(|_| invalid())?;
        // Credentials are kept under the name that people use.
        let host = match url.host_str().ok_or_else(invalid)? {
            "registry-1.docker.io" => "docker.io",
            host => host,
        };
        let server = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let reference: Reference = format!("{server}/{path}").parse()?;
        let plain = Some(url.scheme() == "http");
        let endpoint = client.endpoint_by(&reference.registry, &reference.name(), plain)?;
        Ok(Self::with(client, &reference, endpoint))
    }

    /// The same whatever the options have to say of the registry.
    pub(crate) fn unruled(client: &Client, reference: &Reference, insecure: bool) -> Result<Self> {
        let endpoint = client.unruled_endpoint(&reference.registry, insecure)?;
        Ok(Self::with(client, reference, endpoint))
    }

    fn with(client: &Client, reference: &Reference, endpoint: Endpoint) -> Self {
        let reference = Reference { tag: None, digest: None, ..reference.clone() };
        let endpoint = endpoint.for_repository(&reference.repository);
        let client = client.clone();
        let name = reference.name();
        let (referrers, additions) = Default::default();
        let inner = Inner { client, endpoint, reference, name, referrers, additions };
        Self { inner: Arc::new(inner) }
    }

    /// `registry/repository`, as it was given.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn client(&self) -> &Client {
        &self.inner.client
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// What is known of the referrers API: see [`crate::referrers`].
    pub(crate) fn referrers_state(&self) -> &AtomicU8 {
        &self.inner.referrers
    }

    /// Referrers that wait to be entered into an index.
    pub(crate) fn additions(&self) -> &Additions {
        &self.inner.additions
    }

    /// The repository without its registry.
    pub(crate) fn path(&self) -> &str {
        &self.inner.reference.repository
    }

    /// The address of `rest` in the repository.
    pub(crate) fn url(&self, rest: &str) -> Result<Url> {
        self.inner.endpoint.url(&format!("/v2/{}/{rest}", self.path()))
    }

    /// The reference to a tag or digest here, if `target` is one.
    pub(crate) fn named(&self, target: &str) -> Result<Reference> {
        Ok(self.inner.reference.with_target(target)?)
    }

    /// What a token must allow to read here.
    pub(crate) fn pull(&self) -> Scopes {
        Scopes::repository(self.path(), &["pull"])
    }

    /// What a token must allow to write here. Asked for with the first request of a push, so that one token does.
    pub(crate) fn push_scopes(&self) -> Scopes {
        Scopes::repository(self.path(), &["pull", "push"])
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for Repository {
    /// One `HEAD` request; a `GET` when the registry does not say enough in its headers.
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let reference = self.named(reference)?;
        match self.head_manifest(&reference).await? {
            Some(descriptor) => Ok(descriptor),
            None => Ok(self.get_manifest(&reference).await?.0),
        }
    }

    /// One `GET` request.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        let (descriptor, bytes) = self.get_manifest(&self.named(reference)?).await?;
        Ok((descriptor, Some(bytes)))
    }

    /// Blobs are streamed; a broken transfer goes on where it stopped. Manifests are read whole.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if !descriptor.media_type.is_manifest() {
            return download::open(self, descriptor, range).await;
        }
        let bytes = self.fetch_manifest(descriptor).await?;
        let end = usize::try_from(range.end).map_or(bytes.len(), |end| end.min(bytes.len()));
        let start = usize::try_from(range.start).map_or(end, |start| start.min(end));
        let bytes = bytes.slice(start..end);
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        if descriptor.media_type.is_manifest() {
            return Origin::Opaque;
        }
        Origin::Repository { registry: self.endpoint().origin(), repository: self.path().to_owned() }
    }
}

#[async_trait]
impl Target for Repository {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        let kind = if descriptor.media_type.is_manifest() { "manifests" } else { "blobs" };
        self.has(kind, descriptor).await
    }

    /// Blobs of another repository of the same registry are mounted if it lets us. A manifest with a subject is
    /// entered into the subject's referrers.
    async fn push(&self, content: &Content) -> Result<Pushed> {
        let descriptor = content.descriptor();
        if descriptor.media_type.is_manifest() {
            self.push_manifest(content, &self.named(&descriptor.digest.to_string())?).await?;
            return Ok(Pushed::Copied);
        }
        self.push_blob(content).await
    }

    /// At once; only whether its entry in the referrers of its subject stays is looked at later, for all together.
    async fn gather(&self, content: &Content) -> Result<Pushed> {
        self.gather_manifest(content).await?;
        Ok(Pushed::Copied)
    }

    async fn flush(&self) -> Result<()> {
        self.settle_tagged_referrers().await
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.tagged_digest(tag).await
    }

    /// For small blobs, and for those of another repository of the same registry.
    fn finds_out(&self, content: &Content) -> bool {
        self.push_finds_out(content)
    }

    /// A tag or digest, alone or in a full reference to this repository.
    fn check_tag(&self, tag: &str) -> Result<()> {
        self.named(tag).map(drop)
    }

    /// `tag` may be the manifest's own digest, which stores it without a name.
    async fn tag(&self, content: &Content, tag: &str) -> Result<()> {
        self.push_manifest(content, &self.named(tag)?).await
    }

    /// Writes the tag alone: the referrers of the subject of the manifest stay as they are.
    async fn add_tag(&self, content: &Content, tag: &str) -> Result<()> {
        self.put_again(content, &self.named(tag)?).await
    }
}

#[async_trait]
impl IngestTarget for Repository {
    /// Bytes are sent in pieces of a few MiB, held until the registry has them. A registry that takes no pieces gets
    /// all at once, from a temporary file.
    async fn begin(&self, media_type: MediaType, algorithm: Algorithm) -> Result<Box<dyn Ingest>> {
        Ok(Box::new(Pieces::new(self.clone(), media_type, algorithm)))
    }

    /// Large content is sent while it is hashed, and not to its end if the digest turns out to be there. What was sent
    /// under an identity is gone on with by a later run, if the options have a place to keep that.
    async fn ingest(&self, content: &Undigested) -> Result<(Descriptor, Pushed)> {
        self.push_undigested(content).await
    }
}

#[async_trait]
impl Predecessors for Repository {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.referrers(node, artifact_type).await
    }
}

impl TagList for Repository {
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let (client, endpoint) = (self.client().clone(), self.endpoint().clone());
        match self.url("tags/list") {
            Ok(url) => List { client, endpoint, scopes: self.pull(), url }
                .after(last)
                .items(|page: TagPage| page.tags),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

#[async_trait]
impl Delete for Repository {
    /// A manifest with a subject is taken out of the subject's referrers first.
    async fn delete(&self, descriptor: &Descriptor) -> Result<()> {
        if descriptor.media_type.is_manifest() {
            self.forget_referrer(descriptor).await?;
            return self.remove("manifests", &descriptor.digest.to_string()).await;
        }
        self.remove("blobs", &descriptor.digest.to_string()).await
    }

    /// By the registry's tag API. Where it has none, the tag is moved to a unique manifest, which is then deleted by
    /// its digest: the original and its other tags are never touched.
    async fn untag(&self, tag: &str) -> Result<()> {
        self.remove_tag(tag).await
    }
}
