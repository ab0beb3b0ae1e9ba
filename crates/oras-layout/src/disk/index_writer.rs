//! Writes changes of `index.json`. Changes that wait at the same time are written in one step, under a lock that all
//! processes share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use oras_fs::{Mutex, blocking};
use oras_spec::layout::INDEX_FILE;
use oras_store::Result;

use super::blobs;
use super::create_layout::{create_layout, exists};
#[cfg(unix)]
use super::flat_index;
use super::index_file::{read_index, replace_index};
use super::layout_lock::lock_layout;
use crate::index::{Index, IndexChange};
use crate::maintenance::prune::Needs;

/// The writer of one layout's index.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    root: PathBuf,
    /// The changes that callers wait for. Dropping a caller withdraws its changes.
    queue: Mutex<Vec<Weak<QueuedChanges>>>,
    /// Held while changes are written. Callers that wait for it usually find their changes written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct QueuedChanges {
    changes: Vec<IndexChange>,
    /// Whether the changes are written, or their caller gets an error. Used only under the lock `writing`.
    is_done: AtomicBool,
}

impl IndexWriter {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, ..Self::default() }
    }

    /// Returns the directory of the layout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes `changes` durable: when this returns, `index.json` contains them. If the future is dropped, the changes
    /// are either being written already, or are never written.
    pub(crate) async fn write(&self, changes: Vec<IndexChange>) -> Result<()> {
        let queued = Arc::new(QueuedChanges { changes, is_done: AtomicBool::new(false) });
        self.queue.lock().push(Arc::downgrade(&queued));
        // The writing thread owns the guard, so that dropping this future does not let another write start before it
        // ends.
        let guard = Arc::clone(&self.writing).lock_owned().await;
        // Another caller has written these changes in its batch while this one waited for the lock.
        if queued.is_done.load(Ordering::Relaxed) {
            return Ok(());
        }
        let batch: Vec<_> = {
            let mut queue = self.queue.lock();
            let is_waiting = |queued: Arc<QueuedChanges>| !queued.is_done.load(Ordering::Relaxed);
            queue.retain(|queued| queued.upgrade().is_some_and(is_waiting));
            queue.iter().filter_map(Weak::upgrade).collect()
        };
        let root = self.root.clone();
        blocking(move || {
            let result = apply_changes(&root, batch.iter().flat_map(|queued| &queued.changes));
            for other in batch {
                // After an error, the changes of the other callers stay queued, and the next caller writes
                // them again. So each caller gets the result of a write that it ran, or of one that
                // succeeded.
                if result.is_ok() || Arc::ptr_eq(&other, &queued) {
                    other.is_done.store(true, Ordering::Relaxed);
                }
            }
            drop(guard);
            result
        })
        .await
    }
}

/// Changes the index under the lock of the layout, and creates the layout first if it does not exist.
pub(crate) fn apply_changes<'a>(
    root: &Path,
    changes: impl IntoIterator<Item = &'a IndexChange>,
) -> Result<()> {
    create_layout(root)?;
    let lock = lock_layout(root)?;
    let changes: Vec<_> = changes.into_iter().collect();
    // Two writers without a lock could edit the same bytes. When they replace the whole file, only changes are lost.
    #[cfg(unix)]
    if lock.is_exclusive && flat_index::apply_flat(root, &changes)?.is_some() {
        return Ok(());
    }
    #[cfg(unix)]
    flat_index::complete_interrupted(root);
    // The index is read under the lock, because a cached one may lack the changes of another process.
    let mut index = read_index(root)?;
    let mut is_changed = false;
    // Changes in one batch have no defined order. Prunes are applied last, so that they see all new references.
    let mut prunes = Vec::new();
    for change in changes {
        if let IndexChange::Prune(target) = change {
            prunes.push(target);
            continue;
        }
        record_tag_loss(root, &index, change);
        is_changed |= index.apply(change);
    }
    let mut pruned = HashSet::new();
    for target in prunes {
        for digest in Needs::read(root, &index)?.pruned_with(target) {
            is_changed |= index.apply(&IndexChange::Prune(digest.clone()));
            pruned.insert(digest);
        }
    }
    if is_changed || !exists(&root.join(INDEX_FILE))? {
        replace_index(root, &index)?;
    }
    // The files are deleted last, still under the lock, so that at any time every blob in `index.json` exists.
    pruned.iter().try_for_each(|digest| blobs::remove(root, digest))
}

/// Marks a manifest that loses a tag as used now, so that the delay of the garbage collection starts.
fn record_tag_loss(root: &Path, index: &Index, change: &IndexChange) {
    let (tag, new_owner) = match change {
        IndexChange::Tag(node, tag) => (tag, Some(&node.digest)),
        IndexChange::Untag(tag) => (tag, None),
        _ => return,
    };
    if let Some(loser) = index.tagged(tag).filter(|loser| Some(&loser.digest) != new_owner) {
        // Best effort: without it the manifest may be collected earlier.
        drop(blobs::claim(root, &loser.digest, None, Duration::ZERO));
    }
}
