//! Whether a blob is what its digest says: it is read and hashed.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use oras_spec::{Descriptor, Digest, Hasher};
use oras_store::{Error, Kind, Result, fsio};
use tokio::sync::oneshot;

use crate::graph::read;
use crate::journal::exists;
use crate::{Layout, blobs};

/// Returns whether the bytes of the blob are those of the descriptor; a blob that does not exist is not right. The result is
/// `None` if the receiver of `wanted` is dropped, which ends the work, and for an unknown algorithm.
///
/// # Errors
/// Those of the system: nobody knows then what the blob is.
pub(crate) fn verify(
    layout: &Layout,
    node: &Descriptor,
    wanted: &oneshot::Sender<()>,
) -> Result<Option<bool>> {
    let blob = match blobs::open(layout.path(), &node.digest) {
        Ok(blob) => blob,
        Err(error) if error.kind() == Kind::Io => return Err(error),
        Err(_) => return Ok(Some(false)),
    };
    if blob.size != node.size {
        return Ok(Some(false));
    }
    let path = blobs::path(layout.path(), &node.digest);
    has_digest(&blob.file, &node.digest, node.size, || !wanted.is_closed())
        .map_err(|error| Error::io(format!("failed to read {}", path.display()), error))
}

/// Returns true if the blob of `node` is right, and of a manifest all that it reaches and that exists: copying stops at a
/// manifest that exists, so that a damaged blob below it would stay. Blobs that are absent are not damage: layouts may be
/// sparse. Each blob is hashed once by a handle and its clones: what becomes of it afterwards is found by who reads or links it.
///
/// # Errors
/// Those of [`verify`].
pub(crate) fn is_intact(layout: &Layout, node: Descriptor, wanted: &oneshot::Sender<()>) -> Result<bool> {
    let (mut next, mut leaves, mut is_root) = (vec![node], Vec::new(), true);
    while let Some(node) = next.pop() {
        let is_found = is_root || exists(&blobs::path(layout.path(), &node.digest))?;
        is_root = false;
        if !is_found || layout.verified().contains(&node.digest) {
            continue;
        }
        if !node.media_type.is_manifest() {
            leaves.push(node);
            continue;
        }
        if verify(layout, &node, wanted)? != Some(true) {
            return Ok(false);
        }
        layout.verified().insert(node.digest.clone());
        let Some(manifest) = read(&blobs::reader(layout.path()), &node)? else { continue };
        next.extend(manifest.children());
    }
    are_right(layout, &leaves, wanted)
}

/// Hashes blobs on all cores.
fn are_right(layout: &Layout, blobs: &[Descriptor], wanted: &oneshot::Sender<()>) -> Result<bool> {
    let next = AtomicUsize::new(0);
    let check = || {
        while let Some(node) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What can't be verified is not called damaged.
            if verify(layout, node, wanted)? == Some(false) {
                return Ok(false);
            }
            layout.verified().insert(node.digest.clone());
        }
        Ok(true)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from).min(blobs.len());
    if cores <= 1 {
        return check();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(check)).collect();
        let mut all = true;
        for thread in threads {
            all &= thread.join().unwrap_or(Ok(false))?;
        }
        Ok(all)
    })
}

/// Returns whether the file has `size` bytes, of that digest. The result is `None` as soon as `goes_on` returns false, and for an
/// unknown algorithm.
///
/// # Errors
/// Those of reading.
pub(crate) fn has_digest(
    file: &File,
    digest: &Digest,
    size: u64,
    goes_on: impl Fn() -> bool,
) -> io::Result<Option<bool>> {
    let Some(algorithm) = digest.algorithm() else { return Ok(None) };
    let (mut hasher, mut length) = (Hasher::new(algorithm), 0);
    let ended = fsio::read_through(file, |piece| {
        hasher.update(piece);
        length += piece.len() as u64;
        if length > size || !goes_on() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(goes_on().then(|| ended && length == size && hasher.finish() == *digest))
}
