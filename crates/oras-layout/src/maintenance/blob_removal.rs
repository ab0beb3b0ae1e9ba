//! Removes unused blobs without a lock, while other processes may be about to use them.
//!
//! A process that is going to rely on a blob claims it: it records the use and then checks that the blob still exists
//! ([`claim`](crate::disk::blobs::claim)). The removal first renames the blob and then checks its last use. If the
//! blob was claimed before, it is renamed back; a later claim does not find it. If the process is killed in
//! between, the next process that opens the layout renames the blob back.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_fs::{failed_to, if_exists};
use oras_spec::Digest;
use oras_spec::layout::MARKER_FILE;
use oras_store::Result;

use super::quarantine;
use crate::disk::blobs;

/// The prefix of a blob that is being removed. The digest follows, with `-` for the colon.
pub(crate) const PREFIX: &str = ".oras-gone-";

/// Returns true if the file `path` of a blob was used within `delay`, or if `is_needed` returns true for the digest.
pub(crate) fn is_in_use(
    path: &Path,
    digest: &Digest,
    delay: Duration,
    is_needed: &dyn Fn(&Digest) -> bool,
) -> bool {
    blobs::may_be_used(path, |found| blobs::is_younger_than(found, delay)) || is_needed(digest)
}

/// Removes a blob, unless `is_used` returns true for its renamed file. Returns the size of a removed blob. With a time, the
/// blob is moved to the quarantine of that time instead of being deleted.
pub(crate) fn remove_unused(
    root: &Path,
    digest: &Digest,
    quarantined_at: Option<SystemTime>,
    is_used: impl Fn(&Path) -> bool,
) -> Result<Option<u64>> {
    let path = blobs::path(root, digest);
    let aside = root.join(format!("{PREFIX}{}", digest.to_string().replacen(':', "-", 1)));
    let failed = failed_to("remove", &path);
    // After this rename a claim does not find the blob, so its last use cannot change any more.
    if if_exists(fs::rename(&path, &aside)).map_err(failed)?.is_none() {
        return Ok(None);
    }
    if is_used(&aside) {
        rename_back(&aside, &path)?;
        return Ok(None);
    }
    let size = fs::symlink_metadata(&aside).map_or(0, |found| found.len());
    match quarantined_at {
        Some(now) => fs::rename(&aside, quarantine::path_of_new(root, digest, now)?).map_err(failed)?,
        None => fs::remove_file(&aside).map_err(failed)?,
    }
    Ok(Some(size))
}

fn rename_back(aside: &Path, path: &Path) -> Result<()> {
    fs::rename(aside, path).map_err(failed_to("keep", path))?;
    // A power failure must not undo the rename, because another process may rely on the blob.
    path.parent().map_or(Ok(()), oras_fs::sync_directory)
}

/// Renames blobs back that a killed process was removing: one of them may be claimed. Best effort; does nothing while
/// another process changes the layout.
pub(crate) fn recover(root: &Path) {
    let is_aside = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found = entries.filter(is_aside).peekable();
    let lock = || File::open(root.join(MARKER_FILE)).ok().filter(|marker| marker.try_lock().is_ok());
    let Some(_lock) = found.peek().and_then(|_| lock()) else { return };
    for entry in found {
        if let Some(digest) = digest_of(&entry.file_name().to_string_lossy()) {
            drop(rename_back(&entry.path(), &blobs::path(root, &digest)));
        }
    }
}

/// Returns the digest of a blob whose removal was interrupted, from the name of its file.
pub(crate) fn digest_of(name: &str) -> Option<Digest> {
    name.strip_prefix(PREFIX)?.replacen('-', ":", 1).parse().ok()
}
