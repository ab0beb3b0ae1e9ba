//! Creates a layout directory, and checks whether a directory is a layout.

use std::io::Write;
use std::path::Path;

use oras_spec::json;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE, Marker};
use oras_store::{Error, Result};

use crate::index::Index;
use crate::not_found::path_not_found;
use crate::oci_layout_file::{check_version, invalid_layout};
use crate::size_limits::MAX_MARKER_SIZE;

/// Returns true if the path exists. Returns false if a parent of the path is not a directory.
///
/// # Errors
/// `Io` if the check fails.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match path.try_exists() {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        found => found.map_err(|error| Error::io(format!("failed to look for {}", path.display()), error)),
    }
}

/// Checks that the directory is a layout of the supported version.
///
/// # Errors
/// `NotFound` if the path does not exist; `InvalidContent` if it is not a layout.
pub(crate) fn check_layout(root: &Path) -> Result<()> {
    if !exists(root)? {
        return Err(path_not_found(root));
    }
    let bytes =
        oras_fs::read_limited(&root.join(MARKER_FILE), MAX_MARKER_SIZE).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::NotFound => invalid_layout(
                    "failed to open OCI layout file: open oci-layout: no such file or directory",
                ),
                _ => invalid_layout("failed to open OCI layout file").with_source(error),
            }
        })?;
    check_version(&bytes)
}

/// Creates the layout: `oci-layout` and an empty index, unless they exist. Two processes can do so at the same time.
pub(crate) fn create_layout(root: &Path) -> Result<()> {
    oras_fs::create_durable_directories(root)?;
    let marker = json::to_vec(&Marker::default());
    // The marker is created first: a crash before the index leaves a valid layout, because a missing index counts as
    // empty.
    let is_marker_new = create_file(&root.join(MARKER_FILE), &marker)?;
    let is_index_new = create_file(&root.join(INDEX_FILE), &Index::default().to_bytes())?;
    if is_marker_new || is_index_new { oras_fs::sync_directory(root) } else { Ok(()) }
}

/// Creates a file unless one exists. An existing file is never replaced, because other processes may hold a lock on it.
fn create_file(path: &Path, bytes: &[u8]) -> Result<bool> {
    if exists(path)? {
        return Ok(false);
    }
    let mut staged = oras_fs::StagedFile::create(path.parent().unwrap_or(path))?;
    staged
        .file_mut()
        .write_all(bytes)
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))?;
    staged.sync()?;
    // If another process has created the file meanwhile, `publish_new` keeps that file.
    staged.publish_new(path)
}
