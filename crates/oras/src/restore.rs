//! Restore: tags of an OCI layout, with all below them, into a repository.

use std::sync::Arc;

use oras_store::{ReadStore, Result, Target};

use crate::tagged::{self, Plan};
use crate::{Listener, TaggedArtifact};

/// What to restore, and how.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The tags; none means all.
    pub tags: Vec<String>,
    /// Leaves out what refers to them.
    pub exclude_referrers: bool,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// Only finds out what would be restored, and whether that would fail: nothing is written.
    pub dry_run: bool,
}

/// Copies the artifacts that `options.tags` name in `source`, a layout in a directory or an archive as
/// [`open_layout`](crate::open_layout) gives it, to `target`, each blob once, tags last; gives the tags, in the order
/// in which they were named or listed.
///
/// What the target has is not sent again, so that a restore that failed is continued by the next.
///
/// # Errors
/// A tag that is not there, or that the target does not take, before anything is copied; [`NoTags`](crate::NoTags); the first error of the copy, with
/// the side that failed. No tag is written before everything is there.
pub async fn restore(
    source: Arc<dyn ReadStore>,
    target: Arc<dyn Target>,
    options: RestoreOptions,
    listener: Arc<dyn Listener>,
) -> Result<Vec<TaggedArtifact>> {
    let RestoreOptions { tags, exclude_referrers, concurrency, dry_run } = options;
    let tags = if tags.is_empty() { tagged::list(&*source).await? } else { tags };
    let plan = Plan::make(&source, tags, !exclude_referrers, concurrency, &*listener).await?;
    if dry_run {
        plan.inspect(&source, &target, concurrency, &*listener).await?;
        plan.rehearse(&*listener);
    } else {
        plan.run(&source, &target, exclude_referrers, concurrency, &listener).await?;
    }
    Ok(plan.artifacts)
}
