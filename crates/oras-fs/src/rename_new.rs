//! Publishes a file without replacing another one, on file systems without hard links.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::file_lock;
use crate::{if_exists, parent_directory};

/// Calls `rename`, which moves a file to `path`, unless `path` exists.
///
/// This is for file systems such as exFAT, which have neither hard links nor a rename that fails if the new name
/// exists.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if `path` exists, and the errors of `rename`.
pub(crate) fn rename_new(path: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let directory = File::open(parent_directory(path))?;
    // Between the check and the rename another process could create `path`. The lock excludes other processes of this
    // program. On a file system without locks, the race remains possible.
    file_lock::lock(&directory)?;
    match if_exists(fs::symlink_metadata(path))? {
        Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
        None => rename(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_replace_existing_file() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        std::io::Write::write_all(&mut File::create(&from).unwrap(), b"one").unwrap();
        rename_new(&to, || fs::rename(&from, &to)).unwrap();
        std::io::Write::write_all(&mut File::create(&from).unwrap(), b"two").unwrap();
        let error = rename_new(&to, || fs::rename(&from, &to)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&to).unwrap(), b"one");
    }
}
