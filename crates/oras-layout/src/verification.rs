//! Verifies blobs on disk by hashing them.

use std::collections::HashSet;
use std::path::Path;
use std::thread;

use oras_fs::{Mutex, failed_to};
use oras_spec::{Descriptor, Digest};
use oras_store::{ErrorKind, Result};
use tokio::sync::oneshot;

use crate::disk::blobs;
use crate::disk::create_layout::exists;
use crate::disk::file_digest::has_digest;
use crate::graph::read_manifest;
use crate::parallel::in_parallel;

/// Returns true if the blob exists and has the size and digest of the descriptor. Returns `None` for an unknown
/// algorithm, or if the receiver of `caller` is dropped, which cancels the verification.
///
/// # Errors
/// `Io` if the blob cannot be read. Its state is then unknown.
pub(crate) fn verify(root: &Path, node: &Descriptor, caller: &oneshot::Sender<()>) -> Result<Option<bool>> {
    let blob = match blobs::open(root, &node.digest) {
        Ok(blob) => blob,
        Err(error) if error.kind() == ErrorKind::Io => return Err(error),
        Err(_) => return Ok(Some(false)),
    };
    if blob.size != node.size {
        return Ok(Some(false));
    }
    has_digest(&blob.file, &node.digest, node.size, || !caller.is_closed())
        .map_err(failed_to("read", &blobs::path(root, &node.digest)))
}

/// The digests that one handle and its clones have verified, so that each blob is hashed once. Readers detect a blob
/// that is damaged later, because they verify the bytes that they read.
#[derive(Debug, Default)]
pub(crate) struct VerifiedBlobs(Mutex<HashSet<Digest>>);

impl VerifiedBlobs {
    /// Returns true if the blob of `node` has the right bytes and, for a manifest, so do all existing blobs below it.
    /// A copy skips an existing manifest, so a damaged blob below it would otherwise not be replaced.
    ///
    /// A missing blob is not damage, because layouts may be sparse.
    ///
    /// # Errors
    /// Those of [`verify`].
    pub(crate) fn is_intact(
        &self,
        root: &Path,
        node: Descriptor,
        caller: &oneshot::Sender<()>,
    ) -> Result<bool> {
        let mut next = vec![node];
        let mut leaves = Vec::new();
        let mut is_root = true;
        while let Some(node) = next.pop() {
            // The caller has checked that the root exists. If it is missing now, `verify` does not return true.
            let is_present = is_root || exists(&blobs::path(root, &node.digest))?;
            is_root = false;
            if !is_present || self.0.lock().contains(&node.digest) {
                continue;
            }
            if !node.media_type.is_manifest() {
                leaves.push(node);
                continue;
            }
            if verify(root, &node, caller)? != Some(true) {
                return Ok(false);
            }
            self.insert(&node.digest);
            let Some(manifest) = read_manifest(&blobs::reader(root), &node)? else { continue };
            next.extend(manifest.children());
        }
        self.are_intact(root, &leaves, caller)
    }

    /// Hashes blobs on all cores.
    fn are_intact(&self, root: &Path, leaves: &[Descriptor], caller: &oneshot::Sender<()>) -> Result<bool> {
        let check = |node: &Descriptor| {
            // A blob that cannot be verified is not treated as damaged.
            let is_intact = verify(root, node, caller)? != Some(false);
            if is_intact {
                self.insert(&node.digest);
            }
            Ok(is_intact)
        };
        let cores = thread::available_parallelism().map_or(1, usize::from).min(leaves.len());
        let intact = in_parallel(leaves.iter(), cores, check)?;
        Ok(intact.into_iter().all(|is_intact| is_intact))
    }

    fn insert(&self, digest: &Digest) {
        self.0.lock().insert(digest.clone());
    }
}
