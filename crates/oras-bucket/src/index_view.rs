//! `index.json`, which is derived from the tags and the records of manifests.

use std::collections::HashSet;

use futures::TryStreamExt;
use object_store::{ObjectStoreExt, PutMode, UpdateVersion};
use oras_spec::annotation::REF_NAME;
use oras_spec::{Descriptor, ImageIndex, MediaType};
use oras_store::Result;

use crate::Bucket;
use crate::errors::{failed, lost_race};

impl Bucket {
    /// Writes `index.json`, so that a copy of the repository on a disk is an OCI image layout for every tool.
    ///
    /// The index lists each tag and each manifest without a tag. This store itself never reads it. It is written from
    /// the tags and the records of the manifests, with one request for each of them. Call it after the last push, or
    /// before the repository is copied. Several programs may call it at the same time: each tag and manifest that was
    /// stored before one of these calls is in the index when that call returns.
    ///
    /// # Errors
    /// The errors of the object store.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    ///
    /// use oras_bucket::Bucket;
    /// use oras_bucket::object_store::{ObjectStoreExt, memory::InMemory};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Arc::new(InMemory::new());
    /// Bucket::new(Arc::clone(&store) as _, "mirror/app").write_index().await?;
    /// assert!(store.head(&"mirror/app/index.json".into()).await.is_ok());
    /// # Ok(()) }
    /// ```
    pub async fn write_index(&self) -> Result<()> {
        self.ensure_marker().await?;
        let key = self.keys().index();
        // The version is read before the tags. If another writer replaces the index in between, the put fails. The
        // writer that causes the second failure has read its tags after this call began, so its index has all that
        // this call must list.
        for _ in 0..2 {
            let mode = match self.store().head(&key).await {
                _ if self.options().single_writer => PutMode::Overwrite,
                Ok(meta) => PutMode::Update(UpdateVersion { e_tag: meta.e_tag, version: meta.version }),
                Err(object_store::Error::NotFound { .. }) => PutMode::Create,
                Err(error) => return Err(failed("read", &key, error)),
            };
            let index = ImageIndex::new(self.index_entries().await?).to_bytes();
            match self.store().put_opts(&key, index.into(), mode.into()).await {
                Ok(_) => return Ok(()),
                Err(error) if lost_race(&error) => {}
                Err(error) => return Err(failed("write", &key, error)),
            }
        }
        Ok(())
    }

    /// Returns the tagged manifests in the order of their tags, and then the other manifests.
    async fn index_entries(&self) -> Result<Vec<Descriptor>> {
        let mut entries = Vec::new();
        let mut tagged = HashSet::new();
        let mut tags = self.list_tagged_nodes();
        while let Some((tag, mut node)) = tags.try_next().await? {
            tagged.insert(node.digest.clone());
            node.annotations.insert(REF_NAME.to_owned(), tag);
            entries.push(node);
        }
        let mut untagged = self.read_descriptors(&self.keys().manifests()).await?;
        untagged.retain(|node| !tagged.contains(&node.digest) && node.media_type != MediaType::OCTET_STREAM);
        untagged.sort_by(|one, other| one.digest.cmp(&other.digest));
        entries.extend(untagged);
        Ok(entries)
    }
}
