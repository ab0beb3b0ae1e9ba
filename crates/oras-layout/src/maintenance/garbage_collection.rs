//! Garbage collection: deletes blobs that no manifest of the layout reaches, while other processes read and write it.
//!
//! [`blob_removal`] explains how a blob is deleted without a lock while another process may be about to use it.

use std::path::Path;
use std::time::SystemTime;

use oras_fs::blocking;
use oras_spec::layout::MARKER_FILE;
use oras_store::Result;

use super::blob_removal::{self, is_in_use};
use super::collection_plan::CollectionPlan;
use super::garbage_options::{CollectedGarbage, GarbageOptions};
use super::quarantine::{self, QuarantinedBlob};
use super::stale_files::delete_stale;
use super::tag_removal::remove_tags;
use crate::disk::blobs::{self, OldBlob};
use crate::disk::create_layout::exists;
use crate::disk::index_file::{index_stamp, read_index, replace_index};
use crate::disk::layout_lock::lock_layout;
use crate::index::IndexChange;
use crate::layout::Layout;

impl Layout {
    /// Deletes the blobs that no manifest in the index reaches and that were not used recently, and the unfinished
    /// files of killed processes. Other processes may read and write the layout at the same time.
    ///
    /// Finding a blob with a [`Layout`] records its use. Other programs do not record it: while they write, the delay
    /// must be longer than they take from the first blob to the manifest.
    ///
    /// # Errors
    /// `InvalidContent` if a manifest exists but cannot be read: it is unknown which blobs it needs, so nothing is
    /// deleted.
    pub async fn collect_garbage(&self, options: GarbageOptions) -> Result<CollectedGarbage> {
        let root = self.path().to_owned();
        blocking(move || {
            if !options.dry_run {
                delete_stale(&root);
            }
            collect(&root, &options)
        })
        .await
    }
}

fn collect(root: &Path, options: &GarbageOptions) -> Result<CollectedGarbage> {
    if !exists(&root.join(MARKER_FILE))? {
        return Ok(CollectedGarbage::default());
    }
    let candidates = blobs::list(root, |blob| blobs::is_younger_than(blob, options.delay)).old;
    let quarantined = quarantine::list(root)?;
    if candidates.is_empty() && quarantined.is_empty() && options.removed_tags.is_empty() {
        return Ok(CollectedGarbage::default());
    }
    // Usually there is no garbage. This is detected without the lock, so that writers do not wait.
    let stamp = index_stamp(root)?;
    let mut index = read_index(root)?;
    let mut tags = remove_tags(&mut index, &options.removed_tags)?;
    let mut plan = CollectionPlan::new(root, &quarantined);
    plan.extend(&index, options)?;
    let is_reached = |blob: &OldBlob| plan.reached.contains(&blob.digest);
    if tags == 0 && quarantined.is_empty() && candidates.iter().all(is_reached) {
        return Ok(CollectedGarbage::default());
    }
    // Another process may have changed the index while this waited for the lock.
    let _lock = if options.dry_run { None } else { Some(lock_layout(root)?) };
    if index_stamp(root)? != stamp {
        index = read_index(root)?;
        tags = remove_tags(&mut index, &options.removed_tags)?;
        plan.extend(&index, options)?;
    }
    let mut collected =
        CollectedGarbage { tags, manifests: plan.unlisted.len() as u64, ..CollectedGarbage::default() };
    // What the index needs is restored first, so that no reader misses it longer than necessary.
    let expired = empty_quarantine(root, &plan, options, &mut collected)?;
    if (!plan.unlisted.is_empty() || tags > 0) && !options.dry_run {
        // The index is written before blobs are removed, so that at any time every blob in it exists.
        index.apply(&IndexChange::Unlist(std::mem::take(&mut plan.unlisted)));
        replace_index(root, &index)?;
    }
    for blob in candidates.iter().filter(|blob| !plan.reached.contains(&blob.digest)) {
        remove(root, blob, options, &mut collected)?;
    }
    for blob in expired.iter().filter(|_| !options.dry_run) {
        quarantine::delete(blob)?;
    }
    if !options.dry_run {
        quarantine::delete_empty(root);
    }
    Ok(collected)
}

/// Moves what the plan reaches back from the quarantine. Returns the blobs that are to be deleted from it.
fn empty_quarantine<'a>(
    root: &Path,
    plan: &CollectionPlan<'a>,
    options: &GarbageOptions,
    collected: &mut CollectedGarbage,
) -> Result<Vec<&'a QuarantinedBlob>> {
    let mut expired = Vec::new();
    for (digest, blob) in plan.quarantined {
        let exists = exists(&blobs::path(root, digest))?;
        if plan.reached.contains(digest) && !exists {
            if options.dry_run || quarantine::restore(root, digest, blob)? {
                collected.restored.add(blob.size);
            }
        } else if exists || blob.is_expired(options.delay) {
            collected.blobs += 1;
            collected.bytes += blob.size;
            expired.push(blob);
        }
    }
    Ok(expired)
}

/// Deletes a blob, or moves it to the quarantine, unless it is in use.
fn remove(
    root: &Path,
    blob: &OldBlob,
    options: &GarbageOptions,
    collected: &mut CollectedGarbage,
) -> Result<()> {
    let is_used = |path: &Path| is_in_use(path, &blob.digest, options.delay, &*options.is_needed);
    // A quarantine without a delay would only be a slow way to delete.
    let has_quarantine = options.quarantine && !options.delay.is_zero();
    let removed = if options.dry_run {
        (!is_used(&blobs::path(root, &blob.digest))).then_some(blob.size)
    } else {
        let quarantine = has_quarantine.then(SystemTime::now);
        blob_removal::remove_unused(root, &blob.digest, quarantine, is_used)?
    };
    match removed {
        Some(bytes) if has_quarantine => collected.quarantined.add(bytes),
        Some(bytes) => {
            collected.blobs += 1;
            collected.bytes += bytes;
        }
        None => {}
    }
    Ok(())
}
