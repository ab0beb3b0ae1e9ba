//! A directory that files are published below, held open: whoever swaps it, or what is in it, for a link meanwhile
//! leads nothing elsewhere. What is not complete yet is in a directory of its own in there.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};
use oras_store::fsio::Partial;
use oras_store::fsio::{self, blocking};
use oras_store::{Content, Error, Result};
use parking_lot::Mutex;

use crate::{interrupted, names};

/// Names of staging directories that are tried: one is taken only by what a killed process of that id left.
const ATTEMPTS: u32 = 10_000;

/// The directory, and the staging directory in it: on the same file system, so that a rename publishes.
#[derive(Debug)]
pub(crate) struct Base {
    /// Where it is, with all links resolved.
    pub(crate) path: PathBuf,
    pub(crate) dir: Dir,
    pub(crate) staging: Dir,
    /// Whether the file system takes names that differ in case for one.
    pub(crate) folds: bool,
    name: PathBuf,
    count: AtomicU64,
    /// Names in the staging directory that stay when this is dropped.
    kept: Mutex<Vec<PathBuf>>,
    /// The peculiarities of names that the file system is known to keep.
    names_kept: AtomicU32,
    /// Tells other processes that this one still uses the staging directory.
    _in_use: File,
}

impl Base {
    /// Opens the directory at `path`, where all links are resolved.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        fsio::sweep_partials(path);
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| Error::io(format!("failed to open {}", path.display()), error))?;
        let failed = |error| Error::io(format!("failed to create a directory in {}", path.display()), error);
        interrupted::restore(&dir, path);
        let name = make(&dir).map_err(failed)?;
        let staging = dir.open_dir(&name).map_err(failed)?;
        // Not open_dir: its handle is good for paths only, not for locks.
        let in_use = dir.open(&name).map_err(failed)?.into_std();
        // A new directory is locked by nobody else.
        fsio::try_lock(&in_use).map_err(failed)?;
        let folds = dir.symlink_metadata(name.to_string_lossy().to_uppercase()).is_ok();
        Ok(Self {
            path: path.to_owned(),
            dir,
            staging,
            folds,
            name,
            count: AtomicU64::new(0),
            kept: Mutex::default(),
            names_kept: AtomicU32::new(0),
            _in_use: in_use,
        })
    }

    /// The partial file for big content, which is kept when the transfer breaks; `None` when there can be none.
    pub(crate) fn partial(&self, content: &Content) -> Option<Partial> {
        let directory = self.dir.try_clone().ok()?.into_std_file();
        Partial::claim(&directory, &self.path, content)
    }

    /// The staging directory as a file.
    pub(crate) fn staging_file(&self) -> std::io::Result<File> {
        Ok(self.staging.try_clone()?.into_std_file())
    }

    /// Refuses a path with a part that the file system does not keep as it is.
    ///
    /// # Errors
    /// `InvalidContent` for such a name, `Io` when the system cannot tell.
    pub(crate) fn check_names(&self, path: &Path) -> Result<()> {
        names::check(&self.staging, path, &self.names_kept)
    }

    /// A name that nothing in the staging directory has.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.count.fetch_add(1, Ordering::Relaxed).to_string().into()
    }

    /// Leaves `staged` in the staging directory when this is dropped. Returns its whole path.
    pub(crate) fn keep_staged(&self, staged: &Path) -> PathBuf {
        self.kept.lock().push(staged.to_owned());
        self.path.join(&self.name).join(staged)
    }

    /// A new file in the staging directory, readable too, with the permissions of any new file.
    pub(crate) fn create(&self, name: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = self.staging.open_with(name, &options).map_err(|error| {
            Error::io(format!("failed to create a file in {}", self.path.display()), error)
        })?;
        Ok(file.into_std())
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        // Nothing better can be done with an error here.
        let kept = self.kept.get_mut();
        if kept.is_empty() {
            drop(self.dir.remove_dir_all(&self.name));
            return;
        }
        for entry in self.staging.entries().into_iter().flatten().flatten() {
            let name = PathBuf::from(entry.file_name());
            if !kept.iter().any(|kept| kept.starts_with(&name)) && self.staging.remove_file(&name).is_err() {
                drop(self.staging.remove_dir_all(&name));
            }
        }
    }
}

/// Makes a directory that only this user may enter.
fn make(dir: &Dir) -> std::io::Result<PathBuf> {
    let builder = {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(false);
        builder
    };
    let mut attempt = 0;
    loop {
        let name = PathBuf::from(format!("{}{}-{attempt}", interrupted::PREFIX, std::process::id()));
        match dir.create_dir_with(&name, &builder) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Writes verified content to `file`, which it hands back: on an error it is dropped as it is.
pub(crate) async fn write(content: &Content, mut file: File, name: String) -> Result<File> {
    if content.descriptor().size > fsio::CHUNK as u64 {
        return fsio::pour(content, file, name, Ok).await;
    }
    // Threads for the hash and for the file would cost more than so little.
    let bytes = content.bytes(fsio::CHUNK as u64).await?;
    blocking(move || match file.write_all(&bytes) {
        Ok(()) => Ok(file),
        Err(error) => Err(Error::io(format!("failed to write {name}"), error)),
    })
    .await
}
