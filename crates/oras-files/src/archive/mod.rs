//! A directory as a compressed tar, in one pass: walked, compressed on all cores and hashed both ways as it is handed on.

mod compression;
mod header;
mod pipeline;
mod tree;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::Result;

pub use self::compression::Compression;
pub(crate) use self::pipeline::Packed;
use crate::title::title_of;

/// How directories are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// How the tar is compressed.
    pub compression: Compression,
    /// Seconds since 1970 that no modification time in the archive is after: `SOURCE_DATE_EPOCH`.
    pub latest: Option<i64>,
}

/// Packs `directory` under the name `title`, and hands the compressed bytes to `sink`: one pass, memory bounded
/// whatever the size. Ends early, with an error nobody sees, when `cancelled` is set.
pub(crate) fn pack(
    directory: &Path,
    title: &str,
    options: DirectoryOptions,
    cancelled: &AtomicBool,
    sink: impl FnMut(Bytes) -> Result<()>,
) -> Result<Packed> {
    let title = title_of(title);
    let produce = |blocks: &mut pipeline::Blocks| {
        tree::write(directory, &title, options.latest, cancelled, blocks)
            .map_err(|error| error.context(format!("failed to pack {}", directory.display())))
    };
    pipeline::run(options.compression, pipeline::workers(), produce, sink)
}

/// The digest of the tar that packing `directory` under the name `title` would compress.
///
/// # Errors
/// Those of reading; a tar of more than `most` bytes; `cancelled`.
pub(crate) fn content_digest(
    directory: &Path,
    title: &str,
    latest: Option<i64>,
    most: u64,
    cancelled: &AtomicBool,
) -> Result<Digest> {
    let mut hashed = Hashed { hasher: Hasher::new(Algorithm::Sha256), left: most };
    tree::write(directory, &title_of(title), latest, cancelled, &mut hashed)?;
    Ok(hashed.hasher.finish())
}

/// Hashes what is written to it, up to a limit.
struct Hashed {
    hasher: Hasher,
    left: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
