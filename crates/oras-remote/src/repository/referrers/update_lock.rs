//! A lock file that a user's processes on one machine share, for updates that a registry can't make atomic.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oras_spec::Digest;
use tokio::time::{Instant, sleep};

use crate::http::retry::random;

/// Timeout of waiting for the lock, after which the update continues without it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest interval between attempts to lock.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A held lock, released when dropped.
///
/// The lock reduces conflicts but can't exclude them: the update continues without it if there is no private folder
/// for lock files, or if another process holds the lock too long.
#[derive(Debug)]
pub(crate) struct UpdateLock {
    _file: Option<File>,
}

impl UpdateLock {
    /// Waits for the lock `name`.
    pub(crate) async fn acquire(name: &str) -> Self {
        // The name contains slashes and colons, which a file name must not contain. The hash also bounds its length.
        let path = format!("{}.lock", Digest::sha256(name.as_bytes()).encoded());
        let opened = oras_fs::blocking(move || Ok(open(&std::env::temp_dir(), &path))).await;
        let Ok(Some(file)) = opened else {
            tracing::debug!(name, "continuing without a lock file");
            return Self { _file: None };
        };
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Self { _file: Some(file) },
                // Polls instead of blocking a thread, so that a dropped future stops waiting at once.
                Err(std::fs::TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => {
                    sleep(POLL_INTERVAL.mul_f64(0.5 + random() / 2.0)).await;
                }
                Err(error) => {
                    tracing::debug!(name, %error, "continuing without a lock");
                    return Self { _file: None };
                }
            }
        }
    }
}

/// Opens the lock file in a folder that only this user can access.
fn open(temporary: &Path, name: &str) -> Option<File> {
    let folder = private_folder(temporary)?;
    // The file is never deleted: a lock on a deleted file does not exclude processes that create a new file.
    File::options().read(true).write(true).create(true).truncate(false).open(folder.join(name)).ok()
}

#[cfg(unix)]
fn private_folder(temporary: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    // The owner of a new file is the current user.
    let user = tempfile::tempfile_in(temporary).and_then(|file| file.metadata()).ok()?.uid();
    let folder = temporary.join(format!("oras-{user}"));
    // Another user may have created the folder, or a symbolic link in its place. Such a folder is not used.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    let found = std::fs::symlink_metadata(&folder).ok()?;
    (found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0).then_some(folder)
}

#[cfg(not(unix))]
fn private_folder(temporary: &Path) -> Option<PathBuf> {
    let folder = temporary.join("oras");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn excludes_other_holders() {
        let name = format!("test {:?}", std::process::id());
        let first = UpdateLock::acquire(&name).await;
        assert!(first._file.is_some());
        let other = UpdateLock::acquire("another name").await;
        assert!(other._file.is_some());
        let waited = tokio::time::timeout(Duration::from_millis(60), UpdateLock::acquire(&name)).await;
        assert!(waited.is_err());
        drop(first);
        assert!(UpdateLock::acquire(&name).await._file.is_some());
    }

    #[cfg(unix)]
    #[test]
    fn rejects_folders_of_other_users() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};

        let temporary = tempfile::tempdir().unwrap();
        let user = temporary.path().metadata().unwrap().uid();
        let folder = temporary.path().join(format!("oras-{user}"));
        std::os::unix::fs::symlink(temporary.path(), &folder).unwrap();
        assert!(open(temporary.path(), "x").is_none());
        std::fs::remove_file(&folder).unwrap();
        assert!(open(temporary.path(), "x").is_some());
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(open(temporary.path(), "x").is_none());
    }
}
