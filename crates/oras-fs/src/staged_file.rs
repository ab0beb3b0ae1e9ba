//! Staged files: written under a temporary name and then published atomically.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::durability::{BackgroundFlush, sync_file};
use crate::file_lock;
use crate::rename_new::rename_new;
use crate::{PartialFile, failed_to, if_exists, is_refused};
use oras_store::{Error, ErrorKind, Result};

/// A file that is not published yet. A program writes it through [`Write`] or with [`stage`](crate::stage), and then
/// publishes it in one step.
///
/// If it is dropped, the file is deleted, unless it is a partial file or was made by [`StagedFile::create_kept`].
///
/// ```
/// use std::io::Write;
///
/// use oras_fs::{ParkedFile, StagedFile, sync_directory};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let mut upload = StagedFile::create_kept(&directory.path().join("upload7"))?;
/// upload.write_all(b"hello ")?;
/// // The file is closed while the client sends nothing.
/// let parked: ParkedFile = upload.park();
/// let mut upload = parked.reopen(6)?;
/// upload.write_all(b"world\n")?;
///
/// upload.sync()?;
/// upload.publish(&directory.path().join("blob"))?;
/// sync_directory(directory.path())?;
/// assert_eq!(std::fs::read(directory.path().join("blob"))?, b"hello world\n");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct StagedFile {
    backing: Backing,
    background_flush: Option<BackgroundFlush>,
}

#[derive(Debug)]
enum Backing {
    Temporary(NamedTempFile),
    /// Stays if it is dropped, so that a later run can use the bytes.
    Partial(PartialFile),
}

impl Backing {
    fn file_mut(&mut self) -> &mut File {
        match self {
            Self::Temporary(file) => file.as_file_mut(),
            Self::Partial(partial) => partial.file_mut(),
        }
    }
}

impl StagedFile {
    /// Creates an empty file in `directory` with the permissions 0666 without the bits of the umask.
    ///
    /// `directory` must be on the file system where the file will be published, as a rename cannot cross file systems.
    pub fn create(directory: &Path) -> Result<Self> {
        Self::create_with_mode(directory, 0o666)
    }

    /// Creates an empty file in `directory` with the permissions `mode` without the bits of the umask. A file with
    /// secrets needs 0600.
    pub fn create_with_mode(directory: &Path, mode: u32) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        // The prefix hides an unfinished file from listings, and shows which program left it after a crash.
        builder.prefix(".oras-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder.tempfile_in(directory).map_err(failed_to("create a file in", directory))?;
        Ok(Self::new(Backing::Temporary(file)))
    }

    /// Creates and locks an empty file at `path`, which stays if it is dropped. [`StagedFile::reopen`] opens it again.
    ///
    /// # Errors
    /// `Io`, also if `path` exists; `AlreadyExists` if another process has locked the file.
    pub fn create_kept(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        Self::lock_kept(file.map_err(failed_to("create", path))?, path)
    }

    /// Opens and locks the file that [`StagedFile::create_kept`] made at `path`. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// `Io`; `AlreadyExists` if another process has locked the file.
    pub fn reopen(path: &Path) -> Result<Option<Self>> {
        let failed = failed_to("open", path);
        let find = || if_exists(fs::symlink_metadata(path)).map_err(failed);
        // Checked before opening, because opening a pipe could block and a link could lead to another file.
        if !find()?.is_some_and(|found| found.is_file()) {
            return Ok(None);
        }
        let file = File::options().read(true).write(true).open(path).map_err(failed)?;
        let staged = Self::lock_kept(file, path)?;
        // The process that had the lock before may have published the file under another name.
        Ok(find()?.map(|_| staged))
    }

    /// Locks `file` and makes a staged file of it that stays if it is dropped.
    fn lock_kept(file: File, path: &Path) -> Result<Self> {
        let failed = failed_to("lock", path);
        if !file_lock::try_lock(&file).map_err(failed)? {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{} is in use", path.display())));
        }
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(path).map_err(failed)?);
        // The file must stay after a drop, so that `reopen` finds it.
        file.disable_cleanup(true);
        Ok(Self::new(Backing::Temporary(file)))
    }

    /// Closes and unlocks a file of [`StagedFile::create_kept`]. [`ParkedFile::reopen`] opens it again.
    pub fn park(self) -> ParkedFile {
        ParkedFile { path: self.path().to_owned(), background_flush: self.background_flush }
    }

    fn new(backing: Backing) -> Self {
        Self { backing, background_flush: None }
    }

    /// Flushes a large file in the background during later calls of [`Write`], so that [`StagedFile::sync`] takes
    /// less time.
    pub fn flush_while_written(&mut self) {
        self.background_flush = Some(BackgroundFlush::default());
    }

    /// Deletes the file if it is dropped, even if [`StagedFile::create_kept`] made it. A partial file still stays.
    pub fn release(&mut self) {
        if let Backing::Temporary(file) = &mut self.backing {
            file.disable_cleanup(false);
        }
    }

    /// Makes a staged file of a partial file that is complete and verified.
    pub(crate) fn from_partial(partial: PartialFile) -> Self {
        Self::new(Backing::Partial(partial))
    }

    /// Returns the open file, for writing.
    pub fn file_mut(&mut self) -> &mut File {
        self.backing.file_mut()
    }

    /// Returns the path of the file before it is published.
    pub fn path(&self) -> &Path {
        match &self.backing {
            Backing::Temporary(file) => file.path(),
            Backing::Partial(partial) => partial.path(),
        }
    }

    /// Flushes the bytes to the disk. If the file system cannot flush, logs a warning instead of returning an error.
    ///
    /// # Errors
    /// `Io` if the flush, or an earlier flush in the background, failed. Dropping the file then deletes it, also a
    /// partial file.
    pub fn sync(&mut self) -> Result<()> {
        let flushed = self.background_flush.as_mut().map_or(Ok(()), BackgroundFlush::wait);
        let synced = flushed.and_then(|()| sync_file(self.file_mut()));
        synced.map_err(|error| {
            self.delete_on_drop();
            failed_to("flush", self.path())(error)
        })
    }

    /// Deletes the file when it is dropped, because a flush failed. The system reports lost bytes only once: a later
    /// run would find them in the page cache, and its flush would succeed.
    fn delete_on_drop(&mut self) {
        self.release();
        if let Backing::Partial(partial) = &self.backing {
            partial.discard_on_drop();
        }
    }

    /// Renames the file to `path` atomically and returns it. An existing file is replaced.
    ///
    /// The rename is durable only after [`sync_directory`](crate::sync_directory).
    pub fn publish(self, path: &Path) -> Result<File> {
        match self.backing {
            Backing::Temporary(file) => file.persist(path).map_err(|error| error.error),
            Backing::Partial(partial) => partial.publish(path),
        }
        .map_err(failed_to("write", path))
    }

    /// Renames the file to `path` atomically, and returns false if `path` exists.
    pub fn publish_new(self, path: &Path) -> Result<bool> {
        let published = match self.backing {
            // `persist_noclobber` needs hard links or an exclusive rename. A file system such as exFAT refuses both.
            Backing::Temporary(file) => match file.persist_noclobber(path) {
                Ok(_) => Ok(()),
                Err(error) if is_refused(&error.error) => {
                    rename_new(path, || error.file.persist(path).map(drop).map_err(|error| error.error))
                }
                Err(error) => Err(error.error),
            },
            Backing::Partial(partial) => partial.publish_new(path),
        };
        match published {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed_to("write", path)(error)),
        }
    }
}

/// A staged file that is closed between two writes, so that it uses no file descriptor. A server parks the files of
/// uploads that wait for their clients.
#[derive(Debug)]
pub struct ParkedFile {
    path: PathBuf,
    background_flush: Option<BackgroundFlush>,
}

impl ParkedFile {
    /// Opens and locks the file again, positioned at its end.
    ///
    /// # Errors
    /// The errors of [`StagedFile::reopen`]; that of the flush in the background, after which the file is deleted;
    /// `NotFound` if the file does not exist, and `Other` if it does not have `size` bytes.
    pub fn reopen(mut self, size: u64) -> Result<StagedFile> {
        let shown = self.path.display();
        if let Some(background_flush) = &mut self.background_flush {
            // The flush has a duplicate of the closed file, which keeps the lock until the flush ends.
            background_flush.wait().map_err(|error| {
                // As in `StagedFile::sync`, a later flush would succeed although bytes are lost.
                drop(fs::remove_file(&self.path));
                failed_to("flush", &self.path)(error)
            })?;
        }
        let mut staged = StagedFile::reopen(&self.path)?.ok_or_else(|| Error::not_found(&shown))?;
        let end = staged.file_mut().seek(SeekFrom::End(0)).map_err(failed_to("read", &self.path))?;
        // The file was unlocked while it was parked, so another process may have changed it.
        if end != size {
            let message = format!("{shown} has {end} bytes, and {size} were written");
            return Err(Error::new(ErrorKind::Other, message));
        }
        staged.background_flush = self.background_flush;
        Ok(staged)
    }

    /// Deletes the file. Ignores errors.
    pub fn remove(self) {
        // A file that stays is garbage-collected after a day.
        drop(fs::remove_file(&self.path));
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.backing.file_mut();
        let count = file.write(bytes)?;
        if let Some(background_flush) = &mut self.background_flush {
            background_flush.record_write(file, count)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reopens_a_parked_file_while_a_flush_runs() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..3 {
            let mut staged = StagedFile::create_kept(&directory.path().join(round.to_string())).unwrap();
            staged.flush_while_written();
            // Enough for one flush, which a disk does not finish before the file is opened again.
            let bytes = vec![7; 1 << 20];
            for _ in 0..33 {
                staged.write_all(&bytes).unwrap();
            }
            let mut reopened = staged.park().reopen(33 << 20).unwrap();
            reopened.write_all(b"more").unwrap();
            reopened.sync().unwrap();
        }
    }
}
