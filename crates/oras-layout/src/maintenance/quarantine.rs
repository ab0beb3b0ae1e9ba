//! The quarantine: garbage that was taken out of a layout but is not deleted yet.
//!
//! A program that does not use this crate records no use of a blob that it finds. If it then stores a manifest that needs
//! the blob, a garbage collection may have removed the blob in between. So the collection can move garbage to
//! `.oras-quarantine/<seconds since 1970>/`, and the next collection moves back what the index reaches by then. The time
//! is the name of the directory: a kill between two steps cannot leave a blob without it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oras_fs::{failed_to, if_exists};
use oras_spec::Digest;
use oras_store::Result;

use crate::disk::blobs;

/// The directory in the layout. It is on the same file system as the blobs, so that moving a blob is one rename.
const DIRECTORY: &str = ".oras-quarantine";

/// A blob in the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuarantinedBlob {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// When the blob was moved to the quarantine.
    pub(crate) since: SystemTime,
}

impl QuarantinedBlob {
    /// Returns true if the blob has been in the quarantine for at least `delay`.
    pub(crate) fn is_expired(&self, delay: Duration) -> bool {
        // A time in the future counts as recent: the clock was changed.
        delay.is_zero() || SystemTime::now().duration_since(self.since).is_ok_and(|age| age >= delay)
    }
}

/// Returns the path of a blob that is moved to the quarantine at `now`, and creates its directory.
pub(crate) fn path_of_new(root: &Path, digest: &Digest, now: SystemTime) -> Result<PathBuf> {
    // Rounded up, so that no blob stays for less than the delay.
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 1;
    let directory = root.join(DIRECTORY).join(seconds.to_string());
    oras_fs::create_durable_directories(&directory)?;
    Ok(directory.join(file_name(digest)))
}

fn file_name(digest: &Digest) -> String {
    digest.to_string().replacen(':', "-", 1)
}

/// Lists the blobs in the quarantine. If a blob is there several times, the newest counts.
///
/// # Errors
/// `Io`.
pub(crate) fn list(root: &Path) -> Result<HashMap<Digest, QuarantinedBlob>> {
    let mut found = HashMap::<Digest, QuarantinedBlob>::new();
    let directory = root.join(DIRECTORY);
    // A link leads out of the layout.
    if !if_exists(fs::symlink_metadata(&directory))
        .map_err(failed_to("look at", &directory))?
        .is_some_and(|found| found.is_dir())
    {
        return Ok(found);
    }
    for batch in fs::read_dir(&directory).map_err(failed_to("list", &directory))?.flatten() {
        let Ok(seconds) = batch.file_name().to_string_lossy().parse::<u64>() else { continue };
        let Some(since) = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) else { continue };
        for entry in fs::read_dir(batch.path()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().replacen('-', ":", 1);
            let (Ok(digest), Ok(metadata)) = (name.parse::<Digest>(), entry.metadata()) else { continue };
            if !metadata.is_file() {
                continue;
            }
            let blob = QuarantinedBlob { path: entry.path(), size: metadata.len(), since };
            let newest = found.entry(digest).or_insert_with(|| blob.clone());
            if newest.since < since {
                *newest = blob;
            }
        }
    }
    Ok(found)
}

/// Moves a blob back into the layout, unless the layout has one. The caller holds the lock of the layout.
///
/// # Errors
/// `Denied` if the directory of the blobs is a link; `Io`.
pub(crate) fn restore(root: &Path, digest: &Digest, blob: &QuarantinedBlob) -> Result<bool> {
    let path = blobs::path_for_writing(root, digest)?;
    if if_exists(fs::symlink_metadata(&path)).map_err(failed_to("look for", &path))?.is_some() {
        return Ok(false);
    }
    let parent = path.parent().unwrap_or(root);
    oras_fs::create_durable_directories(parent)?;
    // The delay of the next collection starts now.
    drop(File::open(&blob.path).map(|file| blobs::record_use(&file)));
    let is_moved = if_exists(fs::rename(&blob.path, &path)).map_err(failed_to("restore", &path))?.is_some();
    oras_fs::sync_directory(parent)?;
    Ok(is_moved)
}

/// Deletes a blob from the quarantine. A missing blob is no error.
///
/// # Errors
/// `Io`.
pub(crate) fn delete(blob: &QuarantinedBlob) -> Result<()> {
    if_exists(fs::remove_file(&blob.path)).map(drop).map_err(failed_to("remove", &blob.path))
}

/// Deletes the directories that have become empty. Best effort.
pub(crate) fn delete_empty(root: &Path) {
    let directory = root.join(DIRECTORY);
    for batch in fs::read_dir(&directory).into_iter().flatten().flatten() {
        // Deleting a directory that is not empty fails.
        drop(fs::remove_dir(batch.path()));
    }
    drop(fs::remove_dir(directory));
}
