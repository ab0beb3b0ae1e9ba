//! Modes and modification times of unpacked files and directories.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

/// The mode and the time of a directory in an archive. Both are set after the last write into the directory: a write
/// changes the time, and the mode may forbid writes.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryAttributes {
    /// The path below the directory of the archive, which itself has the empty path.
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) modified: SystemTime,
}

impl DirectoryAttributes {
    /// Sets the mode and the time of the open directory.
    pub(crate) fn apply(&self, directory: &File) -> io::Result<()> {
        set_modified(directory, self.modified)?;
        set_mode(directory, self.mode)
    }
}

/// Sets the mode of an open file or directory, unless the file system refuses modes.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    unless_refused(file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)))?;
    #[cfg(not(unix))]
    let _ = (file, mode);
    Ok(())
}

/// Sets the modification time, unless the file system refuses times.
pub(super) fn set_modified(file: &File, modified: SystemTime) -> io::Result<()> {
    unless_refused(file.set_modified(modified))
}

/// Ignores a refusal. FAT, exFAT, CIFS and mounts that belong to another user refuse modes and times. The content
/// does not depend on them.
fn unless_refused(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if oras_fs::is_refused(&error) => Ok(()),
        result => result,
    }
}
