//! One repository of an upstream, as it is read through the server.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use oras_remote::Repository;
use oras_serve::{Stores, warn};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{ByteStream, Content, Error, Kind, Predecessors, ReadStore, Result, Source, Store, TagList};
use parking_lot::{Mutex, MutexGuard};

use super::LOG_TARGET;
use super::download::{Download, Downloads, Job, held_back};
use super::upstream::{Failure, Upstream};

/// How long an upstream is waited for that is asked what a name means: after that, what was seen last holds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for all its tags, which may be many pages.
const TAGS_PATIENCE: Duration = Duration::from_secs(60);

/// A repository of an upstream: its names are asked for there, and content that is here is read here.
pub(super) struct Proxied {
    /// What it is called here.
    name: String,
    upstream: Arc<Upstream>,
    remote: Repository,
    local: Arc<dyn Stores>,
    downloads: Arc<Downloads>,
    /// Whether digests are those of blobs.
    blobs: bool,
    /// Digests of manifests whose type does not show that they are manifests.
    untyped_manifests: Mutex<HashSet<Digest>>,
}

impl Proxied {
    /// The repository that is called `name` here, and of which the upstream has its own name.
    pub(super) fn new(
        name: &str,
        (upstream, there): (&Arc<Upstream>, &str),
        local: Arc<dyn Stores>,
        downloads: Arc<Downloads>,
    ) -> Result<Self> {
        let (remote, upstream) = (upstream.repository(there)?, Arc::clone(upstream));
        let (name, untyped_manifests) = (name.to_owned(), Mutex::default());
        Ok(Self { name, upstream, remote, local, downloads, blobs: false, untyped_manifests })
    }

    /// The same repository, whose digests are those of blobs if `blobs`.
    pub(super) fn for_blobs(self, blobs: bool) -> Self {
        Self { blobs, ..self }
    }

    async fn ask<T>(&self, patience: Option<Duration>, work: BoxFuture<'_, Result<T>>) -> Result<T, Failure> {
        self.upstream.ask(self.remote.name(), patience, work).await
    }

    /// What is here of the repository. A store that can't be read has nothing.
    async fn here(&self) -> Option<Arc<dyn ReadStore>> {
        match self.local.repository(&self.name).await {
            Ok(store) => store,
            Err(error) => {
                self.complain(&error, "what was kept can't be read");
                None
            }
        }
    }

    /// What is here for when the upstream is away: at once, if that is known.
    async fn here_instead(&self) -> Option<Arc<dyn ReadStore>> {
        if self.upstream.is_silent() { self.here().await } else { None }
    }

    fn complain(&self, error: &Error, message: &str) {
        let (repository, error) = (&self.name, error.chain());
        tracing::error!(target: LOG_TARGET, %repository, %error, "{message}");
    }

    /// Tells the client that this may have changed at the upstream.
    fn warn(&self, what: &str) {
        let host = self.upstream.host();
        warn(format!("the upstream {host} does not answer: {what}, as seen last"));
    }

    /// What a tag names: by the upstream, or if that is away as it was seen last.
    async fn tag(&self, tag: &str) -> Result<Descriptor> {
        if let Some(here) = self.here_instead().await
            && let Ok(node) = here.resolve(tag).await
        {
            self.warn(tag);
            return Ok(node);
        }
        let failure = match self.fresh(tag).await {
            Ok(node) => return Ok(node),
            Err(failure) => failure,
        };
        if failure.error.kind() == Kind::NotFound {
            self.forget(tag).await;
        }
        if failure.away
            && let Some(here) = self.here().await
            && let Ok(node) = here.resolve(tag).await
        {
            self.warn(tag);
            return Ok(node);
        }
        Err(failure.error)
    }

    /// What the tag names at the upstream; kept here, with the manifest.
    async fn fresh(&self, tag: &str) -> Result<Descriptor, Failure> {
        let node = self.ask(Some(PATIENCE), self.remote.resolve(tag)).await?;
        let (node, bytes) = match self.manifest(&node).await {
            Ok(bytes) => (node, bytes),
            Err(failure) if failure.away => return Err(failure),
            // The answer to `HEAD` was not that of `GET`.
            Err(failure) => match self.ask(Some(PATIENCE), self.remote.resolve_with_bytes(tag)).await? {
                (node, Some(bytes)) => {
                    self.keep(&node, bytes.clone()).await;
                    (node, bytes)
                }
                _ => return Err(failure),
            },
        };
        let seen = match self.here().await {
            Some(here) => here.resolve(tag).await.ok(),
            None => None,
        };
        let is_same = |seen: Descriptor| seen.digest == node.digest && seen.media_type == node.media_type;
        if !seen.is_some_and(is_same)
            && let Ok(content) = Content::from_bytes(node.clone(), bytes)
            && let Some(store) = self.writable().await
            && let Err(error) = store.tag(&content, tag).await
        {
            self.complain(&error, "a tag can't be kept");
        }
        Ok(node)
    }

    /// A tag that is gone at the upstream is not served when that is away.
    async fn forget(&self, tag: &str) {
        if let Some(here) = self.here().await
            && here.resolve(tag).await.is_ok()
            && let Some(store) = self.writable().await
            && let Err(error) = store.untag(tag).await
        {
            self.complain(&error, "a tag can't be forgotten");
        }
    }

    async fn writable(&self) -> Option<Arc<dyn Store>> {
        match self.local.writable(&self.name, true).await {
            Ok(store) => store,
            Err(error) => {
                self.complain(&error, "nothing can be kept");
                None
            }
        }
    }

    /// The bytes of a manifest, verified: those that are here if they are right, or else the upstream's, kept here.
    async fn manifest(&self, node: &Descriptor) -> Result<Bytes, Failure> {
        let limit = self.upstream.max_manifest_size();
        if let Some(here) = self.here().await {
            let content = Content::from_source(here as Arc<dyn Source>, node.clone());
            if let Ok(bytes) = content.bytes(limit).await {
                return Ok(bytes);
            }
        }
        let asked = async {
            if node.media_type.is_manifest() {
                let content = Content::from_source(Arc::new(self.remote.clone()), node.clone());
                return content.bytes(limit).await;
            }
            // The client would fetch a node of this type as a blob.
            let (_, bytes) = self.remote.resolve_with_bytes(&node.digest.to_string()).await?;
            bytes.ok_or_else(|| Error::not_found(&node.digest))
        };
        let bytes = self.ask(Some(PATIENCE), asked.boxed()).await?;
        self.keep(node, bytes.clone()).await;
        Ok(bytes)
    }

    /// Keeps a manifest, in place of one that is damaged.
    async fn keep(&self, node: &Descriptor, bytes: Bytes) {
        let Some((store, algorithm)) = self.writable().await.zip(node.digest.algorithm()) else { return };
        let kept = async {
            let mut copy = store.begin(node.media_type.clone(), algorithm).await?;
            copy.write(bytes.clone()).await?;
            copy.commit(Some(&node.digest)).await?;
            if !node.media_type.is_manifest() {
                // The name lists it with its type, which the store would not know otherwise.
                let content = Content::from_bytes(node.clone(), bytes)?;
                store.tag(&content, &node.digest.to_string()).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = kept.await {
            self.complain(&error, "a manifest can't be kept");
        }
    }

    /// What a digest names: content that is here, or else the upstream's.
    async fn digest(&self, digest: &Digest) -> Result<Descriptor> {
        let text = digest.to_string();
        let found = match self.here().await {
            Some(here) => here.resolve(&text).await.ok(),
            None => None,
        };
        if let Some(node) = &found
            && (self.blobs || node.media_type != MediaType::OCTET_STREAM)
        {
            return Ok(node.clone());
        }
        if self.blobs {
            if let Some(download) = self.downloads.find(&self.name, &text) {
                return Ok(download.descriptor().clone());
            }
            return Ok(self.ask(Some(PATIENCE), self.remote.resolve_blob(digest).boxed()).await?);
        }
        match self.ask(Some(PATIENCE), self.remote.resolve_with_bytes(&text)).await {
            Ok((node, bytes)) => {
                if let Some(bytes) = bytes {
                    self.keep(&node, bytes).await;
                }
                Ok(node)
            }
            // A manifest whose upstream gave no type, or a blob: only the upstream can tell.
            Err(failure) => found.filter(|_| failure.away).ok_or(failure.error),
        }
    }

    /// Digests of manifests whose type does not show it. Never held across an await.
    fn untyped_manifests(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.untyped_manifests.lock()
    }

    /// The bytes of a blob: those that are here, or the upstream's, kept here if all are asked for.
    async fn blob(&self, node: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if let Some(here) = self.here().await
            && let Ok(stream) = here.fetch(node, range.clone()).await
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
            && download.begun().await?
        {
            return Ok(download.read(range));
        }
        if is_whole {
            let content = Content::from_source(Arc::new(self.remote.clone()), node.clone());
            let stream = self.ask(None, content.reader().boxed()).await?;
            let (upstream, there) = (Arc::clone(&self.upstream), self.remote.name().to_owned());
            let failed = move |error| Error::from(upstream.failed(&there, error));
            return Ok(held_back(stream.map_err(failed).boxed()));
        }
        Ok(self.ask(None, self.remote.fetch(node, range)).await?)
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

    /// The tags at the upstream, or if that is away those that are here; sorted.
    async fn all_tags(&self) -> Result<Vec<String>> {
        if let Some(here) = self.here_instead().await {
            self.warn("its tags");
            return here.tags(None).try_collect().await;
        }
        let all = self.remote.tags(None).try_collect::<Vec<_>>().boxed();
        match self.ask(Some(TAGS_PATIENCE), all).await {
            Ok(mut tags) => {
                tags.sort_unstable();
                Ok(tags)
            }
            Err(failure) => {
                let here = if failure.away { self.here().await } else { None };
                let Some(here) = here else { return Err(failure.error) };
                self.warn("its tags");
                here.tags(None).try_collect().await
            }
        }
    }
}

#[async_trait]
impl Source for Proxied {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let node = match reference.parse::<Digest>() {
            Ok(digest) => self.digest(&digest).await?,
            Err(_) => self.tag(reference).await?,
        };
        if !self.blobs && !node.media_type.is_manifest() {
            self.untyped_manifests().insert(node.digest.clone());
        }
        Ok(node)
    }

    async fn fetch(&self, node: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if !node.media_type.is_manifest() && !self.untyped_manifests().contains(&node.digest) {
            return self.blob(node, range).await;
        }
        let bytes = self.manifest(node).await?;
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = bytes.slice(place(range.start)..place(range.end).max(place(range.start)));
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }
}

#[async_trait]
impl Predecessors for Proxied {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        if let Some(here) = self.here_instead().await {
            self.warn("what refers to a manifest");
            return Predecessors::predecessors(&*here, node, artifact_type).await;
        }
        let failure = match self.ask(Some(PATIENCE), self.remote.predecessors(node, artifact_type)).await {
            Ok(found) => return Ok(found),
            Err(failure) => failure,
        };
        let here = if failure.away { self.here().await } else { None };
        let Some(here) = here else { return Err(failure.error) };
        self.warn("what refers to a manifest");
        Predecessors::predecessors(&*here, node, artifact_type).await
    }
}

impl TagList for Proxied {
    fn tags<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let tags = async move {
            let mut tags = self.all_tags().await?;
            tags.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
            Ok::<_, Error>(stream::iter(tags.into_iter().map(Ok)))
        };
        stream::once(tags).try_flatten().boxed()
    }
}
