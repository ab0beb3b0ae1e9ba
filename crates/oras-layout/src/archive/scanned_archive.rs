//! An open tar archive whose entries are known, but whose documents were not read yet.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_fs::failed_to;
use oras_spec::Digest;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE};
use oras_store::{Error, ErrorKind, Result};

use super::archived_blob::ArchivedBlob;
use super::tar_scan::{self, ArchiveContents, EntryRange, NotTar};
use crate::blob::Blob;
use crate::disk::blobs;
use crate::index::Index;
use crate::not_found::{path_not_found, reference_not_found};
use crate::oci_layout_file::{LayoutFault, check_version, invalid_layout};
use crate::size_limits::{self, MAX_INDEX_SIZE, MAX_MARKER_SIZE};

/// A tar archive with the positions of the files of a layout.
#[derive(Debug)]
pub(crate) struct ScannedArchive {
    path: PathBuf,
    file: Arc<File>,
    contents: ArchiveContents,
}

impl ScannedArchive {
    /// Opens the archive and reads every header.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` with [`NotTar`] among the sources; `Unsupported` for sparse entries; `Io`.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => path_not_found(&path),
            _ => failed_to("open", &path)(error),
        };
        // Checked before opening, because opening a pipe would wait for its writer.
        if !fs::metadata(&path).map_err(failed)?.is_file() {
            return Err(Error::new(ErrorKind::InvalidContent, format!("{} is not a file", path.display())));
        }
        let file = File::open(&path).map_err(failed)?;
        let contents = tar_scan::scan(&file).map_err(|error| {
            let message = format!("{:?} does not look like a tar archive", path.display().to_string());
            if error.find::<NotTar>().is_some() { error.context(message) } else { error }
        })?;
        Ok(Self { path, file: Arc::new(file), contents })
    }

    /// Returns the path of the archive.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the archive has at least one file of a layout.
    pub(crate) fn has_parts(&self) -> bool {
        let ArchiveContents { marker, index, blobs } = &self.contents;
        marker.is_some() || index.is_some() || !blobs.is_empty()
    }

    /// Checks the file `oci-layout`.
    ///
    /// # Errors
    /// `InvalidContent`; `TooLarge`; `Io`.
    pub(crate) fn check_marker(&self) -> Result<()> {
        let entry = self.contents.marker.ok_or_else(|| {
            invalid_layout(&format!("failed to open OCI layout file: {}", no_such_file(MARKER_FILE)))
                .with_detail(LayoutFault::NoMarker)
        })?;
        check_version(&read_entry(&self.file, MARKER_FILE, entry, MAX_MARKER_SIZE)?)
    }

    /// Reads the index.
    ///
    /// # Errors
    /// `InvalidContent`; `TooLarge`; `Io`.
    pub(crate) fn index(&self) -> Result<Index> {
        let entry = self.contents.index.ok_or_else(|| {
            let message =
                format!("invalid OCI Image Index: failed to open index file: {}", no_such_file(INDEX_FILE));
            Error::new(ErrorKind::InvalidContent, message).with_detail(LayoutFault::NoIndex)
        })?;
        Index::parse(read_entry(&self.file, INDEX_FILE, entry, MAX_INDEX_SIZE)?)
    }

    /// Returns the digest and size of each blob, and whether it is a file.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (&Digest, u64, bool)> {
        self.contents.blobs.iter().map(|(digest, entry)| (digest, entry.size, entry.is_file))
    }

    /// Returns the places of the blobs that are files.
    pub(crate) fn files(&self) -> Vec<ArchivedBlob> {
        let files = self.contents.blobs.iter().filter(|(_, entry)| entry.is_file);
        let place = |(digest, entry): (&Digest, &EntryRange)| ArchivedBlob {
            digest: digest.clone(),
            size: entry.size,
            offset: entry.start,
        };
        files.map(place).collect()
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` if it is not a file.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<Blob> {
        let entry = self.contents.blobs.get(digest);
        let entry = *entry.ok_or_else(|| reference_not_found(&self.path, &digest.to_string()))?;
        check_is_file(&blobs::path(Path::new(""), digest).display().to_string(), entry)?;
        Ok(Blob { file: Arc::clone(&self.file), start: entry.start, size: entry.size })
    }
}

fn no_such_file(name: &str) -> String {
    format!("open {name}: file does not exist")
}

/// Reads all bytes of an entry.
///
/// # Errors
/// `InvalidContent` if it is not a file; `TooLarge`; `Io`.
fn read_entry(file: &File, name: &str, entry: EntryRange, limit: u64) -> Result<Vec<u8>> {
    check_is_file(name, entry)?;
    if entry.size > limit {
        return Err(size_limits::too_large(name, entry.size, limit));
    }
    // The size is at most `limit` here, so a false size cannot reserve much memory.
    let mut bytes = vec![0; usize::try_from(entry.size).unwrap_or_default()];
    let count = oras_fs::read_at(file, &mut bytes, entry.start).map_err(failed_to("read", name))?;
    bytes.truncate(count);
    Ok(bytes)
}

fn check_is_file(name: &str, entry: EntryRange) -> Result<()> {
    if entry.is_file {
        return Ok(());
    }
    let message = format!("{name} is not a file in the archive: links are not followed");
    Err(Error::new(ErrorKind::InvalidContent, message))
}
