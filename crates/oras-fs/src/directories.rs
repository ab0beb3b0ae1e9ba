//! Creates directories, and finds the parent of a path.

use std::fs::{self, File};
use std::path::Path;

use crate::durability::flush_directory;
use crate::io_error::{failed_to, is_refused};
use oras_store::Result;

/// Creates `directory` and its missing parents. An existing directory is no error.
///
/// # Errors
/// `Io` if a directory cannot be created.
pub fn create_directories(directory: &Path) -> Result<()> {
    // The directory usually exists, and one metadata call is cheaper than failed attempts to create it. If the metadata
    // cannot be read, `create_dir_all` returns the error.
    if fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(failed_to("create the directory", directory))
}

/// Creates `directory` and its missing parents like [`create_directories`], and flushes every directory that got a new
/// entry, so that the new directories survive a power failure.
///
/// A parent directory that may be written but not read cannot be opened, so it is not flushed. If another process
/// creates the same directory at the same time, only one of them flushes its parent.
///
/// # Errors
/// `Io` if a directory cannot be created or flushed.
pub fn create_durable_directories(directory: &Path) -> Result<()> {
    let is_missing =
        |path: &&Path| !path.as_os_str().is_empty() && path.try_exists().is_ok_and(|exists| !exists);
    let created: Vec<_> = directory.ancestors().take_while(is_missing).collect();
    create_directories(directory)?;
    created.iter().try_for_each(|created| {
        let parent = parent_directory(created);
        match File::open(parent) {
            Err(error) if is_refused(&error) => Ok(()),
            opened => flush_directory(parent, opened),
        }
    })
}

/// Returns the directory that contains `path`: `.` for a bare file name.
pub fn parent_directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
