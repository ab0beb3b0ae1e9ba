//! Checks what an object store can do.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};
use oras_store::{MAX_MANIFEST_SIZE, Result};

use crate::Bucket;
use crate::bucket::ignores_conditions;
use crate::bucket_upload::unique_name;
use crate::errors::{failed, lost_race};

/// What an object store can do, as [`Bucket::probe`] found out. A program with several writers needs all of it.
///
/// ```
/// use std::sync::Arc;
///
/// use oras_bucket::{Bucket, BucketAbilities};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_bucket::store::Result<()> {
/// let bucket = Bucket::new(Arc::new(oras_bucket::object_store::memory::InMemory::new()), "mirror/app");
/// let abilities: BucketAbilities = bucket.probe().await?;
/// assert!(abilities.create_only && abilities.compare_and_swap && abilities.strong_listing);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketAbilities {
    /// The store rejects a create-only put of an existing object.
    pub create_only: bool,
    /// The store replaces an object only if its version is the expected one.
    pub compare_and_swap: bool,
    /// A list shows an object directly after it was written, and no longer after it was deleted.
    pub strong_listing: bool,
}

impl Bucket {
    /// Checks whether the object store has what concurrent writers need. Writes and deletes two small objects.
    ///
    /// # Errors
    /// `Unsupported` if the store accepts a conditional put that must fail, unless
    /// [`BucketOptions::single_writer`](crate::BucketOptions::single_writer) is set. The errors of the object store.
    pub async fn probe(&self) -> Result<BucketAbilities> {
        let prefix = self.keys().probe(&unique_name());
        let key = prefix.clone().join("object");
        let abilities = self.probe_with(&prefix, &key).await;
        let deleted = self.delete_object(&key).await;
        let mut abilities = abilities?;
        deleted?;
        abilities.strong_listing &= self.listed(&prefix).await?.is_empty();
        let is_safe = abilities.create_only && abilities.compare_and_swap;
        if is_safe || self.options().single_writer { Ok(abilities) } else { Err(ignores_conditions()) }
    }

    async fn probe_with(&self, prefix: &Path, key: &Path) -> Result<BucketAbilities> {
        let first = self.put(key, "1".into(), PutMode::Overwrite).await?;
        let create_only = !self.accepts(key, PutMode::Create).await?;
        // The version is stale after the second put.
        self.put(key, "2".into(), PutMode::Overwrite).await?;
        let stale = UpdateVersion { e_tag: first.e_tag, version: first.version };
        let rejects_stale = !self.accepts(key, PutMode::Update(stale)).await?;
        let accepts_current = match self.read(key, MAX_MANIFEST_SIZE).await? {
            Some((_, version)) => self.accepts(key, PutMode::Update(version)).await?,
            None => false,
        };
        let compare_and_swap = rejects_stale && accepts_current;
        let strong_listing = self.listed(prefix).await? == [key.clone()];
        Ok(BucketAbilities { create_only, compare_and_swap, strong_listing })
    }

    async fn listed(&self, prefix: &Path) -> Result<Vec<Path>> {
        let objects = self.store().list(Some(prefix)).map_ok(|meta| meta.location);
        objects.try_collect().await.map_err(|error| failed("list", prefix, error))
    }

    /// Returns true if the store performs a conditional put.
    async fn accepts(&self, key: &Path, mode: PutMode) -> Result<bool> {
        use object_store::Error;

        match self.store().put_opts(key, "3".into(), mode.into()).await {
            Ok(_) => Ok(true),
            Err(Error::NotSupported { .. } | Error::NotImplemented { .. }) => Ok(false),
            Err(error) if lost_race(&error) => Ok(false),
            Err(error) => Err(failed("write", key, error)),
        }
    }
}
