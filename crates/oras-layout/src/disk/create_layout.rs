//! Creates a layout directory, and checks whether a directory is a layout.

use std::io::Write;
use std::path::Path;

use oras_fs::{failed_to, if_exists};
use oras_spec::json;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE, Marker};
use oras_store::Result;

use crate::index::Index;
use crate::not_found::path_not_found;
use crate::oci_layout_file::{LayoutFault, check_version, invalid_layout};
use crate::size_limits::MAX_MARKER_SIZE;

/// Returns true if the path exists. Returns false if a parent of the path is not a directory.
///
/// # Errors
/// `Io` if the check fails.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match path.try_exists() {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        found => found.map_err(failed_to("look for", path)),
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
    let failed = "failed to open OCI layout file";
    let read = if_exists(oras_fs::read_limited(&root.join(MARKER_FILE), MAX_MARKER_SIZE));
    match read.map_err(|error| invalid_layout(failed).with_source(error))? {
        Some(bytes) => check_version(&bytes),
        None => {
            let message = format!("{failed}: open oci-layout: no such file or directory");
            Err(invalid_layout(&message).with_detail(LayoutFault::NoMarker))
        }
    }
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
    staged.write_all(bytes).map_err(failed_to("write", path))?;
    staged.sync()?;
    // If another process has created the file since the check, `publish_new` keeps that file.
    staged.publish_new(path)
}
