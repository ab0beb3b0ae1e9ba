//! StagedFile files: written under another name, and given theirs in one step.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::background_flush::BackgroundFlush;
use super::file_lock;
use super::notices::notice;
use super::partial_file::PartialFile;
use oras_store::{Error, ErrorKind, Result};

/// Whether written files are flushed to the disk before they get their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: after a power cut a file is whole or absent. For stores.
    Synced,
    /// Left to the operating system, as tools that write a user's files do.
    Relaxed,
}

/// A verified file that has no name yet: dropped, it is gone.
#[derive(Debug)]
pub struct StagedFile {
    form: StagedForm,
    background_flush: Option<BackgroundFlush>,
}

#[derive(Debug)]
enum StagedForm {
    Temporary(NamedTempFile),
    /// Stays when it is dropped: the next one who wants the same bytes finds them.
    PartialFile(PartialFile),
}

impl StagedForm {
    fn file_mut(&mut self) -> &mut File {
        match self {
            Self::Temporary(file) => file.as_file_mut(),
            Self::PartialFile(partial) => partial.file_mut(),
        }
    }
}

impl StagedFile {
    /// An empty file in `directory`, on the same file system as where it will be published, with the permissions
    /// of any new file (0666 less the umask).
    pub fn create(directory: &Path) -> Result<Self> {
        Self::create_with_mode(directory, 0o666)
    }

    /// Like [`StagedFile::create`], with the permissions `mode` less the umask: 0600 for what holds secrets.
    pub fn create_with_mode(directory: &Path, mode: u32) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".oras-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        #[cfg(not(unix))]
        let _ = mode;
        let file = builder.tempfile_in(directory).map_err(|error| {
            Error::io(format!("failed to create a file in {}", directory.display()), error)
        })?;
        Ok(Self::of(StagedForm::Temporary(file)))
    }

    /// An empty file at `path`, where nothing may be, which stays when this is dropped: [`StagedFile::reopen`] finds it.
    ///
    /// # Errors
    /// `Io`; `AlreadyExists` while another process has it.
    pub fn create_kept(path: &Path) -> Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        Self::kept(
            file.map_err(|error| Error::io(format!("failed to create {}", path.display()), error))?,
            path,
        )
    }

    /// The file that [`StagedFile::create_kept`] made at `path`, with what was written to it; `None` if it is not there.
    ///
    /// # Errors
    /// `Io`; `AlreadyExists` while somebody else has it.
    pub fn reopen(path: &Path) -> Result<Option<Self>> {
        let failed = |error| Error::io(format!("failed to open {}", path.display()), error);
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let staged = Self::kept(File::options().read(true).write(true).open(path).map_err(failed)?, path)?;
        // Whoever had it may have published it meanwhile.
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(Some(staged)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn kept(file: File, path: &Path) -> Result<Self> {
        let failed = |error| Error::io(format!("failed to lock {}", path.display()), error);
        if !file_lock::try_lock(&file).map_err(failed)? {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{} is in use", path.display())));
        }
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(path).map_err(failed)?);
        file.disable_cleanup(true);
        Ok(Self::of(StagedForm::Temporary(file)))
    }

    /// Closes a file that [`StagedFile::create_kept`] made, and unlocks it. [`ParkedFile::reopen`] opens it again.
    pub fn park(self) -> ParkedFile {
        ParkedFile { path: self.path().to_owned(), background_flush: self.background_flush }
    }

    fn of(form: StagedForm) -> Self {
        Self { form, background_flush: None }
    }

    /// From now on what is written to a large file by [`Write`] is flushed while more comes, so that [`StagedFile::sync`] has
    /// little left to do.
    pub fn flush_while_written(&mut self) {
        self.background_flush = Some(BackgroundFlush::default());
    }

    /// Dropped from now on, the file is gone, even one that was made to stay.
    pub fn release(&mut self) {
        if let StagedForm::Temporary(file) = &mut self.form {
            file.disable_cleanup(false);
        }
    }

    /// A partial file that became whole.
    pub(super) fn whole(partial: PartialFile) -> Self {
        Self::of(StagedForm::PartialFile(partial))
    }

    /// The file, for writing.
    pub fn file_mut(&mut self) -> &mut File {
        self.form.file_mut()
    }

    /// Where the bytes are until they are published.
    pub fn path(&self) -> &Path {
        match &self.form {
            StagedForm::Temporary(file) => file.path(),
            StagedForm::PartialFile(partial) => partial.path(),
        }
    }

    /// Writes all of `bytes`.
    pub(super) fn write_whole(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file_mut().write_all(bytes);
        written.map_err(|error| Error::io(format!("failed to write {}", self.path().display()), error))
    }

    /// Flushes the bytes to the disk.
    pub fn sync(&mut self) -> Result<()> {
        let settled = self.background_flush.as_mut().map_or(Ok(()), BackgroundFlush::settle);
        let synced = settled.and_then(|()| self.file_mut().sync_all());
        let synced = match synced {
            Err(error) if is_refused(&error) => {
                notice("the file system cannot flush files: a power cut may lose what was written last");
                Ok(())
            }
            synced => synced,
        };
        synced.map_err(|error| Error::io(format!("failed to flush {}", self.path().display()), error))
    }

    /// Gives the file its name in one step, replacing a file of that name.
    pub fn publish(self, path: &Path) -> Result<File> {
        match self.form {
            StagedForm::Temporary(file) => file.persist(path).map_err(|error| error.error),
            StagedForm::PartialFile(partial) => partial.publish(path),
        }
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))
    }

    /// Gives the file its name in one step unless something has that name; whether it did.
    pub fn publish_new(self, path: &Path) -> Result<bool> {
        let published = match self.form {
            StagedForm::Temporary(file) => match file.persist_noclobber(path) {
                Ok(_) => Ok(()),
                Err(error) if is_refused(&error.error) => {
                    rename_new(path, || error.file.persist(path).map(drop).map_err(|error| error.error))
                }
                Err(error) => Err(error.error),
            },
            StagedForm::PartialFile(partial) => partial.publish_new(path),
        };
        match published {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io(format!("failed to write {}", path.display()), error)),
        }
    }
}

/// Whether the file system refuses a kind of call, such as hard links, rather than failing at it.
pub fn is_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, InvalidInput, PermissionDenied, TooManyLinks, Unsupported};
    matches!(error.kind(), CrossesDevices | InvalidInput | PermissionDenied | TooManyLinks | Unsupported)
}

/// Calls `rename`, which gives a file the name `path`, unless something has that name.
///
/// This is for file systems that have neither hard links nor renames that replace nothing, such as exFAT. A lock on the
/// directory keeps other processes of ours out between the look and the rename.
pub(super) fn rename_new(path: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent)?;
    // Where there are no locks, only the moment after the look is unprotected.
    file_lock::lock(&directory)?;
    match fs::symlink_metadata(path) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => rename(),
        Err(error) => Err(error),
    }
}

/// A file that is closed until it is written again, so that it needs no descriptor.
#[derive(Debug)]
pub struct ParkedFile {
    path: PathBuf,
    background_flush: Option<BackgroundFlush>,
}

impl ParkedFile {
    /// Opens the file again, after its last byte.
    ///
    /// # Errors
    /// Those of [`StagedFile::reopen`]; `NotFound` if it is not there, and `Other` unless it has `size` bytes.
    pub fn reopen(self, size: u64) -> Result<StagedFile> {
        let shown = self.path.display();
        let mut staged =
            StagedFile::reopen(&self.path)?.ok_or_else(|| Error::not_found(shown.to_string()))?;
        let end = staged.file_mut().seek(SeekFrom::End(0));
        let end = end.map_err(|error| Error::io(format!("failed to read {shown}"), error))?;
        if end != size {
            return Err(Error::new(
                ErrorKind::Other,
                format!("{shown} has {end} bytes, and {size} were written"),
            ));
        }
        staged.background_flush = self.background_flush;
        Ok(staged)
    }

    /// Removes the file.
    pub fn remove(self) {
        // Best effort: nobody looks at it within a day, and it is swept then.
        drop(fs::remove_file(&self.path));
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.form.file_mut();
        let count = file.write(bytes)?;
        if let Some(background_flush) = &mut self.background_flush {
            background_flush.wrote(file, count)?;
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
    fn rename_new_replaces_nothing() {
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
