//! Copies tags of an OCI layout, with their artifacts, into a repository.

use oras_copy::Concurrency;
use std::sync::Arc;

use oras_store::{ReadStore, Result, Target};

use crate::tag_transfer::{self, TagTransfer};
use crate::{Listener, TaggedArtifact};

/// The options of [`restore`]. The default copies all tags with their referrers.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// The tags to restore. Empty means all tags.
    pub tags: Vec<String>,
    /// Does not copy the referrers of the artifacts.
    pub exclude_referrers: bool,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
    /// Reports what would be restored, and returns the errors of a restore where possible, without writing anything.
    pub dry_run: bool,
}

impl RestoreOptions {
    oras_store::setters! {
        tags: impl IntoIterator<Item = impl Into<String>> => tags.into_iter().map(Into::into).collect();
        exclude_referrers: bool;
        concurrency: impl Into<Concurrency> => concurrency.into();
        dry_run: bool;
    }
}

/// Copies the artifacts that `options.tags` name in `source` to `target`. The tags are written last.
///
/// The source is usually a layout in a directory or an archive, see [`open_layout`](crate::open_layout). Each blob is
/// copied once. Content that the target already has is skipped, so a restore after an error copies only the missing
/// content.
///
/// Returns the artifacts, in the order in which their tags were given or listed.
///
/// # Errors
/// - An error for a tag that does not exist, or that the target rejects, before anything is copied.
/// - [`NoTags`](crate::NoTags) if the source has no tags.
/// - The first error of the copy, with the side that failed. No tag is written before all content is stored.
pub async fn restore(
    source: impl ReadStore + 'static,
    target: impl Target + 'static,
    options: RestoreOptions,
    listener: impl Listener + 'static,
) -> Result<Vec<TaggedArtifact>> {
    let source: Arc<dyn ReadStore> = Arc::new(source);
    let target: Arc<dyn Target> = Arc::new(target);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    let RestoreOptions { tags, exclude_referrers, concurrency, dry_run } = options;
    let tags = if tags.is_empty() { tag_transfer::list_tags(&*source).await? } else { tags };
    let transfer = TagTransfer::plan(source, tags, !exclude_referrers, concurrency, listener).await?;
    if dry_run {
        transfer.dry_run(&target).await?;
        transfer.report_artifacts();
    } else {
        // Without referrers, a single tag is written by the request that stores its manifest.
        transfer.run(&target, exclude_referrers).await?;
    }
    Ok(transfer.artifacts)
}
