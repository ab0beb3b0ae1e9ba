//! A layout as a cache of limited size: evicts the least recently used blobs.
//!
//! Counting all blobs after each write would be slow, so a file keeps their estimated size, see
//! [`CacheSize`](super::cache_size::CacheSize).

use std::collections::HashSet;
use std::fs::{FileTimes, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_fs::failed_to;
use oras_spec::Digest;
use oras_store::Result;

use super::cache_size::CacheSize;
use crate::disk::blobs::{self, last_used};
use crate::disk::index_file::read_index;
use crate::disk::index_writer::apply_changes;
use crate::disk::layout_lock::lock_layout;
use crate::graph::read_manifest;
use crate::index::{Index, IndexChange};

/// A blob that was used within this time stays: a command that found it may be about to read it.
const RECENT: Duration = Duration::from_secs(5 * 60);

/// Records that the blob is used now, in its access time. Reading the blob would not do that on the many file systems
/// that are mounted without access times.
pub(crate) fn touch(root: &Path, digest: &Digest) -> Result<()> {
    let now = FileTimes::new().set_accessed(SystemTime::now());
    blobs::open(root, digest)?.file.set_times(now).map_err(failed_to("touch", &blobs::path(root, digest)))
}

/// Adds `bytes` to the estimated size of the cache, and evicts blobs if the size exceeds `size_limit`. Does nothing
/// without a limit.
///
/// Errors are ignored, because a cache that is too large must not make a write fail.
pub(crate) fn blobs_added(root: &Path, size_limit: Option<u64>, bytes: u64) {
    if let Some(limit) = size_limit {
        drop(add_and_evict(root, limit, bytes, SystemTime::now()));
    }
}

fn add_and_evict(root: &Path, limit: u64, bytes: u64, now: SystemTime) -> Result<()> {
    // The lock is held only while the estimate is updated, because evicting locks the layout itself.
    let before = {
        let _lock = lock_layout(root)?;
        let (size, is_count_due) = CacheSize::read(root).plus(bytes, limit, now);
        size.write(root)?;
        if !is_count_due {
            return Ok(());
        }
        size
    };
    // A tenth of the limit stays free, so that the next write does not evict again.
    let remaining = evict(root, limit - limit / 10, now)?;
    let _lock = lock_layout(root)?;
    // Other writers may have added blobs while the lock was free.
    let added_meanwhile = CacheSize::read(root).bytes.saturating_sub(before.bytes);
    CacheSize { bytes: remaining + added_meanwhile, ..before }.write(root)
}

/// Deletes the least recently used blobs until the rest has at most `limit` bytes. Returns the size of the rest.
fn evict(root: &Path, limit: u64, now: SystemTime) -> Result<u64> {
    let list = blobs::list(root, |blob| is_recent(blob, now));
    let (mut remaining, mut old) = (list.total_size, list.old);
    if remaining <= limit {
        return Ok(remaining);
    }
    let index = read_index(root)?;
    let tagged = reachable_from_tags(root, &index)?;
    old.retain(|blob| !tagged.contains(&blob.digest));
    old.sort_by_key(|blob| blob.last_used);
    let mut evicted = Vec::new();
    for blob in old {
        if remaining <= limit {
            break;
        }
        remaining -= blob.size;
        evicted.push(blob);
    }
    // The index is written first, so that at any time every blob in it exists.
    let digests: HashSet<_> = evicted.iter().map(|blob| blob.digest.clone()).collect();
    if index.descriptors().any(|entry| digests.contains(&entry.digest)) {
        apply_changes(root, &[IndexChange::Unlist(digests)])?;
    }
    // Another process may have tagged or used a blob since it was selected.
    let tagged = read_index(root)?.tagged_digests();
    for blob in evicted {
        let is_used = blobs::may_be_used(&blobs::path(root, &blob.digest), |found| is_recent(found, now));
        if is_used || tagged.contains(&blob.digest) || blobs::remove(root, &blob.digest).is_err() {
            remaining += blob.size;
        }
    }
    Ok(remaining)
}

fn is_recent(blob: &Metadata, now: SystemTime) -> bool {
    now.duration_since(last_used(blob)).map_or(true, |age| age < RECENT)
}

/// Returns the digests that tags reach. They are never evicted.
fn reachable_from_tags(root: &Path, index: &Index) -> Result<HashSet<Digest>> {
    let mut reachable = HashSet::new();
    let reader = blobs::reader(root);
    let mut next: Vec<_> = index.tagged_nodes().collect();
    while let Some(node) = next.pop() {
        if reachable.insert(node.digest.clone()) && node.media_type.is_manifest() {
            let manifest = read_manifest(&reader, &node)?;
            next.extend(manifest.map(|manifest| manifest.children()).unwrap_or_default());
        }
    }
    Ok(reachable)
}
