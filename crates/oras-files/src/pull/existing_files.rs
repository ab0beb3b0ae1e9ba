//! Finds files and directories that already have the content of a layer, so that the layer is not fetched.
//!
//! A file is compared by its size, then by its digest. A directory is compared by its tar: if packing the directory
//! gives the content digest of the layer, unpacking the layer would change nothing. In any doubt the layer is
//! fetched.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use oras_fs::FileStamp;
use oras_spec::{Algorithm, Descriptor, Digest, annotation};
use oras_store::{Error, Result, Verifier};
use tokio_util::sync::CancellationToken;

use super::staged_item::{Location, StagedItem};
use super::title_path::Destination;
use super::unpack_layer::is_packed_directory;
use crate::archive;
use crate::cancel::check_cancelled;

/// A directory is not read if its tar is larger than [`MIN_TAR_LIMIT`] and than this multiple of the layer's size:
/// fetching the layer is faster then.
const MAX_TAR_RATIO: u64 = 16;
const MIN_TAR_LIMIT: u64 = 64 << 20;
/// Bytes that the system copies between two checks for cancellation.
const COPY_STEP: u64 = 64 << 20;

/// Returns an item for the existing file or directory at `destination` if it already has the content of `layer`. No
/// link below the output directory is followed.
pub(crate) fn find_existing(
    destination: &Destination,
    layer: &Descriptor,
    cancel: &CancellationToken,
) -> Option<StagedItem> {
    let dir = &destination.output.dir;
    if destination.relative.ancestors().skip(1).any(|parent| is_link(dir, parent)) {
        return None;
    }
    let found = dir.symlink_metadata(&destination.relative).ok()?;
    let is_same = if is_packed_directory(layer) {
        found.is_dir() && is_same_directory(destination, layer, cancel)?
    } else {
        found.is_file() && is_same_file(dir, &destination.relative, layer, cancel)?
    };
    is_same.then(|| StagedItem::new(destination, PathBuf::new(), Location::Target))
}

fn is_link(dir: &Dir, path: &Path) -> bool {
    !path.as_os_str().is_empty() && dir.symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn is_same_file(dir: &Dir, path: &Path, layer: &Descriptor, cancel: &CancellationToken) -> Option<bool> {
    let mut file = dir.open(path).ok()?.into_std();
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() != layer.size {
        return Some(false);
    }
    let stamp = FileStamp::of(&metadata);
    copy_verified(&mut file, &mut io::sink(), layer, cancel).ok()?;
    // A program that writes to the file while it is hashed changes its stamp.
    Some(FileStamp::of(&file.metadata().ok()?) == stamp)
}

fn is_same_directory(
    destination: &Destination,
    layer: &Descriptor,
    cancel: &CancellationToken,
) -> Option<bool> {
    let expected: Digest = layer.annotations.get(annotation::CONTENT_DIGEST)?.parse().ok()?;
    // The output directory itself contains the staging directory, so its tar never has the expected digest.
    if expected.algorithm() != Some(Algorithm::Sha256) || destination.relative.as_os_str().is_empty() {
        return Some(false);
    }
    let max_size = layer.size.saturating_mul(MAX_TAR_RATIO).max(MIN_TAR_LIMIT);
    let path = destination.output.path.join(&destination.relative);
    // The latest time is `None`, because the tar must have the times that the files have on disk.
    let digest = archive::content_digest(&path, layer.title()?, None, max_size, cancel).ok()?;
    Some(expected == digest)
}

/// Copies the file `source` to the file that `create` creates, and hashes the copy. The system makes the copy: a file
/// system that can share blocks copies no bytes. Returns `None` if the copy is not the content of `layer`.
///
/// The copy is hashed rather than `source`: no other program can reach the staged file, so a program that writes to
/// `source` at the same time cannot add unverified bytes.
pub(crate) fn copy_local_file(
    source: &Path,
    create: impl FnOnce() -> Result<File>,
    layer: &Descriptor,
    cancel: &CancellationToken,
) -> Option<()> {
    // A link is not followed here. The store reads it as content and verifies its target.
    let found = fs::symlink_metadata(source).ok()?;
    let source = File::open(source).ok().filter(|_| found.is_file() && found.len() == layer.size)?;
    let mut copy = create().ok()?;
    // `io::copy` between two files uses `copy_file_range` on Linux, which can share blocks.
    let mut remaining = layer.size;
    while remaining > 0 && !cancel.is_cancelled() {
        match io::copy(&mut (&source).take(remaining.min(COPY_STEP)), &mut copy).ok()? {
            // The file has become shorter. The verification below detects that.
            0 => break,
            copied => remaining -= copied,
        }
    }
    copy.rewind().ok()?;
    copy_verified(&mut copy, &mut io::sink(), layer, cancel).ok()
}

/// Copies the content of `layer` from `from` to `to`.
///
/// # Errors
/// `DigestMismatch` or `SizeMismatch` if the content is not that of `layer`; `Io`.
pub(crate) fn copy_verified(
    from: &mut (impl Read + Send),
    to: &mut impl io::Write,
    layer: &Descriptor,
    cancel: &CancellationToken,
) -> Result<()> {
    let failed = |error| Error::io("failed to read", error);
    let mut verifier = Verifier::new(layer)?;
    let mut copied = Ok(());
    let read = oras_fs::read_through(from, |piece| {
        copied = check_cancelled(cancel)
            .and_then(|()| verifier.update(piece))
            .and_then(|()| to.write_all(piece).map_err(failed));
        if copied.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    copied?;
    read.map_err(failed)?;
    verifier.finish()
}
