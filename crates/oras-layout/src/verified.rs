//! Whether a blob is what its digest says: hashed, unless that is known.

use std::fs::File;
use std::ops::ControlFlow;
use std::time::SystemTime;

use oras_spec::{Descriptor, Hasher};
use oras_store::{FileStamp, fsio};
use tokio::sync::oneshot;

use crate::{Layout, blobs};

/// Whether the blob is there and right; remembers it then. When the receiver of `wanted` is gone the work ends without a
/// result.
pub(crate) fn verify(layout: &Layout, node: &Descriptor, wanted: &oneshot::Sender<()>) -> Option<bool> {
    let since = SystemTime::now();
    let blob = blobs::open(layout.path(), &node.digest).ok()?;
    let stamp = FileStamp::of(&blob.file.metadata().ok()?);
    if stamp.length != node.size {
        return Some(false);
    }
    match layout.digests().get(&stamp, node.digest.algorithm()?) {
        Some(known) => Some(known == node.digest),
        None if is_right(&blob.file, node, wanted)? => {
            let is_same = FileStamp::of(&blob.file.metadata().ok()?) == stamp;
            if is_same {
                layout.digests().put(&stamp, &node.digest, since);
            }
            Some(is_same)
        }
        None => Some(false),
    }
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
