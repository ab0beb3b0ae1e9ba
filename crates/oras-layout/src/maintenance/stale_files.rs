//! Deletes the unfinished files of killed processes, both of ORAS and of the Go tool.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::blob_removal;

/// The age from which a staged file is stale. A running process would have written to the file within this time.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Deletes the stale files of the layout, and recovers blobs whose removal was interrupted. Best effort.
pub(crate) fn delete_stale(root: &Path) {
    // Recovery runs first, because the names of these files begin with `.oras-`, too.
    blob_removal::recover(root);
    let is_ours = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(b".oras-") && !name.starts_with(blob_removal::PREFIX.as_bytes())
    };
    delete_stale_in(root, is_ours);
    // The staging directory of the Go tool.
    delete_stale_in(&root.join("ingest"), |_| true);
    oras_fs::sweep_partial_files(root);
}

fn delete_stale_in(directory: &Path, is_staged: impl Fn(&OsStr) -> bool) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| is_staged(&entry.file_name())) {
        let Some(found) = entry.metadata().ok().filter(|found| found.is_file() && !is_linked(found)) else {
            continue;
        };
        let age = found.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > STALE) {
            // Errors are ignored, because the next run retries.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Returns true if the file has a second hard link. It may be a blob that is being linked: its time is that of the
/// blob, and deleting one link would free no space.
#[cfg(unix)]
fn is_linked(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn is_linked(_: &fs::Metadata) -> bool {
    false
}
