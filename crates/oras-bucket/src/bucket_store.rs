//! A bucket as a store.

use std::ops::Range;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange};
use oras_spec::reference::check_tag;
use oras_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestName, IngestOptions, IngestTarget,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target, UnhashedContent,
};

use crate::Bucket;
use crate::bucket_upload::BucketUpload;
use crate::errors::failed;
use crate::index_update::IndexChange;

#[async_trait]
impl Source for Bucket {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        let found = match reference.parse::<Digest>() {
            Ok(digest) => self.resolve_digest(&digest).await?,
            Err(_) if check_tag(reference).is_err() => None,
            Err(_) => self.read_tag(reference).await?.map(|(node, _)| node),
        };
        found.ok_or_else(|| self.not_found(reference))
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        let key = self.keys().blob(&descriptor.digest);
        // Stores reject an empty range. Empty content must still exist.
        if range.is_empty() {
            let size = self.size(&key).await?;
            size.ok_or_else(|| self.not_found(&descriptor.digest.to_string()))?;
            return Ok(stream::empty().boxed());
        }
        // Without a range, the reader detects an object that is longer than its descriptor.
        let is_all = range == (0..descriptor.size);
        let options =
            GetOptions { range: (!is_all).then_some(GetRange::Bounded(range)), ..GetOptions::default() };
        match self.store().get_opts(&key, options).await {
            Ok(result) => Ok(result.into_stream().map_err(move |error| failed("read", &key, error)).boxed()),
            Err(object_store::Error::NotFound { .. }) => Err(self.not_found(&descriptor.digest.to_string())),
            Err(error) => Err(failed("read", &key, error)),
        }
    }
}

#[async_trait]
impl Target for Bucket {
    /// A manifest exists if its record exists, which is written after its bytes and its entry as a referrer.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        if descriptor.media_type.is_manifest() {
            return self.has_manifest(&descriptor.digest).await;
        }
        Ok(self.size(&self.keys().blob(&descriptor.digest)).await? == Some(descriptor.size))
    }

    /// [`PushMode::Deferred`] defers only the entry of the manifest in `index.json`.
    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        let node = content.descriptor();
        let (PushMode::Tagged(tag) | PushMode::AddTag(tag)) = mode else {
            if !node.media_type.is_manifest() {
                return self.push_blob_content(content).await;
            }
            let pushed = self.push_manifest_content(content).await?;
            if mode == PushMode::Untagged {
                self.update_index().await?;
            }
            return Ok(pushed);
        };
        // A digest is not stored as a tag: the manifest is found by it anyway.
        let tag = Some(tag).filter(|tag| tag.parse::<Digest>().ok().as_ref() != Some(&node.digest));
        tag.map_or(Ok(()), |tag| self.check_tag(tag))?;
        let is_present = matches!(mode, PushMode::AddTag(_)) && self.has_manifest(&node.digest).await?;
        let pushed = if is_present { Pushed::Existed } else { self.push_manifest_content(content).await? };
        if let Some(tag) = tag {
            self.set_tag(tag, node).await?;
            self.note_change(IndexChange::Tag(node.clone(), tag.to_owned()));
        }
        self.update_index().await?;
        Ok(pushed)
    }

    async fn sync(&self) -> Result<()> {
        self.update_index().await
    }

    async fn tagged(&self, tag: &str) -> Option<Digest> {
        let tag = check_tag(tag).ok()?;
        self.read_tag(tag).await.ok()?.map(|(node, _)| node.digest)
    }

    fn check_tag(&self, tag: &str) -> Result<()> {
        Ok(check_tag(tag).map(drop)?)
    }
}

#[async_trait]
impl ReadStore for Bucket {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let mut referrers = self.referrers_of(&node.digest).await?;
        referrers
            .retain(|referrer| artifact_type.is_none() || referrer.artifact_type.as_ref() == artifact_type);
        Ok(referrers)
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        self.list_tags(last)
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        self.list_tagged_nodes()
    }
}

#[async_trait]
impl Store for Bucket {
    /// Deleting a manifest reads all tags of the repository, because a tag is found only by its name.
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        match target {
            DeleteTarget::Content(descriptor) => self.delete_content(&descriptor.digest).await,
            DeleteTarget::Tag(tag) => self.delete_tag(tag).await,
        }
    }
}

#[async_trait]
impl IngestTarget for Bucket {
    /// Content up to the size of a part stays in memory. Larger content is uploaded to a staging key, and the store
    /// copies it to its final key. A write with a name cannot be resumed.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        if let IngestName::Resume(name) = options.name {
            return Err(Error::not_found(name));
        }
        self.ensure_marker().await?;
        Ok(Box::new(BucketUpload::new(self.clone(), options.media_type, options.algorithm)))
    }

    /// Hashes the content before it is sent. A blob that exists is then not sent, and a new one needs no staging key.
    async fn ingest(&self, content: &UnhashedContent) -> Result<(Descriptor, Pushed)> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut size = 0;
        let mut stream = content.read(0).await?;
        while let Some(chunk) = stream.try_next().await? {
            size += chunk.len() as u64;
            hasher.update(&chunk);
        }
        if size != content.size {
            let message = format!("content has {size} bytes, not {}", content.size);
            return Err(Error::new(ErrorKind::SizeMismatch, message));
        }
        let node = Descriptor::new(content.media_type.clone(), hasher.finish(), size);
        // The bytes are verified again while they are sent, because a file may change in between.
        let again = content.clone();
        let opened = stream::once(async move { again.open(0).await }).try_flatten().boxed();
        let pushed = self.push(&Content::once(node.clone(), opened), PushMode::Untagged).await?;
        if pushed == Pushed::Existed {
            content.report_present(size);
        }
        Ok((node, pushed))
    }
}
