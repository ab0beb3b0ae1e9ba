//! Replaces a small file atomically.

use std::io::Write;
use std::path::Path;

use crate::{StagedFile, failed_to, parent_directory, sync_directory};
use oras_store::Result;

/// Replaces the file at `path` by one with `bytes`, atomically and durably.
///
/// A reader sees the old file or the new file. The permissions are `mode` without the bits of the umask. If `mode`
/// grants nothing to group and others, the permissions are exactly `mode`.
///
/// # Errors
/// `Io` if the file cannot be written; the old file is unchanged then.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let directory = parent_directory(path);
    let mut staged = StagedFile::create_with_mode(directory, mode)?;
    #[cfg(unix)]
    // The umask may have removed bits of the owner, too, so the mode is set explicitly.
    if mode & 0o077 == 0 {
        std::fs::set_permissions(staged.path(), std::os::unix::fs::PermissionsExt::from_mode(mode))
            .map_err(failed_to("write", path))?;
    }
    let written = staged.write_all(bytes).map_err(failed_to("write", staged.path()));
    // The bytes must be on the disk before the rename. Otherwise a power failure could leave an empty file at `path`.
    let flushed = written.and_then(|()| staged.sync());
    // The error names only the temporary file.
    flushed.map_err(|error| error.context(format!("failed to write {}", path.display())))?;
    staged.publish(path)?;
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn replaces_file_and_leaves_no_other_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.json");
        replace(&path, b"one", 0o666).unwrap();
        replace(&path, b"two", 0o666).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}
