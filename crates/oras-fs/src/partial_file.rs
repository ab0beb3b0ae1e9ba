//! Partial files: the first bytes of large content, which a later run resumes.
//!
//! A partial file is named by the digest of the complete content. Its bytes are not trusted: a resumed transfer
//! hashes them and verifies the complete content.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use oras_spec::Digest;

use crate::background_flush::BackgroundFlush;
use crate::chunk_size::CHUNK;
use crate::completed_file::CompletedFile;
use crate::durability::Durability;
use crate::io_error::is_refused;
use crate::partial_dir::{ClaimedName, PartialDir};
use crate::read::fill;
use crate::rename_new::rename_new;
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

/// A file with the first bytes of some content, which only this value writes.
///
/// If it is dropped, the file stays, unless it is shorter than 1 MiB.
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
        Self::claim_digest(parent, path, &content.descriptor().digest)
    }

    /// Opens or creates the partial file for the content of `digest` in the directory at `path`.
    pub(crate) fn claim_in(path: &Path, digest: &Digest) -> Option<Self> {
        Self::claim_digest(&File::open(path).ok()?, path, digest)
    }

    fn claim_digest(parent: &File, path: &Path, digest: &Digest) -> Option<Self> {
        let partial_dir = PartialDir::open(parent, path)?;
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

    /// Returns a writer that appends at the position of the file.
    pub(crate) fn writer(&self, durability: Durability) -> Result<PartialFileWriter> {
        // The duplicate shares the position of the file, so the writer appends after the bytes that `rehash` read.
        let file = self
            .file
            .try_clone()
            .map_err(|error| Error::io(format!("failed to open {}", self.path().display()), error))?;
        let background_flush = (durability == Durability::Synced).then(BackgroundFlush::default);
        Ok(PartialFileWriter { file, background_flush, claimed: Arc::clone(&self.claimed) })
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
        let truncated = truncated.and_then(|()| (&self.file).seek(SeekFrom::Start(0)));
        truncated
            .map(drop)
            .map_err(|error| Error::io(format!("failed to write {}", self.path().display()), error))
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
        CompletedFile::new(self.claimed)
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
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
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

/// A writer of a partial file. No other writer can claim the file before this writer is dropped.
pub(crate) struct PartialFileWriter {
    file: File,
    /// Present if the file is flushed when it is complete.
    background_flush: Option<BackgroundFlush>,
    claimed: Arc<ClaimedName>,
}

impl PartialFileWriter {
    /// Waits for the flush in the background.
    ///
    /// # Errors
    /// `Io` if the flush failed.
    pub(crate) fn finish_flush(mut self) -> Result<()> {
        let flushed = self.background_flush.as_mut().map_or(Ok(()), BackgroundFlush::wait);
        flushed
            .map_err(|error| Error::io(format!("failed to flush {}", self.claimed.path().display()), error))
    }
}

impl Write for PartialFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if let Some(background_flush) = &mut self.background_flush {
            background_flush.record_write(&self.file, count)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
