//! Manifests that wait to be stored together. Storing each alone would take several flushes of the disk.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use oras_fs::{Mutex, blocking};
use oras_spec::{Descriptor, Digest};
use oras_store::Result;

use crate::disk::index_writer::IndexWriter;
use crate::disk::write_blobs::write_all;
use crate::index::IndexChange;

/// Manifests are stored once there are this many, or this many bytes. While other manifests are being stored, twice
/// as many can wait.
const MAX_MANIFESTS: usize = 1024;
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of digests in [`Waiting::absent`].
const MAX_ABSENT: usize = 16 * 1024;

/// Manifests that are not stored yet.
#[derive(Debug, Default)]
pub(crate) struct PendingManifests {
    waiting: Mutex<Waiting>,
    /// Held while manifests are stored.
    storing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// In the order in which they were added.
    manifests: Vec<(Descriptor, Bytes)>,
    /// The size of each manifest in bytes.
    sizes: HashMap<Digest, usize>,
    total_size: usize,
    /// Manifests that a check did not find. The caller usually adds them soon, and another writer is unlikely to add
    /// them before, so the disk is not checked again.
    absent: HashSet<Digest>,
}

impl PendingManifests {
    /// Returns true if the manifest waits to be stored.
    pub(crate) fn contains(&self, node: &Descriptor) -> bool {
        self.waiting.lock().sizes.get(&node.digest).is_some_and(|size| *size as u64 == node.size)
    }

    /// Records that a manifest is not in the layout.
    pub(crate) fn record_absent(&self, node: &Descriptor) {
        let mut waiting = self.waiting.lock();
        if node.media_type.is_manifest() && waiting.absent.len() < MAX_ABSENT {
            waiting.absent.insert(node.digest.clone());
        }
    }

    /// Returns true if the last check did not find the manifest in the layout.
    pub(crate) fn is_absent(&self, node: &Descriptor) -> bool {
        self.waiting.lock().absent.contains(&node.digest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().manifests.is_empty()
    }

    /// Adds a verified manifest. Returns true if the waiting manifests should be stored now.
    #[must_use]
    pub(crate) fn add(&self, node: Descriptor, bytes: Bytes) -> bool {
        let mut waiting = self.waiting.lock();
        let size = bytes.len();
        waiting.absent.remove(&node.digest);
        if waiting.sizes.insert(node.digest.clone(), size).is_none() {
            waiting.manifests.push((node, bytes));
            waiting.total_size += size;
        }
        // While other manifests are being stored, the limit is doubled, so that the caller need not wait.
        let is_full = |times| {
            waiting.manifests.len() >= times * MAX_MANIFESTS || waiting.total_size >= times * MAX_BYTES
        };
        is_full(2) || (is_full(1) && self.storing.try_lock().is_ok())
    }

    /// Stores the waiting manifests, then makes the change `last`, in one write of the index. After an error the
    /// manifests stay in the queue.
    pub(crate) async fn store(
        &self,
        index: &IndexWriter,
        size_limit: Option<u64>,
        last: Option<IndexChange>,
    ) -> Result<()> {
        // Only one caller stores at a time. Otherwise two callers would store the same manifests.
        let _storing = self.storing.lock().await;
        // The manifests stay in `waiting` until they are stored, so that readers find them all the time.
        let manifests = self.waiting.lock().manifests.clone();
        let mut changes: Vec<_> = manifests.iter().map(|(node, _)| IndexChange::List(node.clone())).collect();
        changes.extend(last);
        if changes.is_empty() {
            return Ok(());
        }
        let stored = manifests.len();
        if stored > 0 {
            let root = index.root().to_owned();
            blocking(move || write_all(&root, size_limit, &manifests)).await?;
        }
        // The index is written after the blobs, so that it never lists a missing manifest.
        index.write(changes).await?;
        let mut waiting = self.waiting.lock();
        // `add` appends to the list, so the stored manifests are still the first ones.
        let stored: Vec<_> = waiting.manifests.drain(..stored).collect();
        for (node, bytes) in stored {
            waiting.sizes.remove(&node.digest);
            waiting.total_size -= bytes.len();
        }
        Ok(())
    }
}
