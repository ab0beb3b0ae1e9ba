//! The bytes of an archive in order, to a file that a later run resumes or to any writer.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use oras_fs::{CHUNK, StagedFile, failed_to, fill, parent_directory};
use oras_store::{Error, ErrorKind, Result, Verifier};

/// The start of the name of a partial archive. The rest is the name of the archive.
const PARTIAL_PREFIX: &str = ".oras-partial-";
/// A shorter partial file is deleted: fetching its content again takes no time.
const MIN_KEPT_SIZE: u64 = 1 << 20;

/// The bytes of an archive, written from its start to its end.
///
/// The partial file of an earlier run is compared with the bytes of this run, and resumed where it ends. Content
/// is hashed again, because nothing else proves that the bytes on the disk are right.
#[derive(Debug)]
pub(super) struct StreamOutput {
    sink: Sink,
    /// The number of bytes that are written or found.
    position: u64,
    /// The length of the partial file. Bytes before it exist.
    existing: u64,
}

enum Sink {
    File { staged: StagedFile, path: PathBuf },
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

impl StreamOutput {
    /// Opens the partial file of the archive at `given`, creating it if it does not exist.
    ///
    /// # Errors
    /// `AlreadyExists` if the path is not a file, or if another process writes the archive; `Io`.
    pub(super) fn create(given: &Path) -> Result<Self> {
        // A link is resolved here, because the rename at the end would replace the link itself.
        let path = given.canonicalize().unwrap_or_else(|_| given.to_owned());
        if let Ok(metadata) = path.metadata()
            && !metadata.is_file()
        {
            let what = if metadata.is_dir() { "a directory" } else { "not a file" };
            let message =
                format!("the output path {:?} already exists and is {what}", given.display().to_string());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = parent_directory(&path).join(format!("{PARTIAL_PREFIX}{name}"));
        let (mut staged, existing) = match StagedFile::reopen(&partial)? {
            Some(mut staged) => {
                let length = staged.file_mut().metadata().map_err(failed_to("read", &partial))?.len();
                (staged, length)
            }
            None => (StagedFile::create_kept(&partial)?, 0),
        };
        staged.flush_while_written();
        Ok(Self { sink: Sink::File { staged, path }, position: 0, existing })
    }

    pub(super) fn to_writer(writer: Box<dyn Write + Send>) -> Self {
        Self { sink: Sink::Writer(writer), position: 0, existing: 0 }
    }

    /// Returns the number of bytes before the next one.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns true if the partial file has bytes after the position.
    pub(super) fn is_resuming(&self) -> bool {
        self.position < self.existing
    }

    /// Returns true if the partial file continues with `bytes` or with a beginning of them. Moves nothing.
    pub(super) fn continues_with(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut found = vec![0; bytes.len()];
        let count = self.read_existing(self.position, &mut found)?;
        Ok(count > 0 && found[..count] == bytes[..count])
    }

    /// Writes `bytes`, or finds them in the partial file. Other bytes there, and all after them, are deleted.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if self.is_resuming() && !bytes.is_empty() {
            if self.continues_with(bytes)? {
                let found = (self.existing - self.position).min(bytes.len() as u64);
                self.position += found;
                rest = &bytes[usize::try_from(found).unwrap_or(bytes.len())..];
            } else {
                self.truncate(self.position)?;
            }
        }
        self.write_new(rest)
    }

    fn write_new(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.sink {
            Sink::File { staged, .. } => {
                staged.file_mut().seek(SeekFrom::Start(self.position))?;
                staged.write_all(bytes)?;
            }
            Sink::Writer(writer) => writer.write_all(bytes)?,
        }
        self.position += bytes.len() as u64;
        self.existing = self.existing.max(self.position);
        Ok(())
    }

    /// Hashes the bytes of a blob of `size` bytes that the partial file has from the position on. Returns their number.
    pub(super) fn hash_existing(&mut self, verifier: &mut Verifier, size: u64) -> Result<u64> {
        let failed = |error| Error::io("failed to read the partial archive", error);
        let count = self.existing.saturating_sub(self.position).min(size);
        let end = self.position + count;
        let mut buffer = vec![0; 4 * CHUNK];
        while self.position < end {
            let wanted = usize::try_from(end - self.position).map_or(buffer.len(), |n| n.min(buffer.len()));
            let read = self.read_existing(self.position, &mut buffer[..wanted]).map_err(failed)?;
            if read == 0 {
                return Err(Error::new(ErrorKind::Io, "the partial archive became shorter"));
            }
            verifier.update(&buffer[..read])?;
            self.position += read as u64;
        }
        Ok(count)
    }

    fn read_existing(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let Sink::File { staged, .. } = &mut self.sink else { return Ok(0) };
        let file = staged.file_mut();
        file.seek(SeekFrom::Start(at))?;
        fill(buffer, |unfilled, _| file.read(unfilled))
    }

    /// Deletes the bytes from `position` on, and continues there.
    ///
    /// # Errors
    /// `Unsupported` for a writer that already got the bytes.
    pub(super) fn truncate(&mut self, position: u64) -> io::Result<()> {
        match &mut self.sink {
            Sink::File { staged, .. } => staged.file_mut().set_len(position)?,
            Sink::Writer(_) if position < self.position => return Err(io::ErrorKind::Unsupported.into()),
            Sink::Writer(_) => {}
        }
        (self.position, self.existing) = (position, position);
        Ok(())
    }

    /// Moves the position back to `position`, which an earlier call returned. The bytes after it exist.
    pub(super) fn rewind(&mut self, position: u64) {
        self.position = self.position.min(position);
    }

    /// Moves the position after `count` bytes, or to the end of the existing bytes. Returns the position.
    pub(super) fn skip(&mut self, count: u64) -> u64 {
        self.position = (self.position + count).min(self.existing);
        self.position
    }

    /// Deletes the existing bytes after the position.
    pub(super) fn truncate_existing(&mut self) -> io::Result<()> {
        if self.is_resuming() { self.truncate(self.position) } else { Ok(()) }
    }

    /// Flushes the archive and publishes it. Returns its size.
    pub(super) fn finish(mut self) -> Result<u64> {
        let failed = |error| Error::io("failed to write the archive", error);
        self.truncate_existing().map_err(failed)?;
        match std::mem::replace(&mut self.sink, Sink::Writer(Box::new(io::sink()))) {
            Sink::File { mut staged, path } => {
                // Flushed before the rename, so that after a power failure the path has the old or the new file.
                staged.sync()?;
                staged.publish(&path)?;
                oras_fs::sync_directory(parent_directory(&path))?;
            }
            Sink::Writer(mut writer) => writer.flush().map_err(failed)?,
        }
        Ok(self.position)
    }
}

impl Drop for StreamOutput {
    fn drop(&mut self) {
        if let Sink::File { staged, .. } = &mut self.sink
            && self.existing < MIN_KEPT_SIZE
        {
            staged.release();
        }
    }
}
