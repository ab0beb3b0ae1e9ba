//! Staged files: written under another name, and given theirs in one step.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::partial::Partial;
use crate::{Error, Result};

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
pub struct Staged(Form);

#[derive(Debug)]
enum Form {
    Temporary(NamedTempFile),
    /// Stays when it is dropped: the next one who wants the same bytes finds them.
    Partial(Partial),
}

impl Staged {
    /// An empty file in `directory`, on the same file system as where it will be published, with the permissions
    /// of any new file (0666 less the umask).
    pub fn create(directory: &Path) -> Result<Self> {
        Self::create_with_mode(directory, 0o666)
    }

    /// Like [`Staged::create`], with the permissions `mode` less the umask: 0600 for what holds secrets.
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
        Ok(Self(Form::Temporary(file)))
    }

    /// A partial file that became whole.
    pub(super) fn whole(partial: Partial) -> Self {
        Self(Form::Partial(partial))
    }

    /// The file, for writing.
    pub fn file_mut(&mut self) -> &mut File {
        match &mut self.0 {
            Form::Temporary(file) => file.as_file_mut(),
            Form::Partial(partial) => partial.file_mut(),
        }
    }

    /// Where the bytes are until they are published.
    pub fn path(&self) -> &Path {
        match &self.0 {
            Form::Temporary(file) => file.path(),
            Form::Partial(partial) => partial.path(),
        }
    }

    /// Writes all of `bytes`.
    pub(super) fn write_whole(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file_mut().write_all(bytes);
        written.map_err(|error| Error::io(format!("failed to write {}", self.path().display()), error))
    }

    /// Flushes the bytes to the disk.
    pub fn sync(&mut self) -> Result<()> {
        let synced = self.file_mut().sync_all();
        synced.map_err(|error| Error::io(format!("failed to flush {}", self.path().display()), error))
    }

    /// Gives the file its name in one step, replacing a file of that name.
    pub fn publish(self, path: &Path) -> Result<File> {
        match self.0 {
            Form::Temporary(file) => file.persist(path).map_err(|error| error.error),
            Form::Partial(partial) => partial.publish(path),
        }
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))
    }

    /// Gives the file its name in one step unless something has that name; whether it did.
    pub fn publish_new(self, path: &Path) -> Result<bool> {
        let published = match self.0 {
            Form::Temporary(file) => file.persist_noclobber(path).map(drop).map_err(|error| error.error),
            Form::Partial(partial) => partial.publish_new(path),
        };
        match published {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io(format!("failed to write {}", path.display()), error)),
        }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file_mut().flush()
    }
}
