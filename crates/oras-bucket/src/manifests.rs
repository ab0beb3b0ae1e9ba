//! Manifests, their records and the lists of referrers.

use futures::TryStreamExt;
use object_store::PutMode;
use object_store::path::Path;
use oras_spec::{Descriptor, Digest, Manifest, MediaType, json};
use oras_store::{Content, ErrorKind, MAX_MANIFEST_SIZE, Pushed, Result};

use crate::Bucket;
use crate::errors::failed;
use crate::index_update::IndexChange;

/// The small objects that are read at the same time for a list.
pub(crate) const READS_IN_FLIGHT: usize = 16;

impl Bucket {
    /// Stores a manifest: its bytes, the entry in the list of referrers of its subject, and at last the record.
    ///
    /// A manifest exists if its record exists. After an interrupted push it does not exist, so that the next push
    /// writes the missing objects.
    pub(crate) async fn push_manifest_content(&self, content: &Content) -> Result<Pushed> {
        let node = content.descriptor();
        let bytes = content.bytes(MAX_MANIFEST_SIZE).await?;
        let referrer = if node.media_type.is_manifest() {
            let manifest = Manifest::parse(&node.media_type, bytes.clone())?;
            manifest.subject().map(|subject| (subject.digest.clone(), manifest.referrer_descriptor(node)))
        } else {
            None
        };
        self.ensure_marker().await?;
        let pushed = self.put_blob(&self.keys().blob(&node.digest), bytes).await?;
        if pushed == Pushed::Existed && self.has_manifest(&node.digest).await? {
            return Ok(pushed);
        }
        if let Some((subject, referrer)) = referrer {
            let key = self.keys().referrer(&subject, &node.digest);
            self.put(&key, json::to_vec(&referrer).into(), PutMode::Overwrite).await?;
        }
        let record = json::to_vec(&node.plain());
        self.put(&self.keys().manifest(&node.digest), record.into(), PutMode::Overwrite).await?;
        self.note_change(IndexChange::List(node.clone()));
        Ok(pushed)
    }

    pub(crate) async fn has_manifest(&self, digest: &Digest) -> Result<bool> {
        Ok(self.size(&self.keys().manifest(digest)).await?.is_some())
    }

    /// Returns the descriptor of a digest. The media type of a blob is `application/octet-stream`.
    pub(crate) async fn resolve_digest(&self, digest: &Digest) -> Result<Option<Descriptor>> {
        if let Some((record, _)) = self.read_descriptor(&self.keys().manifest(digest)).await? {
            return Ok(Some(record));
        }
        let size = self.size(&self.keys().blob(digest)).await?;
        Ok(size.map(|size| Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)))
    }

    /// Returns the referrers of a subject in the order of their digests.
    pub(crate) async fn referrers_of(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let prefix = self.keys().referrers(subject);
        let mut referrers = self.read_descriptors(&prefix).await?;
        referrers.sort_by(|one, other| one.digest.cmp(&other.digest));
        Ok(referrers)
    }

    /// Reads all objects below `prefix`, which hold descriptors, in any order.
    pub(crate) async fn read_descriptors(&self, prefix: &Path) -> Result<Vec<Descriptor>> {
        let objects = self.store().list(Some(prefix)).map_err(|error| failed("list", prefix, error));
        let descriptors = objects.map_ok(|meta| async move { self.read_descriptor(&meta.location).await });
        let descriptors = descriptors.try_buffer_unordered(READS_IN_FLIGHT);
        // An object that was deleted after it was listed is left out.
        descriptors.try_filter_map(async |found| Ok(found.map(|(node, _)| node))).try_collect().await
    }

    /// Deletes content, its tags and its entry in the list of referrers of its subject.
    pub(crate) async fn delete_content(&self, digest: &Digest) -> Result<()> {
        let record = self.keys().manifest(digest);
        // A blob has neither tags nor a subject.
        if let Some((node, _)) = self.read_descriptor(&record).await? {
            self.delete_tags_of(digest).await?;
            if let Some(subject) = self.subject_of(&node).await? {
                self.delete_object(&self.keys().referrer(&subject, digest)).await?;
            }
            // The record is deleted after the entry, so that an interrupted deletion can be repeated, and before the
            // bytes, so that an existing manifest has its bytes.
            self.delete_object(&record).await?;
            self.note_change(IndexChange::Remove(digest.clone()));
            self.update_index().await?;
        } else if self.size(&self.keys().blob(digest)).await?.is_none() {
            return Err(self.not_found(&digest.to_string()));
        }
        self.delete_object(&self.keys().blob(digest)).await
    }

    async fn subject_of(&self, node: &Descriptor) -> Result<Option<Digest>> {
        if !node.media_type.is_manifest() {
            return Ok(None);
        }
        match self.content(node).manifest(MAX_MANIFEST_SIZE).await {
            Ok(manifest) => Ok(manifest.subject().map(|subject| subject.digest.clone())),
            // A damaged or missing manifest can be deleted, too. Its subject is not known.
            Err(error) if is_damage(error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_damage(kind: ErrorKind) -> bool {
    use ErrorKind::{DigestMismatch, InvalidContent, NotFound, SizeMismatch};

    matches!(kind, NotFound | DigestMismatch | SizeMismatch | InvalidContent)
}
