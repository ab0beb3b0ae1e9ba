//! The options and the result of a garbage collection.

use std::sync::Arc;
use std::time::Duration;

use oras_spec::Digest;
use serde::Serialize;

use crate::blob_count::BlobCount;

/// The options of [`Layout::collect_garbage`](crate::Layout::collect_garbage). [`GarbageOptions::after`] makes them, and
/// setters change them.
///
/// ```
/// use std::time::Duration;
///
/// use oras_layout::{CollectedGarbage, GarbageOptions, Layout};
///
/// /// Deletes content without a tag that was not used for a day.
/// async fn delete_untagged(layout: &Layout) -> oras_layout::store::Result<()> {
///     let options = GarbageOptions::after(Duration::from_secs(86_400)).untagged(true);
///     let CollectedGarbage { blobs, bytes, manifests, .. } = layout.collect_garbage(options).await?;
///     println!("{blobs} blobs with {bytes} bytes, {manifests} manifests");
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct GarbageOptions {
    /// Content that was written, queried or untagged within this time stays: a client may be about to push the
    /// manifest that needs it.
    pub delay: Duration,
    /// Moves garbage to a quarantine in the directory of the layout. A later collection deletes it after another delay,
    /// and moves back what the index reaches by then. This protects programs that do not record the use of blobs. The
    /// default is false.
    pub quarantine: bool,
    /// Tags that are removed before the collection, in the same step. Other names are ignored.
    pub removed_tags: Vec<String>,
    /// Changes nothing, and returns what a collection would do.
    pub dry_run: bool,
    /// Also deletes untagged manifests that no tag reaches and that do not refer to remaining content.
    pub untagged: bool,
    /// Returns true for content that this process needs, whatever its age. It is called right before a blob is
    /// deleted, by any thread.
    pub is_needed: Arc<dyn Fn(&Digest) -> bool + Send + Sync>,
}

impl GarbageOptions {
    /// Returns the options to delete unreachable content, and no manifests, after `delay`.
    pub fn after(delay: Duration) -> Self {
        Self {
            delay,
            quarantine: false,
            removed_tags: Vec::new(),
            dry_run: false,
            untagged: false,
            is_needed: Arc::new(|_| false),
        }
    }

    oras_store::setters! {
        quarantine: bool;
        removed_tags: impl IntoIterator<Item = String> => removed_tags.into_iter().collect();
        dry_run: bool;
        untagged: bool;
        is_needed: impl Fn(&Digest) -> bool + Send + Sync + 'static => Arc::new(is_needed);
    }
}

impl std::fmt::Debug for GarbageOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GarbageOptions")
            .field("delay", &self.delay)
            .field("quarantine", &self.quarantine)
            .field("removed_tags", &self.removed_tags)
            .field("dry_run", &self.dry_run)
            .field("untagged", &self.untagged)
            .finish_non_exhaustive()
    }
}

/// What [`Layout::collect_garbage`](crate::Layout::collect_garbage) deleted. Programs report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectedGarbage {
    /// The number of deleted blobs, including manifests.
    pub blobs: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The number of untagged manifests that were removed from the index.
    pub manifests: u64,
    /// The number of tags that were removed.
    pub tags: u64,
    /// The blobs that were moved to the quarantine. The deleted blobs do not include them.
    pub quarantined: BlobCount,
    /// The blobs that were moved back from the quarantine, because the index reaches them.
    pub restored: BlobCount,
}
