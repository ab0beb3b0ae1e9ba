//! The file of an in-progress upload: created, reopened and closed, and hashed while it is written.

use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oras_fs::{ParkedFile, StagedFile};
use oras_spec::{Algorithm, Digest, Hasher, Manifest, MediaType};
use oras_store::{Error, ErrorKind, Result};

use crate::created_directories::CreatedDirectories;
use crate::size_limits::MAX_STORED_MANIFEST;

/// The file name prefix of uploads that can be resumed after a restart. Like all staged files, they are deleted if no
/// process writes to them for a day.
const PREFIX: &str = ".oras-upload-";
/// The maximum length of the name of an upload.
const MAX_NAME_LENGTH: usize = 128;
/// The maximum number of attempts to create a directory that another process may delete while it is empty.
const CREATE_ATTEMPTS: usize = 4;

/// A staged file with the hash of its content.
pub(crate) struct UploadFile {
    file: ParkableFile,
    algorithm: Algorithm,
    hasher: Hasher,
    /// Whether the file has bytes of an earlier run, which were not hashed yet.
    is_hash_behind: bool,
}

/// A staged file that can be closed while it is not written.
struct ParkableFile {
    open: Option<StagedFile>,
    parked: Option<ParkedFile>,
}

/// Returns the path for the upload of that name.
///
/// # Errors
/// `InvalidInput` for an invalid name.
pub(crate) fn upload_path(root: &Path, name: &str) -> Result<PathBuf> {
    let is_valid = !name.is_empty()
        && name.len() <= MAX_NAME_LENGTH
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_valid {
        return Ok(root.join(format!("{PREFIX}{name}")));
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("nothing that is written can be named {name:?}")))
}

impl UploadFile {
    /// Creates a file in `root`, at `path` if that is given, and the directory if it is missing. The layout itself is
    /// not created before an upload is complete.
    pub(crate) fn create(
        root: &Path,
        path: Option<&Path>,
        algorithm: Algorithm,
    ) -> Result<(Self, CreatedDirectories)> {
        let mut attempts = CREATE_ATTEMPTS;
        loop {
            let directories = CreatedDirectories::create(root)?;
            let staged = match path {
                Some(path) => StagedFile::create_kept(path),
                None => StagedFile::create(root),
            };
            attempts -= 1;
            match staged {
                Ok(mut staged) => {
                    staged.flush_while_written();
                    return Ok((Self::new(staged, algorithm, false), directories));
                }
                // Another upload had created the directory, and deleted it when it was aborted.
                Err(_) if attempts > 0 && !root.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the file of an earlier run. Returns it with its size, or `None` if there is none.
    pub(crate) fn reopen(path: &Path, algorithm: Algorithm) -> Result<Option<(Self, u64)>> {
        let Some(mut staged) = StagedFile::reopen(path)? else { return Ok(None) };
        let size = staged.file_mut().seek(SeekFrom::End(0)).map_err(write_failed)?;
        staged.flush_while_written();
        Ok(Some((Self::new(staged, algorithm, size > 0), size)))
    }

    fn new(staged: StagedFile, algorithm: Algorithm, is_hash_behind: bool) -> Self {
        let file = ParkableFile { open: Some(staged), parked: None };
        Self { file, algorithm, hasher: Hasher::new(algorithm), is_hash_behind }
    }

    /// Returns the path of the file; `None` after it failed to open.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file
            .open
            .as_ref()
            .map(StagedFile::path)
            .or_else(|| self.file.parked.as_ref().map(ParkedFile::path))
    }

    /// Closes the file until the next write. Idle uploads would otherwise use up the open files of the process.
    pub(crate) fn park(&mut self) {
        if let Some(staged) = self.file.open.take() {
            self.file.parked = Some(staged.park());
        }
    }

    /// Appends `chunks` to the file, which has `size` bytes. After an error, dropping this value deletes the file,
    /// because the disk may be full. May block.
    pub(crate) fn append(&mut self, size: u64, chunks: &[Bytes]) -> Result<()> {
        let staged = self.file.open(size)?;
        let appended =
            hash_earlier_bytes(staged, &mut self.hasher, &mut self.is_hash_behind).and_then(|()| {
                chunks.iter().try_for_each(|chunk| {
                    staged.write_all(chunk).map_err(write_failed)?;
                    self.hasher.update(chunk);
                    Ok(())
                })
            });
        if appended.is_err() {
            staged.release();
        }
        appended
    }

    /// Returns the complete file of `size` bytes, and its digest. The digest has the algorithm of `expected`, or that
    /// of the upload without `expected`. The file is deleted if the returned value is dropped, because the upload
    /// cannot be resumed. May block.
    pub(crate) fn finish(mut self, size: u64, expected: Option<&Digest>) -> Result<(StagedFile, Digest)> {
        let staged = self.file.open(size)?;
        staged.release();
        // The expected digest may have another algorithm than the upload began with. Then all bytes are hashed again.
        let digest = match expected.and_then(Digest::algorithm) {
            Some(other) if other != self.algorithm => {
                let mut hasher = Hasher::new(other);
                hash_all(staged, &mut hasher)?;
                hasher.finish()
            }
            _ => {
                hash_earlier_bytes(staged, &mut self.hasher, &mut self.is_hash_behind)?;
                self.hasher.finish()
            }
        };
        let staged = self.file.open.take().ok_or_else(earlier_write_failed)?;
        Ok((staged, digest))
    }

    /// Deletes the file.
    pub(crate) fn delete(self) {
        if let Some(mut staged) = self.file.open {
            staged.release();
        }
        if let Some(parked) = self.file.parked {
            parked.remove();
        }
    }
}

impl ParkableFile {
    /// Opens the file if it is parked. It must have `size` bytes.
    fn open(&mut self, size: u64) -> Result<&mut StagedFile> {
        if let Some(parked) = self.parked.take() {
            self.open = Some(parked.reopen(size)?);
        }
        self.open.as_mut().ok_or_else(earlier_write_failed)
    }
}

/// Rejects staged bytes that are not a manifest of the media type.
pub(crate) fn check_manifest(staged: &mut StagedFile, media_type: &MediaType) -> Result<()> {
    let mut bytes = Vec::new();
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(write_failed)?;
    // A larger manifest is cut off here and then fails to parse.
    file.take(MAX_STORED_MANIFEST).read_to_end(&mut bytes).map_err(write_failed)?;
    Manifest::parse(media_type, bytes.into())?;
    Ok(())
}

pub(crate) fn write_failed(error: std::io::Error) -> Error {
    Error::io("failed to write a blob", error)
}

pub(crate) fn earlier_write_failed() -> Error {
    Error::new(ErrorKind::Other, "an earlier write of this content failed")
}

/// Hashes the bytes that an earlier run wrote, if that was not done yet, and seeks to the end of the file.
fn hash_earlier_bytes(staged: &mut StagedFile, hasher: &mut Hasher, is_behind: &mut bool) -> Result<()> {
    if std::mem::take(is_behind) {
        hash_all(staged, hasher)?;
        staged.file_mut().seek(SeekFrom::End(0)).map_err(write_failed)?;
    }
    Ok(())
}

fn hash_all(staged: &mut StagedFile, hasher: &mut Hasher) -> Result<()> {
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(write_failed)?;
    let is_complete = oras_fs::read_through(&*file, |piece| {
        hasher.update(piece);
        ControlFlow::Continue(())
    });
    is_complete.map(drop).map_err(write_failed)
}
