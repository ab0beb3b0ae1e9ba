//! Creates and flushes directories.

use std::fs::{self, File};
use std::path::Path;

use crate::io_error::is_refused;
use oras_store::{Error, Result};

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
    fs::create_dir_all(directory)
        .map_err(|error| Error::io(format!("failed to create the directory {}", directory.display()), error))
}

/// Flushes the entries of `directory` to the disk, so that a rename in it survives a power failure.
///
/// Does nothing on systems other than Unix, which cannot flush a directory.
///
/// # Errors
/// `Io` if the directory cannot be opened or flushed.
pub fn sync_directory(directory: &Path) -> Result<()> {
    if cfg!(unix) {
        let failed = |error| Error::io(format!("failed to flush {}", directory.display()), error);
        match File::open(directory).map_err(failed)?.sync_all() {
            // CIFS and some FUSE file systems cannot flush directories.
            Err(error) if is_refused(&error) => {}
            flushed => flushed.map_err(failed)?,
        }
    }
    Ok(())
}

/// Returns the directory that contains `path`: `.` for a bare file name.
pub(crate) fn parent_directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
