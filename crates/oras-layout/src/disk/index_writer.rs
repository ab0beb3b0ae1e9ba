//! Writes changes of `index.json`. Changes that wait at the same time are written in one step, under a lock that all
//! processes share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oras_fs::blocking;
use oras_spec::layout::INDEX_FILE;
use oras_store::Result;
use parking_lot::Mutex;

use super::blobs;
use super::create_layout::{create_layout, exists};
use super::index_file::{read_index, replace_index};
use super::layout_lock::lock_layout;
use crate::index::{Index, IndexChange};
use crate::maintenance::prune::Needs;

/// The writer of one layout's index.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    root: PathBuf,
    pending: Mutex<Pending>,
    /// Held while changes are written. Callers that wait for it usually find their changes written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Pending {
    next: u64,
    changes: Vec<(u64, Vec<IndexChange>)>,
    /// The tickets whose callers still wait. After an error, only their changes are queued again.
    waiting: HashSet<u64>,
}

impl IndexWriter {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, pending: Mutex::default(), writing: Arc::default() }
    }

    /// Returns the directory of the layout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes `changes` durable: when this returns, `index.json` contains them. If the future is dropped, the changes
    /// are either being written already, or are never written.
    pub(crate) async fn write(&self, changes: Vec<IndexChange>) -> Result<()> {
        let ticket = Ticket::new(self, changes);
        // The writing thread owns the guard, so that dropping this future does not let another write start before it
        // ends.
        let guard = Arc::clone(&self.writing).lock_owned().await;
        let batch = {
            let mut pending = self.pending.lock();
            // Another caller has written these changes in its batch while this one waited for the lock.
            if !pending.changes.iter().any(|(number, _)| *number == ticket.number) {
                return Ok(());
            }
            std::mem::take(&mut pending.changes)
        };
        let root = self.root.clone();
        let changes: Vec<_> = batch.iter().flat_map(|(_, changes)| changes).cloned().collect();
        let result = blocking(move || {
            let result = apply_changes(&root, &changes);
            drop(guard);
            result
        })
        .await;
        if result.is_err() {
            // The changes of the other callers are pending again, so that each caller gets an error of its own.
            let mut pending = self.pending.lock();
            let others = batch.into_iter().filter(|(number, _)| *number != ticket.number);
            let others: Vec<_> = others.filter(|(number, _)| pending.waiting.contains(number)).collect();
            pending.changes.extend(others);
        }
        result
    }
}

/// Changes whose caller waits for them. Dropping the ticket withdraws them.
struct Ticket<'a> {
    writer: &'a IndexWriter,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn new(writer: &'a IndexWriter, changes: Vec<IndexChange>) -> Self {
        let mut pending = writer.pending.lock();
        pending.next += 1;
        let number = pending.next;
        pending.changes.push((number, changes));
        pending.waiting.insert(number);
        Self { writer, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut pending = self.writer.pending.lock();
        pending.waiting.remove(&self.number);
        pending.changes.retain(|(number, _)| *number != self.number);
    }
}

/// Changes the index under the lock of the layout, and creates the layout first if it does not exist.
pub(crate) fn apply_changes(root: &Path, changes: &[IndexChange]) -> Result<()> {
    create_layout(root)?;
    let _lock = lock_layout(root)?;
    // The index is read under the lock, because a cached one may lack the changes of another process.
    let mut index = read_index(root)?;
    let mut is_changed = false;
    // Changes in one batch have no defined order. Prunes are applied last, so that they see all new references.
    let (prunes, others): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| matches!(change, IndexChange::Prune(_)));
    for change in others {
        record_tag_loss(root, &index, change);
        is_changed |= index.apply(change);
    }
    let mut pruned = HashSet::new();
    for change in prunes {
        let IndexChange::Prune(target) = change else { continue };
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
