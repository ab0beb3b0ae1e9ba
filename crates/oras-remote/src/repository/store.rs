//! Implements the traits of a store for [`Repository`].

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use oras_spec::api_bodies::TagPage;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, Ingest, IngestName, IngestOptions, IngestTarget, Origin,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target, UnhashedContent,
};
use reqwest::Method;

use crate::http::paging::{self, List, MAX_PAGE};
use crate::http::request::Request;
use crate::repository::download::blob_download;
use crate::repository::referrers::referrers_index::{ReferrersIndex, Verify};
use crate::repository::referrers::repository_referrers::RepositoryReferrers;
use crate::repository::repository::Repository;
use crate::repository::tag_deletion::TagDeletion;
use crate::repository::upload::chunked_ingest::ChunkedIngest;

#[async_trait]
impl Source for Repository {
    /// Sends one `HEAD` request, and a `GET` if the headers of the answer don't suffice.
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let reference = self.reference_to(reference)?;
        match self.head_manifest(&reference).await? {
            Some(descriptor) => Ok(descriptor),
            None => Ok(self.get_manifest(&reference).await?.0),
        }
    }

    /// Sends one `GET` request.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        let (descriptor, bytes) = self.get_manifest(&self.reference_to(reference)?).await?;
        Ok((descriptor, Some(bytes)))
    }

    /// Streams a blob, resuming a broken transfer. Reads a manifest whole.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        // Manifests and blobs have separate endpoints; the media type decides which one has the content.
        if !descriptor.media_type.is_manifest() {
            return blob_download::open(self, descriptor, range).await;
        }
        let bytes = self.fetch_manifest(descriptor).await?;
        let end = usize::try_from(range.end).map_or(bytes.len(), |end| end.min(bytes.len()));
        let start = usize::try_from(range.start).map_or(end, |start| start.min(end));
        let bytes = bytes.slice(start..end);
        Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed())
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        if descriptor.media_type.is_manifest() {
            // Manifests can't be mounted, so their origin is of no use to the target.
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

    /// Mounts a blob from another repository of the same registry if possible, and sends it unless it exists. Adds a
    /// manifest with a subject to the subject's referrers; [`PushMode::Deferred`] defers the check of that entry to
    /// [`sync`](Target::sync), and [`PushMode::AddTag`] leaves the referrers unchanged.
    ///
    /// A tag may be the manifest's own digest, which stores the manifest without a tag.
    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let digest = || self.reference_to(&content.descriptor().digest.to_string());
        match mode {
            PushMode::Untagged | PushMode::Deferred if !content.descriptor().media_type.is_manifest() => {
                return self.upload_blob(content).await;
            }
            PushMode::Untagged => self.store_manifest(content, &digest()?, Verify::Now).await?,
            PushMode::Deferred => self.store_manifest(content, &digest()?, Verify::Deferred).await?,
            PushMode::Tagged(tag) => {
                self.store_manifest(content, &self.reference_to(tag)?, Verify::Now).await?
            }
            PushMode::AddTag(tag) => self.put_existing_manifest(content, &self.reference_to(tag)?).await?,
        }
        Ok(Pushed::Copied)
    }

    async fn sync(&self) -> Result<()> {
        ReferrersIndex::verify_deferred(self).await
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        self.tagged_digest(tag).await
    }

    /// Accepts a tag or digest, alone or in a full reference to this repository.
    fn check_tag(&self, tag: &str) -> Result<()> {
        self.reference_to(tag).map(drop)
    }
}

#[async_trait]
impl IngestTarget for Repository {
    /// Sends bytes in chunks of a few MiB, which are buffered until the registry has them. If the registry does not
    /// accept chunks, buffers the content in a temporary file. A write cannot be resumed by its name.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        if let IngestName::Resume(name) = options.name {
            return Err(Error::not_found(name));
        }
        Ok(Box::new(ChunkedIngest::new(self.clone(), options.media_type, options.algorithm)))
    }

    /// Sends large content while it is hashed, and stops if the digest already exists. An interrupted upload of
    /// content with an identity is resumed by a later run if the options have a directory for its state.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        self.push_unhashed(content).await
    }
}

#[async_trait]
impl ReadStore for Repository {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        RepositoryReferrers(self).list(node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        let (client, endpoint) = (self.client().clone(), self.endpoint().clone());
        match self.url("tags/list") {
            Ok(url) => List { client, endpoint, scopes: self.pull_scopes(), url }
                .after(last)
                .items(|page: TagPage| page.tags),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }
}

impl Repository {
    /// Returns the first page of the list of tags. Sends one request, without retries: for a suggestion, not for a
    /// complete list.
    ///
    /// # Errors
    /// Those of [`tags_after`](ReadStore::tags_after).
    pub async fn first_tags(&self) -> Result<Vec<String>> {
        let request =
            Request::new(Method::GET, self.url("tags/list")?, self.pull_scopes()).limit(Some(MAX_PAGE));
        let response = self.attempt(&request).await.map_err(|failed| failed.error)?;
        Ok(paging::parse::<TagPage>(&response.expect(&[200])?)?.tags)
    }
}

#[async_trait]
impl Store for Repository {
    /// Removes a manifest with a subject from the subject's referrers before the manifest.
    ///
    /// Deletes a tag by the registry's API for deleting tags. Without it, moves the tag to a unique manifest and
    /// deletes that one by its digest, so that the original manifest and its other tags are never touched.
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        let descriptor = match target {
            DeleteTarget::Content(descriptor) => descriptor,
            DeleteTarget::Tag(tag) => return TagDeletion::new(self, tag).await?.run().await,
        };
        if descriptor.media_type.is_manifest() {
            // Removes the referrer first, because after the deletion the client can't read the subject from the
            // manifest.
            RepositoryReferrers(self).remove(descriptor).await?;
            return self.remove("manifests", &descriptor.digest.to_string()).await;
        }
        self.remove("blobs", &descriptor.digest.to_string()).await
    }
}
