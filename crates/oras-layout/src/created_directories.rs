//! Directories that are created for an upload, and deleted again if nothing is stored in them.

use std::fs;
use std::path::{Path, PathBuf};

use oras_spec::layout::MARKER_FILE;
use oras_store::Result;

/// Directories that were created for an upload, the deepest first. Dropping this deletes those that are empty.
pub(crate) struct CreatedDirectories(Vec<PathBuf>);

impl CreatedDirectories {
    /// Creates `directory` and its missing parents.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        // If the existence check fails, the directory counts as existing, so `drop` does not delete it.
        let is_missing =
            |path: &&Path| !path.as_os_str().is_empty() && path.try_exists().is_ok_and(|exists| !exists);
        let created = Self(directory.ancestors().take_while(is_missing).map(ToOwned::to_owned).collect());
        oras_fs::create_durable_directories(directory)?;
        Ok(created)
    }

    /// Returns the directory of a resumed upload, which an earlier run created, unless it has become a layout.
    pub(crate) fn of_resumed_upload(root: &Path) -> Self {
        // If the check fails, the directory may be a layout, so it stays.
        let is_layout = root.join(MARKER_FILE).try_exists().unwrap_or(true);
        Self(if is_layout { Vec::new() } else { vec![root.to_owned()] })
    }
}

impl Drop for CreatedDirectories {
    fn drop(&mut self) {
        // Deleting a directory that is not empty fails. Its parents are not empty either, so the loop ends there.
        drop(self.0.iter().try_for_each(fs::remove_dir));
    }
}
