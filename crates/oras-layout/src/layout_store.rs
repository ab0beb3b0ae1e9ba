//! A layout directory as a store.

use std::ops::Range;

use async_trait::async_trait;
use futures::stream::BoxStream;
use oras_fs::blocking;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, Ingest, IngestOptions, IngestTarget, Origin,
    PushMode, Pushed, ReadStore, Result, Source, Store, Target,
};

use crate::blob_upload::BlobUpload;
use crate::checked_manifest::checked;
use crate::disk::blobs;
use crate::disk::create_layout::exists;
use crate::index::{IndexChange, TagQuery};
use crate::layout::Layout;
use crate::layout_files::{self, TagRule};
use crate::not_found::reference_not_found;
use crate::push_blob::push_blob;
use crate::size_limits::MAX_STORED_MANIFEST;

#[async_trait]
impl Source for Layout {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.store_pending().await?;
        layout_files::resolve(&self.inner, reference, self.options().tag_rule()).await
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        if self.inner.pending.contains(descriptor) {
            self.store_pending().await?;
        }
        layout_files::fetch(&self.inner, descriptor, range).await
    }

    fn origin(&self, descriptor: &Descriptor) -> Origin {
        Origin::File { path: blobs::path(self.path(), &descriptor.digest) }
    }
}

#[async_trait]
impl Target for Layout {
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool> {
        if self.inner.pending.contains(descriptor) {
            return Ok(true);
        }
        let is_present = self.has_blob(descriptor).await?;
        if !is_present {
            self.inner.pending.record_absent(descriptor);
        }
        // A manifest without an entry in the index must be pushed again, or other tools do not find it.
        if is_present && descriptor.media_type.is_manifest() {
            return self.is_listed(&descriptor.digest).await;
        }
        Ok(is_present)
    }

    /// [`PushMode::Deferred`] keeps the manifest in memory until about 1000 are pending, or until another call needs them
    /// on disk.
    async fn push(&self, content: &Content, mode: PushMode<'_>) -> Result<Pushed> {
        match mode {
            PushMode::Tagged(tag) | PushMode::AddTag(tag) => self.push_tagged(content, tag).await,
            PushMode::Deferred if content.descriptor().media_type.is_manifest() => {
                self.push_deferred(content).await
            }
            PushMode::Untagged | PushMode::Deferred => {
                let content = &checked(content).await?;
                let pushed = push_blob(self, content).await?;
                if content.descriptor().media_type.is_manifest() {
                    self.change(IndexChange::List(content.descriptor().clone())).await?;
                }
                Ok(pushed)
            }
        }
    }

    async fn sync(&self) -> Result<()> {
        self.store_pending().await
    }
}

impl Layout {
    async fn push_deferred(&self, content: &Content) -> Result<Pushed> {
        let content = &checked(content).await?;
        let node = content.descriptor();
        let bytes = content.bytes(MAX_STORED_MANIFEST).await?;
        let pending = &self.inner.pending;
        // The disk is not checked again for a manifest that `exists` has just reported as missing.
        let is_present = pending.contains(node) || (!pending.is_absent(node) && self.has_blob(node).await?);
        if pending.add(node.clone(), bytes) {
            pending.store(&self.inner.index_writer, self.size_limit(), None).await?;
        }
        Ok(if is_present { Pushed::Existed } else { Pushed::Copied })
    }

    async fn push_tagged(&self, content: &Content, tag: &str) -> Result<Pushed> {
        let node = content.descriptor();
        // A manifest in the index was checked when it was stored, so it is not read again.
        let exists = node.media_type.is_manifest() && self.exists(node).await?;
        let pushed = if exists { Pushed::Existed } else { push_blob(self, &checked(content).await?).await? };
        // A digest is not stored as a tag: the index only has to list the manifest.
        if tag.parse::<Digest>().is_ok_and(|digest| digest == node.digest) {
            self.change(IndexChange::List(node.clone())).await?;
            return Ok(pushed);
        }
        match self.options().tag_rule() {
            TagRule::AnyName => self.change(IndexChange::Tag(node.clone(), tag.to_owned())).await?,
            TagRule::Repository => {
                // The names to move are either the tag itself or all full references that contain it.
                let names = self.query(tag, |layout, tag| layout.names_to_move(tag)).await?;
                let changes = names.into_iter().map(|name| IndexChange::Tag(node.clone(), name)).collect();
                self.store_pending().await?;
                self.write(changes).await?;
            }
        }
        Ok(pushed)
    }

    async fn remove_tag(&self, tag: &str) -> Result<()> {
        self.store_pending().await?;
        let names = match self.options().tag_rule() {
            TagRule::AnyName => {
                let tagged = self.query(tag, |layout, tag| layout.entry_named(tag)).await?;
                tagged.map(|_| tag.to_owned()).into_iter().collect()
            }
            TagRule::Repository => self.query(tag, |layout, tag| layout.names_to_remove(tag)).await?,
        };
        if !names.is_empty() {
            return self.write(names.into_iter().map(IndexChange::Untag).collect()).await;
        }
        match tag.parse::<Digest>() {
            Ok(_) => Err(Error::new(ErrorKind::InvalidInput, format!("{tag} is a digest, not a tag"))),
            Err(_) => Err(reference_not_found(self.path(), tag)),
        }
    }
}

#[async_trait]
impl ReadStore for Layout {
    async fn predecessors(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        self.store_pending().await?;
        layout_files::predecessors(&self.inner, node, artifact_type).await
    }

    fn tags_after<'a>(&'a self, last: Option<&'a str>) -> BoxStream<'a, Result<String>> {
        layout_files::tags(&self.inner, last, self.options().tag_rule())
    }

    fn tagged_nodes(&self) -> BoxStream<'_, Result<(String, Descriptor)>> {
        layout_files::tagged_nodes(&self.inner, self.options().tag_rule())
    }
}

#[async_trait]
impl Store for Layout {
    /// Removes the digest from the index, then deletes its file. The content that it references stays, unless the
    /// layout was opened with [`LayoutOptions::prune_on_delete`](crate::LayoutOptions::prune_on_delete). A manifest that
    /// loses its last tag keeps an untagged entry in the index.
    async fn delete(&self, target: DeleteTarget<'_>) -> Result<()> {
        let descriptor = match target {
            DeleteTarget::Content(descriptor) => descriptor,
            DeleteTarget::Tag(tag) => return self.remove_tag(tag).await,
        };
        self.store_pending().await?;
        let path = blobs::path(self.path(), &descriptor.digest);
        if !blocking(move || exists(&path)).await? {
            return Err(reference_not_found(self.path(), &descriptor.digest.to_string()));
        }
        if self.options().prune_on_delete {
            return self.change(IndexChange::Prune(descriptor.digest.clone())).await;
        }
        // The index is written first, so that at any time every blob in it exists.
        self.change(IndexChange::Remove(descriptor.digest.clone())).await?;
        let (root, digest) = (self.path().to_owned(), descriptor.digest.clone());
        blocking(move || blobs::remove(&root, &digest)).await
    }
}

#[async_trait]
impl IngestTarget for Layout {
    /// A write with a name goes to a file in the layout's directory, which other tools do not mistake for a blob.
    async fn begin(&self, options: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        Ok(Box::new(BlobUpload::begin(self.clone(), options).await?))
    }
}
