//! The parts of a layout that may be damaged, in a directory or in a tar archive.

use std::path::{Path, PathBuf};

use oras_fs::if_exists;
use oras_spec::Digest;
use oras_spec::layout::{BLOBS_DIR, INDEX_FILE, MARKER_FILE};
use oras_store::{Error, ErrorKind, Result};

use super::stored_blobs::{StoredBlob, StoredBlobs};
use crate::archive::ScannedArchive;
use crate::blob::Blob;
use crate::disk::blobs;
use crate::disk::create_layout::check_layout;
use crate::disk::index_file::read_index;
use crate::index::Index;
use crate::not_found::path_not_found;
use crate::oci_layout_file::{LayoutFault, invalid_layout};

/// The place of a layout. Opening it reads no document, so a damaged layout can be opened, too.
pub(crate) enum LayoutParts {
    Directory(PathBuf),
    Archive(ScannedArchive),
}

impl LayoutParts {
    /// Opens the layout at `path`.
    ///
    /// # Errors
    /// `NotFound`; `InvalidContent` for a directory that has none of the files of a layout, and for a file that is not
    /// a tar archive with at least one of them; `Io`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.try_exists().unwrap_or(true) {
            return Err(path_not_found(path));
        }
        let (parts, is_layout) = if path.is_dir() {
            let is_layout = [MARKER_FILE, INDEX_FILE, BLOBS_DIR].iter().any(|name| path.join(name).exists());
            (Self::Directory(path.to_owned()), is_layout)
        } else {
            let archive = ScannedArchive::open(path.to_owned())?;
            let is_layout = archive.has_parts();
            (Self::Archive(archive), is_layout)
        };
        if is_layout {
            return Ok(parts);
        }
        Err(invalid_layout("failed to open OCI layout file: open oci-layout: no such file or directory")
            .with_detail(LayoutFault::NoMarker))
    }

    /// Returns the directory, or an error that says that an archive cannot be changed.
    ///
    /// # Errors
    /// `Unsupported`.
    pub(crate) fn directory(&self) -> Result<&Path> {
        match self {
            Self::Directory(root) => Ok(root),
            Self::Archive(archive) => {
                let message = format!(
                    "{} is a tar archive, which can only be read: extract it, or copy it into a directory with \"oras cp\" or \"oras restore\"",
                    archive.path().display()
                );
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    /// Checks the file `oci-layout`.
    ///
    /// # Errors
    /// `InvalidContent` if it is missing or names another version.
    pub(crate) fn check_marker(&self) -> Result<()> {
        match self {
            Self::Directory(root) => check_layout(root),
            Self::Archive(archive) => archive.check_marker(),
        }
    }

    /// Reads the index. A directory without blobs needs none: a writer that was killed early leaves such a layout.
    ///
    /// # Errors
    /// `InvalidContent` if it is malformed or missing; `TooLarge`; `Io`.
    pub(crate) fn index(&self, stored: &StoredBlobs) -> Result<Index> {
        match self {
            Self::Directory(root) => {
                let is_missing = if_exists(std::fs::symlink_metadata(root.join(INDEX_FILE)));
                if is_missing.is_ok_and(|found| found.is_none()) && !stored.blobs.is_empty() {
                    let message = "there is no index.json, but there are blobs";
                    return Err(
                        Error::new(ErrorKind::InvalidContent, message).with_detail(LayoutFault::NoIndex)
                    );
                }
                read_index(root)
            }
            Self::Archive(archive) => archive.index(),
        }
    }

    /// Lists the blobs.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn stored_blobs(&self) -> Result<StoredBlobs> {
        match self {
            Self::Directory(root) => StoredBlobs::list(root),
            Self::Archive(archive) => {
                let blobs = archive
                    .blobs()
                    .map(|(digest, size, is_file)| (digest.clone(), StoredBlob { size, is_file }));
                Ok(StoredBlobs { blobs: blobs.collect(), ..StoredBlobs::default() })
            }
        }
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// `NotFound`, `InvalidContent`, `DigestMismatch` for a link to other content, `Io`.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<Blob> {
        match self {
            Self::Directory(root) => blobs::open(root, digest),
            Self::Archive(archive) => archive.open_blob(digest),
        }
    }
}
