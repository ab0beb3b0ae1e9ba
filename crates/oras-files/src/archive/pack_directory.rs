//! Packs a directory into a compressed tar in one pass: it is read, compressed on all cores and hashed at the same
//! time.

use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::Result;
use tokio_util::sync::CancellationToken;

use super::compression::Compression;
use super::parallel_compression::{self, BlockWriter, PackedDirectory};
use super::tar_writer;
use crate::title::title_of;

/// The options for packing directories. [`Collection::directories`](crate::Collection::directories) sets them.
///
/// ```
/// use oras_files::{Collection, Compression, DirectoryOptions};
///
/// # fn main() -> oras_files::store::Result<()> {
/// // Zstandard, and no time in the archive is later than 2024.
/// let options = DirectoryOptions::default().compression(Compression::new("zstd", Some(9))?).latest(1_735_689_599);
/// assert_eq!(options.compression, Compression::Zstd(9));
/// let collection = Collection::new().directories(options);
/// # let _ = collection;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// How the tar is compressed.
    pub compression: Compression,
    /// The latest modification time in the archive, in seconds since 1970: `SOURCE_DATE_EPOCH`. Later times are set
    /// to it.
    pub latest: Option<i64>,
}

impl DirectoryOptions {
    oras_store::setters! {
        compression: Compression;
        latest: impl Into<Option<i64>> => latest.into();
    }
}

/// Packs `directory` under the name `title` and passes the compressed bytes to `sink`. Memory is bounded for any size.
///
/// # Errors
/// `Io`; `InvalidContent` if a file changes during the call; the errors of `sink`; an error after `cancel` is
/// cancelled.
pub(crate) fn pack_directory(
    directory: &Path,
    title: &str,
    options: DirectoryOptions,
    cancel: &CancellationToken,
    sink: impl FnMut(Bytes) -> Result<()>,
) -> Result<PackedDirectory> {
    let title = title_of(title);
    let produce = |blocks: &mut BlockWriter| {
        tar_writer::write_tar(directory, &title, options.latest, cancel, blocks)
            .map_err(|error| error.context(format!("failed to pack {}", directory.display())))
    };
    parallel_compression::compress_all(options.compression, parallel_compression::workers(), produce, sink)
}

/// Returns the digest of the uncompressed tar that packing `directory` under the name `title` would give.
///
/// # Errors
/// `Io`; an error if the tar has more than `max_size` bytes, or after `cancel` is cancelled.
pub(crate) fn content_digest(
    directory: &Path,
    title: &str,
    latest: Option<i64>,
    max_size: u64,
    cancel: &CancellationToken,
) -> Result<Digest> {
    let mut hashed = HashWriter { hasher: Hasher::new(Algorithm::Sha256), remaining: max_size };
    tar_writer::write_tar(directory, &title_of(title), latest, cancel, &mut hashed)?;
    Ok(hashed.hasher.finish())
}

/// A writer that hashes everything, up to a size limit.
struct HashWriter {
    hasher: Hasher,
    remaining: u64,
}

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let remaining = self.remaining.checked_sub(bytes.len() as u64);
        self.remaining = remaining.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
