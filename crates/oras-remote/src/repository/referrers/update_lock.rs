//! Turns among the processes of one user on one machine, for changes that a registry cannot make atomic.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oras_spec::Digest;
use oras_store::fsio;
use tokio::time::{Instant, sleep};

use crate::retry::random;

/// How long to wait for one's turn before going on without.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look whether it is one's turn, at most.
const PAUSE: Duration = Duration::from_millis(20);

/// One's turn, until it is dropped.
///
/// A courtesy, not a guarantee: without a folder to keep lock files in, or when another process holds its turn
/// forever, one goes on without.
#[derive(Debug)]
pub(crate) struct TurnLock {
    _file: Option<File>,
}

impl TurnLock {
    /// Waits for the turn at what is called `name`.
    pub(crate) async fn acquire(name: &str) -> Self {
        let path = format!("{}.lock", Digest::sha256(name.as_bytes()).encoded());
        let opened = fsio::blocking(move || Ok(open(&std::env::temp_dir(), &path))).await;
        let Ok(Some(file)) = opened else {
            tracing::debug!(name, "no lock file");
            return Self { _file: None };
        };
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Self { _file: Some(file) },
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    sleep(PAUSE.mul_f64(0.5 + random() / 2.0)).await;
                }
                Err(error) => {
                    tracing::debug!(name, %error, "not locked");
                    return Self { _file: None };
                }
            }
        }
    }
}

/// The lock file, in a folder that is this user's alone.
fn open(temporary: &Path, name: &str) -> Option<File> {
    let folder = private_folder(temporary)?;
    File::options().read(true).write(true).create(true).truncate(false).open(folder.join(name)).ok()
}

#[cfg(unix)]
fn private_folder(temporary: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    // The owner of a new file is who we are.
    let user = tempfile::tempfile_in(temporary).and_then(|file| file.metadata()).ok()?.uid();
    let folder = temporary.join(format!("oras-{user}"));
    // Another user may have made it, or made it a link: then it is not used.
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
    async fn one_at_a_time() {
        let name = format!("test {:?}", std::process::id());
        let first = TurnLock::acquire(&name).await;
        assert!(first._file.is_some());
        let other = TurnLock::acquire("another name").await;
        assert!(other._file.is_some());
        let waited = tokio::time::timeout(Duration::from_millis(60), TurnLock::acquire(&name)).await;
        assert!(waited.is_err());
        drop(first);
        assert!(TurnLock::acquire(&name).await._file.is_some());
    }

    #[cfg(unix)]
    #[test]
    fn folders_of_others_are_not_used() {
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
