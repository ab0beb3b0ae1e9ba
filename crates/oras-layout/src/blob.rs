//! An open blob: a file, or a part of a tar archive.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use oras_spec::Descriptor;
use oras_store::{Error, ErrorKind, Result};

/// The bytes of a blob: a range of an open file.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) file: Arc<File>,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// A function that reads blobs and can be called by several threads at once. Returns `None` for a blob that is
/// missing or does not have the size of its descriptor.
pub(crate) type BlobReader<'a> = dyn Fn(&Descriptor) -> Result<Option<Bytes>> + Sync + 'a;

impl Blob {
    /// Reads the whole blob. Returns `None` without reading if it does not have `size` bytes.
    ///
    /// # Errors
    /// `Io` if the file cannot be read.
    pub(crate) fn bytes(&self, size: u64) -> Result<Option<Bytes>> {
        let Some(length) = usize::try_from(size).ok().filter(|_| self.size == size) else { return Ok(None) };
        let mut bytes = vec![0; length];
        let count = oras_fs::read_at(&self.file, &mut bytes, self.start)
            .map_err(|error| Error::io("failed to read a blob", error))?;
        Ok((count == bytes.len()).then(|| bytes.into()))
    }
}

/// Reads the blob that was `opened`. Returns `None` if it is missing or does not have `size` bytes.
///
/// # Errors
/// `Io`, for example if too many files are open. It is then unknown whether the blob exists.
pub(crate) fn read_opened(opened: Result<Blob>, size: u64) -> Result<Option<Bytes>> {
    match opened {
        Ok(blob) => blob.bytes(size),
        // A path that is not a regular file cannot be the blob, so it counts as missing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidContent) => Ok(None),
        Err(error) => Err(error),
    }
}
