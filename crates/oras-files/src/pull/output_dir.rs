//! An output directory that is held open, with a staging directory inside it.
//!
//! All paths are resolved below the open directory handle. A program that replaces the directory, or something in it,
//! by a link while the pull runs cannot redirect what the pull writes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};
use oras_fs::{PartialFile, failed_to};
use oras_store::{Content, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::interrupted_pull;
use crate::file_system_names::NameCheck;

/// The number of names to try for a staging directory. A name exists only if a killed process had the same id.
const ATTEMPTS: u32 = 10_000;

/// An output directory. Its staging directory is on the same file system, so that a rename publishes a file.
#[derive(Debug)]
pub(crate) struct OutputDir {
    /// The path, with all links resolved.
    pub(crate) path: PathBuf,
    pub(crate) dir: Dir,
    pub(crate) staging: Dir,
    /// Whether names that differ only in case are one name on this file system.
    pub(crate) folds_case: bool,
    staging_name: PathBuf,
    /// The number of staged files, which names the next one.
    count: AtomicU64,
    /// Paths in the staging directory that stay when this is dropped.
    kept: Mutex<Vec<PathBuf>>,
    /// The kinds of unusual names that the file system accepted in a probe, one bit for each, see [`NameCheck`].
    accepted_names: AtomicU32,
    /// A lock on the staging directory, which shows other processes that this pull still runs.
    _lock: File,
}

impl OutputDir {
    /// Opens the directory at `path`, whose links must be resolved, and creates the staging directory. Recovers the
    /// files of killed pulls.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        oras_fs::sweep_partial_files(path);
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(failed_to("open", path))?;
        let failed = failed_to("create a directory in", path);
        interrupted_pull::recover(&dir, path);
        let staging_name = create_staging(&dir).map_err(failed)?;
        let staging = dir.open_dir(&staging_name).map_err(failed)?;
        // `open_dir` may give an `O_PATH` handle, which cannot be locked.
        let lock = dir.open(&staging_name).map_err(failed)?.into_std();
        // The directory is new, so no other process holds the lock.
        oras_fs::try_lock(&lock).map_err(failed)?;
        // A case-insensitive file system also finds the directory under its name in upper case.
        let folds_case = dir.symlink_metadata(staging_name.to_string_lossy().to_uppercase()).is_ok();
        Ok(Self {
            path: path.to_owned(),
            dir,
            staging,
            folds_case,
            staging_name,
            count: AtomicU64::new(0),
            kept: Mutex::default(),
            accepted_names: AtomicU32::new(0),
            _lock: lock,
        })
    }

    /// Claims a partial file for large content, which stays on disk if the transfer breaks; `None` if the content
    /// does not get one.
    pub(crate) fn claim_partial(&self, content: &Content) -> Option<PartialFile> {
        let directory = self.dir.try_clone().ok()?.into_std_file();
        PartialFile::claim(&directory, &self.path, content)
    }

    /// Returns the staging directory as a file handle.
    pub(crate) fn staging_file(&self) -> std::io::Result<File> {
        Ok(self.staging.try_clone()?.into_std_file())
    }

    /// Returns the check for names on this file system.
    pub(crate) fn name_check(&self) -> NameCheck<'_> {
        NameCheck { probe_dir: &self.staging, accepted: &self.accepted_names, folds_case: self.folds_case }
    }

    /// Checks that every existing parent of `path` is a directory below this one.
    ///
    /// # Errors
    /// `Denied` if a link leads out of the directory or dangles; `AlreadyExists` if a parent is not a directory; `Io`.
    pub(crate) fn check_parents(&self, path: &Path) -> Result<()> {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let shown = parent.display();
            match self.dir.metadata(parent) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => {
                    return Err(Error::new(ErrorKind::AlreadyExists, format!("{shown} is not a directory")));
                }
                // The error for a dangling link is the same, but the link exists.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.dir.symlink_metadata(parent).is_ok() {
                        return Err(Error::new(ErrorKind::Denied, format!("{shown} is a dangling link")));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let denied = Error::new(ErrorKind::Denied, format!("{shown} leads out"));
                    return Err(denied.with_source(error));
                }
                Err(error) => return Err(failed_to("look at", parent)(error)),
            }
        }
        Ok(())
    }

    /// Returns an unused name for a file or directory in the staging directory.
    pub(crate) fn new_staged_name(&self) -> PathBuf {
        self.count.fetch_add(1, Ordering::Relaxed).to_string().into()
    }

    /// Leaves `staged` in the staging directory when this is dropped. Returns its full path.
    pub(crate) fn keep_staged(&self, staged: &Path) -> PathBuf {
        self.kept.lock().push(staged.to_owned());
        self.path.join(&self.staging_name).join(staged)
    }

    /// Creates a file in the staging directory for reading and writing, with the permissions of any new file.
    pub(crate) fn create_staged(&self, name: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let created = self.staging.open_with(name, &options);
        Ok(created.map_err(failed_to("create a file in", &self.path))?.into_std())
    }
}

impl Drop for OutputDir {
    fn drop(&mut self) {
        // Errors are ignored: a destructor cannot report them.
        let kept = self.kept.get_mut();
        if kept.is_empty() {
            drop(self.dir.remove_dir_all(&self.staging_name));
            return;
        }
        // Kept paths are earlier files of the user that could not be restored, so they are not deleted.
        for entry in self.staging.entries().into_iter().flatten().flatten() {
            let name = PathBuf::from(entry.file_name());
            if !kept.iter().any(|kept| kept.starts_with(&name)) && self.staging.remove_file(&name).is_err() {
                drop(self.staging.remove_dir_all(&name));
            }
        }
    }
}

/// Creates a staging directory that only this user may enter. Returns its name.
fn create_staging(dir: &Dir) -> std::io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    // Staged content is not verified yet, so other users must not read it.
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for attempt in 0..ATTEMPTS {
        let name = PathBuf::from(format!("{}{}-{attempt}", interrupted_pull::PREFIX, std::process::id()));
        match dir.create_dir_with(&name, &builder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|()| name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
