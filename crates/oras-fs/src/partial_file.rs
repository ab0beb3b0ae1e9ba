//! Partial files: the first bytes of large content, which a later run resumes.
//!
//! A partial file is named by the digest of the complete content. Its bytes are not trusted: a resumed transfer
//! hashes them and verifies the complete content.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use crate::partial_dir::{ClaimedName, PartialDir};
use crate::rename_new::rename_new;
use crate::{CHUNK, failed_to, fill, is_refused};
use oras_store::{Content, Error, ErrorKind, Result, Verifier};

/// Smaller content has no partial file and is fetched again.
const MIN_RESUMABLE_SIZE: u64 = 4 << 20;

/// Returns true if a later run can resume an interrupted transfer of `content`.
pub(crate) fn is_resumable(content: &Content) -> bool {
    // Content in memory needs no partial file, because all of its bytes can be written again at once.
    content.descriptor().size >= MIN_RESUMABLE_SIZE
        && content.is_replayable()
        && content.in_memory().is_none()
}

/// A file with the first bytes of some content, which only this value writes. A store writes large content to it, so
/// that a later run resumes an interrupted transfer.
///
/// If it is dropped, the file stays, unless it is shorter than 1 MiB.
///
/// ```
/// use std::fs::File;
/// use std::path::Path;
///
/// use oras_fs::{CompletedFile, Durability, PartialFile, ResumedWrite, failed_to, stage};
/// use oras_store::{Content, Result};
///
/// /// Writes content to the file `name` in a directory, and resumes an earlier attempt.
/// async fn save(content: &Content, directory: &Path, name: &str) -> Result<()> {
///     let handle = File::open(directory).map_err(failed_to("open", directory))?;
///     let Some(partial) = PartialFile::claim(&handle, directory, content) else {
///         // Small content is fetched again.
///         stage(content, directory, Durability::Synced).await?.publish(&directory.join(name))?;
///         return Ok(());
///     };
///     let missing: ResumedWrite = partial.resume(content).await?;
///     let complete: CompletedFile = missing.write(name.to_owned(), Durability::Synced).await?.into_whole();
///     complete.move_to(&handle, Path::new(name)).map_err(failed_to("write", directory))
/// }
/// ```
#[derive(Debug)]
pub struct PartialFile {
    claimed: Arc<ClaimedName>,
    file: File,
}

impl PartialFile {
    /// Opens the partial file for `content` in the directory `parent`, whose path is `path`, or creates it.
    ///
    /// Returns `None` if the content is small or cannot be resumed, or if another writer uses the file or the
    /// directory. The caller then writes the content to a temporary file.
    pub fn claim(parent: &File, path: &Path, content: &Content) -> Option<Self> {
        if !is_resumable(content) {
            return None;
        }
        let partial_dir = PartialDir::open(parent, path)?;
        let digest = &content.descriptor().digest;
        let name = format!("{}-{}", digest.algorithm_name(), digest.encoded());
        let claimed = ClaimedName::claim(partial_dir, name)?;
        match claimed.open_file() {
            Ok(file) => Some(Self { claimed, file }),
            Err(_) => {
                // The name may belong to a link of another user, which must not be deleted.
                claimed.set_moved(true);
                None
            }
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        self.claimed.path()
    }

    pub(crate) fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Returns a second handle of the file for a writer. No other writer can claim the file before it is dropped.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        // Both handles share the position of the file, so the writer appends after the bytes that `rehash` read.
        let file = self.file.try_clone().map_err(failed_to("open", self.path()))?;
        Ok(Self { claimed: Arc::clone(&self.claimed), file })
    }

    /// Hashes the bytes of the file with `verifier`. Returns the verifier and the number of bytes. A file that is
    /// longer than `size` or cannot be read is truncated.
    pub(crate) fn rehash(self, verifier: Verifier, size: u64) -> Result<(Self, Verifier, u64)> {
        let mut updated = verifier.clone();
        match hash_file(&self.file, &mut updated, size) {
            Ok(length) => Ok((self, updated, length)),
            Err(_) => {
                self.truncate()?;
                Ok((self, verifier, 0))
            }
        }
    }

    pub(crate) fn truncate(&self) -> Result<()> {
        // Some FAT drivers cannot change the length of a file, so an empty file is not truncated.
        let truncated = self.file.metadata().and_then(|metadata| match metadata.len() {
            0 => Ok(()),
            _ => self.file.set_len(0),
        });
        truncated.and_then(|()| (&self.file).rewind()).map_err(failed_to("write", self.path()))
    }

    /// Deletes the file when its last writer is dropped.
    pub(crate) fn discard(self) {
        self.discard_on_drop();
    }

    /// Deletes the file when it and its last writer are dropped.
    pub(crate) fn discard_on_drop(&self) {
        self.claimed.discard();
    }

    /// Moves the file to `path` and returns it. An existing file is replaced.
    pub(crate) fn publish(self, path: &Path) -> io::Result<File> {
        self.claimed.rename(None, path)?;
        Ok(self.file)
    }

    /// Moves the file to `path`.
    ///
    /// # Errors
    /// `AlreadyExists` if `path` exists.
    pub(crate) fn publish_new(self, path: &Path) -> io::Result<()> {
        // Unlike a rename, a hard link fails if the new name exists. The old name is deleted afterwards.
        match self.claimed.link(path) {
            Ok(()) => {
                self.discard();
                Ok(())
            }
            Err(error) if is_refused(&error) => rename_new(path, || self.publish(path).map(drop)),
            Err(error) => Err(error),
        }
    }

    /// Closes the file, which is complete and verified.
    pub fn into_whole(self) -> CompletedFile {
        CompletedFile { claimed: self.claimed }
    }
}

/// Hashes all bytes of `file` with `verifier`, and returns their number.
///
/// # Errors
/// `Io`, and `SizeMismatch` if the file is longer than `size`.
fn hash_file(mut file: &File, verifier: &mut Verifier, size: u64) -> Result<u64> {
    let failed = |error| Error::io("failed to read a partial file", error);
    // A file that is too long cannot be the beginning of the content, so it is not hashed.
    if file.metadata().map_err(failed)?.len() > size {
        return Err(Error::new(ErrorKind::SizeMismatch, "the partial file is too long"));
    }
    file.rewind().map_err(failed)?;
    let (mut buffer, mut length) = (vec![0; 4 * CHUNK], 0);
    loop {
        let count = fill(&mut buffer, |unfilled, _| file.read(unfilled)).map_err(failed)?;
        verifier.update(&buffer[..count])?;
        length += count as u64;
        if count < buffer.len() {
            return Ok(length);
        }
    }
}

/// A partial file that is complete and verified, and can be moved to its final path. If it is dropped without a move,
/// it stays for the next run.
#[derive(Clone, Debug)]
pub struct CompletedFile {
    claimed: Arc<ClaimedName>,
}

impl CompletedFile {
    /// Opens the file for reading.
    pub fn open(&self) -> io::Result<File> {
        self.claimed.open_file()
    }

    /// Moves the file to the path `name` in `directory`. An existing file is replaced.
    pub fn move_to(&self, directory: &File, name: &Path) -> io::Result<()> {
        self.claimed.rename(Some(directory), name)
    }

    /// Moves the file back from where [`CompletedFile::move_to`] put it. Ignores errors: the caller is undoing
    /// another error.
    pub fn take_back(&self, directory: &File, name: &Path) {
        self.claimed.rename_back(directory, name);
    }
}
