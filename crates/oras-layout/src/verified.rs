//! Whether a blob is what its digest says: it is read and hashed.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use oras_spec::{Descriptor, Hasher};
use oras_store::fsio;
use tokio::sync::oneshot;

use crate::graph::read;
use crate::{Layout, blobs};

/// Returns true if the blob exists and its bytes are those of the descriptor. When the receiver of `wanted` is dropped the
/// work ends without a result.
pub(crate) fn verify(layout: &Layout, node: &Descriptor, wanted: &oneshot::Sender<()>) -> Option<bool> {
    let blob = blobs::open(layout.path(), &node.digest).ok()?;
    if blob.size != node.size {
        return Some(false);
    }
    is_right(&blob.file, node, wanted)
}

/// Returns true if the blob of `node` is right, and of a manifest all that it reaches and that exists: copying stops at a
/// manifest that exists, so that a damaged blob below it would stay. Blobs that are absent are not damage: layouts may be
/// sparse.
pub(crate) fn is_intact(layout: &Layout, node: Descriptor, wanted: &oneshot::Sender<()>) -> bool {
    let (mut next, mut leaves, mut is_root) = (vec![node], Vec::new(), true);
    while let Some(node) = next.pop() {
        let is_found = is_root || blobs::path(layout.path(), &node.digest).exists();
        is_root = false;
        if !is_found || layout.verified().contains(&node.digest) {
            continue;
        }
        if !node.media_type.is_manifest() {
            leaves.push(node);
            continue;
        }
        if verify(layout, &node, wanted) != Some(true) {
            return false;
        }
        layout.verified().insert(node.digest.clone());
        let Ok(Some(manifest)) = read(&blobs::reader(layout.path()), &node) else { continue };
        next.extend(manifest.children());
    }
    are_right(layout, &leaves, wanted)
}

/// Hashes blobs on all cores.
fn are_right(layout: &Layout, blobs: &[Descriptor], wanted: &oneshot::Sender<()>) -> bool {
    let next = AtomicUsize::new(0);
    let check = || {
        while let Some(node) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What can't be verified is not called damaged.
            if verify(layout, node, wanted) == Some(false) {
                return false;
            }
            layout.verified().insert(node.digest.clone());
        }
        true
    };
    let cores = thread::available_parallelism().map_or(1, usize::from).min(blobs.len());
    if cores <= 1 {
        return check();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(check)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(false)).fold(true, |all, right| all & right)
    })
}

/// Whether the bytes are those of the descriptor; nothing if nobody wants to know any more.
pub(crate) fn is_right(file: &File, node: &Descriptor, wanted: &oneshot::Sender<()>) -> Option<bool> {
    let mut hasher = Hasher::new(node.digest.algorithm()?);
    let mut size = 0;
    let ended = fsio::read_through(file, |piece| {
        hasher.update(piece);
        size += piece.len() as u64;
        if wanted.is_closed() || size > node.size {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let is_all = ended.ok()? && size == node.size;
    if wanted.is_closed() { None } else { Some(is_all && hasher.finish() == node.digest) }
}
