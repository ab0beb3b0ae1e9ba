//! Lists and deletes the saved states of interrupted uploads.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use oras_store::{Error, Result};
use url::Url;

use crate::repository::upload::upload_state::{
    EXTENSION, UploadState, age, is_allowed_location, lock_idle, modified, read, remove,
};

/// The maximum number of states in one list.
const MAX_STATES: usize = 10_000;

/// An interrupted upload. [`UnfinishedUploads::list`] returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Scheme, host and port of the registry.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The digest of the blob, or the identity of content without a digest.
    pub name: String,
    /// The size of the whole blob in bytes.
    pub size: u64,
    /// When the upload last made progress.
    pub touched: SystemTime,
    path: PathBuf,
}

/// A directory with the states of interrupted uploads, from which a later run resumes the uploads
/// ([`ClientOptions::unfinished_uploads`](crate::ClientOptions::unfinished_uploads)).
///
/// Deleting a state is safe: a later run sends the whole blob, and the session at the registry expires.
///
/// ```
/// use std::time::Duration;
///
/// use oras_remote::{UnfinishedUpload, UnfinishedUploads};
///
/// # fn main() -> oras_remote::store::Result<()> {
/// let uploads = UnfinishedUploads::new("/var/lib/example/uploads");
/// uploads.remove_older_than(Duration::from_secs(7 * 86_400))?;
/// for UnfinishedUpload { repository, name, size, .. } in uploads.list()? {
///     println!("{repository}: {name}, {size} bytes");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct UnfinishedUploads {
    directory: PathBuf,
}

impl UnfinishedUpload {
    /// Locks the file and returns it with the location of the upload, if requests to it are allowed. Returns `None`
    /// if a process uses the file, or if the file now belongs to another upload.
    pub(crate) fn take(&self) -> Option<(File, Option<Url>)> {
        let file = lock_idle(&self.path)?;
        let state = read(&file)?;
        let is_same = (&state.registry, &state.repository, &state.name)
            == (&self.registry, &self.repository, &self.name);
        let location = state.location.parse().ok();
        is_same.then(|| (file, location.filter(|_| is_allowed_location(&state.location, &self.registry))))
    }

    /// Deletes the file; returns true if it existed.
    pub(crate) fn remove_file(&self) -> Result<bool> {
        remove(&self.path)
    }
}

impl UnfinishedUploads {
    /// Lists the uploads of `directory`, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Returns all uploads that no process is using, the oldest first. Invalid files are skipped.
    ///
    /// # Errors
    /// `Io` if the directory can't be read.
    pub fn list(&self) -> Result<Vec<UnfinishedUpload>> {
        let mut found = Vec::new();
        for path in self.files()? {
            let Some(file) = lock_idle(&path) else { continue };
            let Some(state) = read(&file) else { continue };
            let UploadState { registry, repository, name, size, .. } = state;
            let touched = modified(&file);
            found.push(UnfinishedUpload { registry, repository, name, size, touched, path });
        }
        found.sort_by(|one, other| (one.touched, &one.path).cmp(&(other.touched, &other.path)));
        Ok(found)
    }

    /// Deletes the state of an upload, unless a process is using it; returns true if it existed.
    ///
    /// # Errors
    /// `Io` if the file can't be deleted.
    pub fn remove(&self, upload: &UnfinishedUpload) -> Result<bool> {
        match lock_idle(&upload.path) {
            Some(_locked) => remove(&upload.path),
            None => Ok(false),
        }
    }

    /// Deletes the states of uploads without progress for `age_limit`, and invalid files; returns their number.
    ///
    /// # Errors
    /// `Io` if the directory can't be read or a file can't be deleted.
    pub fn remove_older_than(&self, age_limit: Duration) -> Result<usize> {
        let mut removed = 0;
        for path in self.files()? {
            if let Some(file) = lock_idle(&path)
                && age(&file) >= age_limit
                && remove(&path)?
            {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let failed = |error| Error::io(format!("failed to read {}", self.directory.display()), error);
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut files = Vec::new();
        // The bound keeps a directory with very many files from delaying a command.
        for entry in entries.take(MAX_STATES) {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                // `file_type` does not follow symbolic links, so links are skipped.
                && entry.file_type().is_ok_and(|kind| kind.is_file())
            {
                files.push(path);
            }
        }
        Ok(files)
    }
}
