//! Manifests that wait to be stored together. Storing each alone would take several flushes of the disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use oras_fs::blocking;
use oras_spec::{Descriptor, Digest};
use oras_store::Result;
use parking_lot::Mutex;

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
    order: Vec<Descriptor>,
    bytes: HashMap<Digest, Bytes>,
    size: usize,
    /// Manifests that a check did not find. The caller usually adds them soon, and another writer is unlikely to add
    /// them before, so the disk is not checked again.
    absent: HashSet<Digest>,
}

impl PendingManifests {
    /// Returns true if the manifest waits to be stored.
    pub(crate) fn contains(&self, node: &Descriptor) -> bool {
        self.waiting.lock().bytes.get(&node.digest).is_some_and(|bytes| bytes.len() as u64 == node.size)
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
        self.waiting.lock().order.is_empty()
    }

    /// Adds a verified manifest. Returns true if the waiting manifests should be stored now.
    #[must_use]
    pub(crate) fn add(&self, node: Descriptor, bytes: Bytes) -> bool {
        let mut waiting = self.waiting.lock();
        let size = bytes.len();
        waiting.absent.remove(&node.digest);
        if waiting.bytes.insert(node.digest.clone(), bytes).is_none() {
            waiting.order.push(node);
            waiting.size += size;
        }
        // While other manifests are being stored, the limit is doubled, so that the caller need not wait.
        let is_full =
            |times| waiting.order.len() >= times * MAX_MANIFESTS || waiting.size >= times * MAX_BYTES;
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
        let nodes: Vec<(Descriptor, Bytes)> = {
            let waiting = self.waiting.lock();
            let bytes = |node: &Descriptor| waiting.bytes.get(&node.digest).cloned().unwrap_or_default();
            waiting.order.iter().map(|node| (node.clone(), bytes(node))).collect()
        };
        let mut changes: Vec<_> = nodes.iter().map(|(node, _)| IndexChange::List(node.clone())).collect();
        changes.extend(last);
        if changes.is_empty() {
            return Ok(());
        }
        let stored = nodes.len();
        if stored > 0 {
            let (root, nodes) = (index.root().to_owned(), Arc::new(nodes));
            blocking(move || write_all(&root, size_limit, &nodes)).await?;
        }
        // The index is written after the blobs, so that it never lists a missing manifest.
        index.write(changes).await?;
        let mut waiting = self.waiting.lock();
        // `add` appends to the list, so the stored manifests are still the first ones.
        let stored: Vec<_> = waiting.order.drain(..stored).collect();
        for node in stored {
            let size = waiting.bytes.remove(&node.digest).map_or(0, |bytes| bytes.len());
            waiting.size -= size;
        }
        Ok(())
    }
}
