//! The tar file that an archive writer writes: appends entries, and finishes the archive.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use oras_fs::{StagedFile, failed_to, parent_directory};
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE, Marker};
use oras_spec::{Descriptor, json};
use oras_store::{Error, ErrorKind, Result};
use tokio::sync::OwnedMappedMutexGuard;

use super::tar_header::{self, BLOCK};

/// The permissions of a new file before the umask is applied.
const NEW_FILE: u32 = 0o666;

/// An archive that is being written to a staged file.
#[derive(Debug)]
pub(super) struct TarOutput {
    staged: StagedFile,
    /// The position of the next entry. The bytes after it are from an entry that failed.
    end: u64,
    /// The algorithms that have a directory entry.
    directories: BTreeSet<String>,
}

impl TarOutput {
    /// Creates a staged file beside `given`. Returns it with the final path, in which links are resolved. An existing
    /// file keeps its permissions.
    ///
    /// # Errors
    /// `AlreadyExists` if the path is not a file; `Io`.
    pub(super) fn create(given: &Path) -> Result<(Self, PathBuf)> {
        // A link is resolved here, because the rename at the end would replace the link itself.
        let path = given.canonicalize().unwrap_or_else(|_| given.to_owned());
        let mut mode = NEW_FILE;
        if let Ok(metadata) = path.metadata() {
            if !metadata.is_file() {
                let what = if metadata.is_dir() { "a directory" } else { "not a file" };
                let given = given.display().to_string();
                let message = format!("the output path {given:?} already exists and is {what}");
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            mode = mode_of(&metadata);
        }
        let directory = parent_directory(&path);
        if directory.try_exists().is_ok_and(|exists| !exists) {
            let message = format!("open {}: no such file or directory", given.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
        let mut staged = StagedFile::create_with_mode(directory, mode)?;
        staged.flush_while_written();
        Ok((Self { staged, end: 0, directories: BTreeSet::new() }, path))
    }

    /// Appends headers and content.
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.write_at_end(part)?;
            self.end += part.len() as u64;
        }
        Ok(())
    }

    /// Writes `bytes` after the last entry, over what a failed entry may have left there.
    fn write_at_end(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.staged.file_mut();
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(bytes)
    }

    fn append_file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let padding = [0; BLOCK as usize];
        let padding = &padding[..bytes.len().next_multiple_of(BLOCK as usize) - bytes.len()];
        self.append(&[&tar_header::file(name, bytes.len() as u64, 0o644), bytes, padding])
    }

    /// Returns the headers of the directories that must precede a blob of the algorithm.
    fn directory_headers(&self, algorithm: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.end == 0 {
            bytes.extend(tar_header::directory(&format!("{BLOBS_DIR}/")));
        }
        if let Some(algorithm) = algorithm.filter(|algorithm| !self.directories.contains(*algorithm)) {
            bytes.extend(tar_header::directory(&format!("{BLOBS_DIR}/{algorithm}/")));
        }
        bytes
    }

    /// Appends the index and the `oci-layout` file, flushes the archive and publishes it at `path`. Returns its size.
    pub(super) fn finish(mut self, index: &[u8], path: &Path) -> Result<u64> {
        let failed = failed_to("write", path);
        let directories = self.directory_headers(None);
        self.append(&[&directories]).map_err(failed)?;
        self.append_file(INDEX_FILE, index).map_err(failed)?;
        self.append_file(MARKER_FILE, &json::to_vec(&Marker::default())).map_err(failed)?;
        // Two empty blocks end an archive.
        self.append(&[&[0; 2 * BLOCK as usize]]).map_err(failed)?;
        // A failed blob may have left bytes after the end. The file is truncated only in that case, because some
        // drivers for FAT cannot change the length of a file.
        let file = self.staged.file_mut();
        if file.metadata().map_err(failed)?.len() != self.end {
            file.set_len(self.end).map_err(failed)?;
        }
        // Flushed before the rename, so that after a power failure the path has the old file or the whole archive.
        self.staged.sync()?;
        self.staged.publish(path)?;
        oras_fs::sync_directory(parent_directory(path))?;
        Ok(self.end)
    }
}

/// The lock on an archive that is not finished.
pub(super) type TarOutputGuard = OwnedMappedMutexGuard<Option<TarOutput>, TarOutput>;

/// A blob that is being written to an archive. Before [`BlobEntry::complete`] it is not part of the archive.
pub(super) struct BlobEntry {
    output: TarOutputGuard,
    pub(super) node: Descriptor,
    /// The position after the entry, once its header is written.
    end: Option<u64>,
}

impl BlobEntry {
    pub(super) fn new(output: TarOutputGuard, node: Descriptor) -> Self {
        Self { output, node, end: None }
    }

    /// Writes the header, unless it is written. Returns the position after the entry.
    fn write_header(&mut self) -> io::Result<u64> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let output = &mut *self.output;
        let digest = &self.node.digest;
        let name = format!("{BLOBS_DIR}/{}/{}", digest.algorithm_name(), digest.encoded());
        let mut bytes = output.directory_headers(Some(digest.algorithm_name()));
        bytes.extend(tar_header::file(&name, self.node.size, 0o444));
        output.write_at_end(&bytes)?;
        let size = self.node.size.checked_next_multiple_of(BLOCK);
        let end = size.and_then(|size| output.end.checked_add(bytes.len() as u64)?.checked_add(size));
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.end = Some(end);
        Ok(end)
    }

    /// Writes the padding, and makes the entry part of the archive.
    pub(super) fn complete(&mut self) -> Result<()> {
        let failed = |error| Error::io("failed to write the archive", error);
        let end = self.write_header().map_err(failed)?;
        let output = &mut *self.output;
        let padding = end - output.staged.file_mut().stream_position().map_err(failed)?;
        let zeros = [0; BLOCK as usize];
        let padding = usize::try_from(padding).unwrap_or_default().min(zeros.len());
        output.staged.write_all(&zeros[..padding]).map_err(failed)?;
        output.directories.insert(self.node.digest.algorithm_name().to_owned());
        // The entry becomes part of the archive only here. After an earlier error, the next entry overwrites it.
        output.end = end;
        Ok(())
    }
}

impl Write for BlobEntry {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_header()?;
        self.output.staged.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> u32 {
    NEW_FILE
}
