//! The directory of partial files, which one process locks at a time.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use crate::Mutex;
use crate::private_dir;

/// The name of the directory of partial files in an output directory.
pub(crate) const PARTIAL_DIR_NAME: &str = ".oras-partial";
/// A shorter partial file is deleted when it is closed, because fetching so few bytes again is cheap.
const MIN_KEPT_SIZE: u64 = 1 << 20;
/// Partial files are deleted when their last write is older than this.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The directory of partial files in an output directory, locked by this process.
///
/// Only the current user can enter it. When it is dropped, the directory is deleted if it is empty.
#[derive(Debug)]
pub(crate) struct PartialDir {
    parent: File,
    directory: File,
    path: PathBuf,
    /// The names of the partial files that this process writes.
    claimed: Mutex<HashSet<String>>,
}

/// The partial directories of this process, by the device and inode number of their output directory. A lock excludes
/// other processes only, so the threads of this process share one [`PartialDir`] for each output directory.
static OPEN_PARTIAL_DIRS: Mutex<BTreeMap<(u64, u64), Weak<PartialDir>>> = Mutex::new(BTreeMap::new());

impl PartialDir {
    /// Opens the directory of partial files in `parent`, whose path is `path`, and creates it if it does not exist.
    ///
    /// Returns `None` if another process has the lock, if other users can enter the directory, and on systems other
    /// than Unix.
    pub(crate) fn open(parent: &File, path: &Path) -> Option<Arc<Self>> {
        let parent_identity = private_dir::identity(parent).ok()?;
        // The list stays locked while the directory is opened. Otherwise a second thread would open the directory, too,
        // and would fail to lock it.
        let mut open_dirs = OPEN_PARTIAL_DIRS.lock();
        // A dropped directory may be deleted and its inode number used again, so its entry must not be found.
        open_dirs.retain(|_, partial_dir| partial_dir.strong_count() > 0);
        if let Some(partial_dir) = open_dirs.get(&parent_identity).and_then(Weak::upgrade) {
            return Some(partial_dir);
        }
        let directory = private_dir::open(parent, PARTIAL_DIR_NAME, true).ok()?;
        let (parent, path) = (parent.try_clone().ok()?, path.join(PARTIAL_DIR_NAME));
        let opened = Arc::new(Self { parent, directory, path, claimed: Mutex::default() });
        opened.delete_old_files();
        open_dirs.insert(parent_identity, Arc::downgrade(&opened));
        Some(opened)
    }

    /// Deletes files older than [`MAX_AGE`]. Ignores errors: an old file only uses space, and the next run retries.
    fn delete_old_files(&self) {
        for (name, modified) in private_dir::list(&self.directory) {
            let age = SystemTime::now().duration_since(modified);
            if age.is_ok_and(|age| age > MAX_AGE) {
                drop(private_dir::remove(&self.directory, &name));
            }
        }
    }
}

impl Drop for PartialDir {
    fn drop(&mut self) {
        // Fails unless the directory is empty, so the partial files of interrupted transfers stay.
        drop(private_dir::remove_directory(&self.parent, PARTIAL_DIR_NAME));
    }
}

/// Deletes partial files in `directory` that were not written for a week. Ignores errors.
pub fn sweep_partial_files(directory: &Path) {
    if directory.join(PARTIAL_DIR_NAME).is_dir()
        && let Ok(parent) = File::open(directory)
    {
        // Opening the directory deletes its old files.
        drop(PartialDir::open(&parent, directory));
    }
}

/// A file name in a [`PartialDir`] that one writer of this process has claimed.
///
/// When it is dropped, the file is deleted if it is discarded or short, and the name is free again.
#[derive(Debug)]
pub(crate) struct ClaimedName {
    partial_dir: Arc<PartialDir>,
    name: String,
    path: PathBuf,
    is_discarded: AtomicBool,
    /// True if the directory has no file of this name, because it was moved or could not be opened.
    is_moved: AtomicBool,
}

impl ClaimedName {
    /// Claims `name`, unless another writer of this process has claimed it.
    pub(crate) fn claim(partial_dir: Arc<PartialDir>, name: String) -> Option<Arc<Self>> {
        if !partial_dir.claimed.lock().insert(name.clone()) {
            return None;
        }
        let path = partial_dir.path.join(&name);
        let (is_discarded, is_moved) = (AtomicBool::new(false), AtomicBool::new(false));
        Some(Arc::new(Self { partial_dir, name, path, is_discarded, is_moved }))
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for reading and writing, and creates it if it does not exist.
    pub(crate) fn open_file(&self) -> io::Result<File> {
        private_dir::open_file(&self.partial_dir.directory, &self.name)
    }

    /// Deletes the file when the last user of the name drops it.
    pub(crate) fn discard(&self) {
        // Only `drop` reads the flags. It runs after all other uses of the `Arc`, so relaxed ordering is enough.
        self.is_discarded.store(true, Ordering::Relaxed);
    }

    /// Records whether the directory still has the file.
    pub(crate) fn set_moved(&self, is_moved: bool) {
        self.is_moved.store(is_moved, Ordering::Relaxed);
    }

    /// Moves the file to the path `to`, which is relative to `base`, or to the working directory without `base`.
    pub(crate) fn rename(&self, base: Option<&File>, to: &Path) -> io::Result<()> {
        private_dir::rename(&self.partial_dir.directory, &self.name, base, to)?;
        self.set_moved(true);
        Ok(())
    }

    /// Moves the file back from the path `from` in `base`. Ignores errors: the caller already handles another error.
    pub(crate) fn rename_back(&self, base: &File, from: &Path) {
        if private_dir::rename_from(base, from, &self.partial_dir.directory, &self.name).is_ok() {
            self.set_moved(false);
        }
    }

    /// Creates the hard link `to` to the file, unless `to` exists.
    pub(crate) fn link(&self, to: &Path) -> io::Result<()> {
        private_dir::link(&self.partial_dir.directory, &self.name, to)
    }

    /// Returns true if the file is too short to be worth resuming.
    fn is_short(&self) -> bool {
        private_dir::length(&self.partial_dir.directory, &self.name)
            .is_ok_and(|length| length < MIN_KEPT_SIZE)
    }
}

impl Drop for ClaimedName {
    fn drop(&mut self) {
        if !self.is_moved.load(Ordering::Relaxed)
            && (self.is_discarded.load(Ordering::Relaxed) || self.is_short())
        {
            drop(private_dir::remove(&self.partial_dir.directory, &self.name));
        }
        // The name is freed last. Otherwise the removal above could delete the new file of the next writer.
        self.partial_dir.claimed.lock().remove(&self.name);
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sweep_deletes_only_old_files() {
        let directory = tempfile::tempdir().unwrap();
        let parent = File::open(directory.path()).unwrap();
        let partial_dir = PartialDir::open(&parent, directory.path()).unwrap();
        let claimed = ClaimedName::claim(partial_dir, "sha256-a".to_owned()).unwrap();
        let file = claimed.open_file().unwrap();
        file.set_len(3 << 20).unwrap();
        let path = claimed.path().to_owned();
        drop(claimed);
        sweep_partial_files(directory.path());
        assert!(path.exists());
        file.set_modified(SystemTime::now() - MAX_AGE - Duration::from_secs(60)).unwrap();
        sweep_partial_files(directory.path());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
