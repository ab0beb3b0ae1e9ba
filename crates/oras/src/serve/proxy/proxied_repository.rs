//! One repository of an upstream: names are resolved at the upstream, and content is read from the cache first.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, Either, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_remote::Repository;
use oras_serve::{Stores, Warnings};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, IngestOptions, Origin, PushMode, ReadStore, Result,
    Source, Store,
};
use parking_lot::Mutex;

use super::LOG_TARGET;
use super::blob_download::{Download, Downloads, Job, hold_back_last_piece};
use super::upstream::{Upstream, UpstreamError};

/// The timeout for resolving a name at the upstream. Afterwards the cached tag is served.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout for listing all tags, which may take many pages.
const TAGS_TIMEOUT: Duration = Duration::from_secs(60);

/// One repository of an upstream, for one request.
pub(super) struct ProxiedRepository {
    /// The local name.
    pub(super) name: String,
    pub(super) upstream: Arc<Upstream>,
    pub(super) remote: Repository,
    pub(super) local: Arc<dyn Stores>,
    pub(super) downloads: Arc<Downloads>,
    /// Whether a digest names a blob instead of a manifest.
    pub(super) is_for_blobs: bool,
    pub(super) warnings: Warnings,
    /// Digests of manifests whose media type does not identify them as manifests.
    pub(super) untyped_manifests: Mutex<HashSet<Digest>>,
}

impl ProxiedRepository {
    /// Runs a request to the upstream, which fails after `timeout`.
    async fn request<T>(
        &self,
        timeout: Option<Duration>,
        request: BoxFuture<'_, Result<T>>,
    ) -> Result<T, UpstreamError> {
        self.upstream.request(self.remote.name(), timeout, request).await
    }

    /// Opens the cache of the repository. Treats an unreadable cache as empty.
    async fn cached(&self) -> Option<Arc<dyn ReadStore>> {
        self.local.repository(&self.name, &Warnings::default()).await.unwrap_or_else(|error| {
            self.log_error(&error, "the cache can't be read");
            None
        })
    }

    /// Resolves a reference in the cache.
    async fn resolve_cached(&self, reference: &str) -> Option<Descriptor> {
        self.cached().await?.resolve(reference).await.ok()
    }

    /// Runs a request to the upstream. If the upstream is unavailable and there is a cache, returns the cache instead,
    /// and warns the client that `what` may be outdated.
    async fn request_or_cache<T>(
        &self,
        what: &str,
        timeout: Duration,
        request: BoxFuture<'_, Result<T>>,
    ) -> Result<Either<T, Arc<dyn ReadStore>>> {
        // An upstream that failed a moment ago gets no request, so that no client waits for its timeout.
        let known = if self.upstream.is_unavailable() { self.cached().await } else { None };
        let cached = match known {
            Some(cached) => cached,
            None => match self.request(Some(timeout), request).await {
                Ok(answer) => return Ok(Either::Left(answer)),
                Err(failure) if failure.is_unavailable => self.cached().await.ok_or(failure.error)?,
                Err(failure) => return Err(failure.error),
            },
        };
        self.warn(what);
        Ok(Either::Right(cached))
    }

    fn log_error(&self, error: &Error, message: &str) {
        let (repository, error) = (&self.name, error.chain());
        tracing::error!(target: LOG_TARGET, %repository, %error, "{message}");
    }

    /// Warns the client that cached data may be outdated.
    fn warn(&self, what: &str) {
        let host = &self.upstream.host;
        self.warnings.add(format!("the upstream {host} does not answer: {what}, as seen last"));
    }

    /// Resolves a tag at the upstream, or in the cache if the upstream is unavailable.
    async fn resolve_tag(&self, tag: &str) -> Result<Descriptor> {
        // An upstream that failed a moment ago gets no request, so that no client waits for its timeout.
        if self.upstream.is_unavailable()
            && let Some(node) = self.resolve_cached(tag).await
        {
            self.warn(tag);
            return Ok(node);
        }
        let failure = match self.resolve_tag_upstream(tag).await {
            Ok(node) => return Ok(node),
            Err(failure) => failure,
        };
        // Only a valid answer of the upstream has this kind, so the tag was really deleted.
        if failure.error.kind() == ErrorKind::NotFound {
            self.untag(tag).await;
        }
        if failure.is_unavailable
            && let Some(node) = self.resolve_cached(tag).await
        {
            self.warn(tag);
            return Ok(node);
        }
        Err(failure.error)
    }

    /// Resolves a tag at the upstream, and caches the tag and the manifest.
    async fn resolve_tag_upstream(&self, tag: &str) -> Result<Descriptor, UpstreamError> {
        let node = self.request(Some(RESOLVE_TIMEOUT), Source::resolve(&self.remote, tag)).await?;
        let (node, bytes) = match self.manifest(&node).await {
            Ok(bytes) => (node, bytes),
            Err(failure) if failure.is_unavailable => return Err(failure),
            // The responses to HEAD and GET disagree. The manifest of the GET is used, because its bytes are verified.
            Err(failure) => {
                match self.request(Some(RESOLVE_TIMEOUT), self.remote.resolve_with_bytes(tag)).await? {
                    (node, Some(bytes)) => {
                        self.cache_manifest(&node, bytes.clone()).await;
                        (node, bytes)
                    }
                    _ => return Err(failure),
                }
            }
        };
        let is_same = |seen: Descriptor| seen.digest == node.digest && seen.media_type == node.media_type;
        // An unchanged tag is not written again, because each write changes the index of the layout.
        if !self.resolve_cached(tag).await.is_some_and(is_same)
            && let Ok(content) = Content::from_bytes(node.clone(), bytes)
            && let Some(store) = self.writable().await
            && let Err(error) = store.push(&content, PushMode::Tagged(tag)).await
        {
            self.log_error(&error, "a tag can't be cached");
        }
        Ok(node)
    }

    /// Deletes a cached tag that was deleted at the upstream, so that it is not served when the upstream is
    /// unavailable.
    async fn untag(&self, tag: &str) {
        if self.resolve_cached(tag).await.is_some()
            && let Some(store) = self.writable().await
            && let Err(error) = store.delete(DeleteTarget::Tag(tag)).await
        {
            self.log_error(&error, "a cached tag can't be deleted");
        }
    }

    async fn writable(&self) -> Option<Arc<dyn Store>> {
        self.local.writable(&self.name, true).await.unwrap_or_else(|error| {
            self.log_error(&error, "the cache can't be written");
            None
        })
    }

    /// Reads a manifest from the cache, or from the upstream if it is missing or damaged. The bytes are verified.
    async fn manifest(&self, node: &Descriptor) -> Result<Bytes, UpstreamError> {
        let limit = self.upstream.max_manifest_size();
        if let Some(cached) = self.cached().await {
            let content = Content::from_source(cached as Arc<dyn Source>, node.clone());
            if let Ok(bytes) = content.bytes(limit).await {
                return Ok(bytes);
            }
        }
        let asked = async {
            if node.media_type.is_manifest() {
                let content = Content::from_source(Arc::new(self.remote.clone()), node.clone());
                return content.bytes(limit).await;
            }
            // `Content` would fetch a node of this media type from the blob endpoint.
            let (_, bytes) = self.remote.resolve_with_bytes(&node.digest.to_string()).await?;
            bytes.ok_or_else(|| Error::not_found(&node.digest))
        };
        let bytes = self.request(Some(RESOLVE_TIMEOUT), asked.boxed()).await?;
        self.cache_manifest(node, bytes.clone()).await;
        Ok(bytes)
    }

    /// Writes a manifest to the cache, replacing a damaged one.
    async fn cache_manifest(&self, node: &Descriptor, bytes: Bytes) {
        let Some((store, algorithm)) = self.writable().await.zip(node.digest.algorithm()) else { return };
        let cached = async {
            let mut copy =
                store.begin(IngestOptions::new(node.media_type.clone()).algorithm(algorithm)).await?;
            copy.write(vec![bytes.clone()]).await?;
            copy.commit(Some(&node.digest)).await?;
            if !node.media_type.is_manifest() {
                // The store can't derive this media type from the bytes, but records it with a tag.
                let content = Content::from_bytes(node.clone(), bytes)?;
                store.push(&content, PushMode::Tagged(&node.digest.to_string())).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = cached.await {
            self.log_error(&error, "a manifest can't be cached");
        }
    }

    /// Resolves a digest in the cache, then at the upstream.
    async fn resolve_digest(&self, digest: &Digest) -> Result<Descriptor> {
        let text = digest.to_string();
        let found = self.resolve_cached(&text).await;
        if let Some(node) = &found
            && (self.is_for_blobs || node.media_type != MediaType::OCTET_STREAM)
        {
            return Ok(node.clone());
        }
        if self.is_for_blobs {
            // A running download has the descriptor, which saves a request to the upstream.
            if let Some(download) = self.downloads.find(&self.name, &text) {
                return Ok(download.descriptor().clone());
            }
            return Ok(self.request(Some(RESOLVE_TIMEOUT), self.remote.resolve_blob(digest).boxed()).await?);
        }
        match self.request(Some(RESOLVE_TIMEOUT), self.remote.resolve_with_bytes(&text)).await {
            Ok((node, bytes)) => {
                if let Some(bytes) = bytes {
                    self.cache_manifest(&node, bytes).await;
                }
                Ok(node)
            }
            // The cached node may be a blob, or a manifest without a type, so it is used only if the upstream is
            // unavailable.
            Err(failure) => found.filter(|_| failure.is_unavailable).ok_or(failure.error),
        }
    }

    /// Reads a blob from the cache or the upstream. A whole blob is cached while it is read.
    async fn blob(&self, node: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if let Some(cached) = self.cached().await
            && let Ok(stream) = cached.fetch(node, range.clone()).await
        {
            return Ok(stream);
        }
        let is_whole = range == (0..node.size);
        let download = if is_whole {
            self.downloads.join(self.job(node))
        } else {
            let found = self.downloads.find(&self.name, &node.digest.to_string());
            found.filter(|download: &Download| download.is_near(range.start))
        };
        if let Some(download) = download
            && download.has_begun().await?
        {
            return Ok(download.read(range));
        }
        // The download was refused or failed to begin, so the blob is sent without caching it.
        if is_whole {
            let content = Content::from_source(Arc::new(self.remote.clone()), node.clone());
            let stream = self.request(None, content.reader().boxed()).await?;
            let (upstream, name) = (Arc::clone(&self.upstream), self.remote.name().to_owned());
            let failed = move |error| Error::from(upstream.convert_error(&name, error));
            return Ok(hold_back_last_piece(stream.map_err(failed).boxed()));
        }
        Ok(self.request(None, self.remote.fetch(node, range)).await?)
    }

    fn job(&self, node: &Descriptor) -> Job {
        Job {
            name: self.name.clone(),
            descriptor: node.clone(),
            upstream: Arc::clone(&self.upstream),
            remote: self.remote.clone(),
            local: Arc::clone(&self.local),
        }
    }

    /// Lists the tags at the upstream, or in the cache if the upstream is unavailable; sorted.
    async fn all_tags(&self) -> Result<Vec<String>> {
        let all = self.remote.tags_after(None).try_collect::<Vec<_>>().boxed();
        match self.request_or_cache("its tags", TAGS_TIMEOUT, all).await? {
            Either::Left(mut tags) => {
                // `ReadStore::tags_after` continues after the last tag by name, so the order must be the same for every page.
                tags.sort_unstable();
                Ok(tags)
            }
            Either::Right(cached) => cached.tags_after(None).try_collect().await,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for ProxiedRepository {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let node = match reference.parse::<Digest>() {
            Ok(digest) => self.resolve_digest(&digest).await?,
            Err(_) => self.resolve_tag(reference).await?,
        };
        if !self.is_for_blobs && !node.media_type.is_manifest() {
            self.untyped_manifests.lock().insert(node.digest.clone());
        }
        Ok(node)
    }

    /// Returns no bytes: [`Source::fetch`] reads a manifest from the cache or the upstream.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        Ok((self.resolve(reference).await?, None))
    }

    async fn fetch(&self, node: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        // The media type of a manifest may not identify it as one, so `resolve` records such manifests.
        if !node.media_type.is_manifest() && !self.untyped_manifests.lock().contains(&node.digest) {
            return self.blob(node, range).await;
        }
        let bytes = self.manifest(node).await?;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.slice(place(range.start)..place(range.end).max(place(range.start)));
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }

    /// A blob may be in the cache, at the upstream or in both, so no target may read it anywhere else.
    fn origin(&self, _: &Descriptor) -> Origin {
        Origin::Opaque
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadStore for ProxiedRepository {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let request = self.remote.predecessors(node, artifact_type);
        match self.request_or_cache("what refers to a manifest", RESOLVE_TIMEOUT, request).await? {
            Either::Left(found) => Ok(found),
            Either::Right(cached) => cached.predecessors(node, artifact_type).await,
        }
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let tags = async move {
            let mut tags = self.all_tags().await?;
            tags.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
            Ok::<_, Error>(stream::iter(tags.into_iter().map(Ok)))
        };
        stream::once(tags).try_flatten().boxed()
    }

    /// Sends a request to the upstream for each tag.
    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        let nodes = self.tags_after(None).and_then(async |tag| {
            let node = self.resolve(&tag).await?;
            Ok((tag, node))
        });
        nodes.boxed()
    }
}
