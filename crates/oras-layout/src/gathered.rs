//! Manifests that wait to be stored together: one by one each would cost several flushes of the disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use oras_spec::{Descriptor, Digest};
use oras_store::Result;
use oras_store::fsio::blocking;
use parking_lot::{Mutex, MutexGuard};

use crate::index::Change;
use crate::{Layout, blobs};

/// More manifests than this, or more bytes, are not kept back; twice as many while others are being stored.
const MANY: usize = 1024;
const LARGE: usize = 4 * 1024 * 1024;
/// So many manifests that are not there are remembered.
const LACKING: usize = 16 * 1024;

/// The manifests, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    waiting: Mutex<Waiting>,
    /// Held while they are stored.
    storing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    order: Vec<Descriptor>,
    bytes: HashMap<Digest, Bytes>,
    size: usize,
    /// Manifests that somebody asked for and that were not there: they will hardly come from elsewhere before they are
    /// gathered, and need not be looked for once more.
    lacking: HashSet<Digest>,
}

impl Gathered {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    pub(crate) fn has(&self, node: &Descriptor) -> bool {
        self.waiting().bytes.get(&node.digest).is_some_and(|bytes| bytes.len() as u64 == node.size)
    }

    /// Notes that a manifest is not in the layout.
    pub(crate) fn lacks(&self, node: &Descriptor) {
        let mut waiting = self.waiting();
        if node.media_type.is_manifest() && waiting.lacking.len() < LACKING {
            waiting.lacking.insert(node.digest.clone());
        }
    }

    /// Whether a manifest was not in the layout when it was asked for last.
    pub(crate) fn is_lacking(&self, node: &Descriptor) -> bool {
        self.waiting().lacking.contains(&node.digest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting().order.is_empty()
    }

    /// Keeps a verified manifest; whether it is time to store what there is: more can come while somebody does.
    pub(crate) fn add(&self, node: Descriptor, bytes: Bytes) -> bool {
        let mut waiting = self.waiting();
        let size = bytes.len();
        waiting.lacking.remove(&node.digest);
        if waiting.bytes.insert(node.digest.clone(), bytes).is_none() {
            waiting.order.push(node);
            waiting.size += size;
        }
        let is_full = |times| waiting.order.len() >= times * MANY || waiting.size >= times * LARGE;
        is_full(2) || (is_full(1) && self.storing.try_lock().is_ok())
    }

    /// Stores what waits, and `last` after it, as one change of the index. What waits still does after an error.
    pub(crate) async fn store(&self, layout: &Layout, last: Option<Change>) -> Result<()> {
        let _storing = self.storing.lock().await;
        let nodes: Vec<(Descriptor, Bytes)> = {
            let waiting = self.waiting();
            let bytes = |node: &Descriptor| waiting.bytes.get(&node.digest).cloned().unwrap_or_default();
            waiting.order.iter().map(|node| (node.clone(), bytes(node))).collect()
        };
        let mut changes: Vec<_> = nodes.iter().map(|(node, _)| Change::List(node.clone())).collect();
        changes.extend(last);
        if changes.is_empty() {
            return Ok(());
        }
        let stored = nodes.len();
        if stored > 0 {
            let (layout, nodes) = (layout.clone(), Arc::new(nodes));
            blocking(move || blobs::write_all(&layout, &nodes)).await?;
        }
        layout.write(changes).await?;
        let mut waiting = self.waiting();
        let gone: Vec<_> = waiting.order.drain(..stored).collect();
        for node in gone {
            let size = waiting.bytes.remove(&node.digest).map_or(0, |bytes| bytes.len());
            waiting.size -= size;
        }
        Ok(())
    }
}
