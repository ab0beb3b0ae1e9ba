//! A directory as a compressed tar, in one pass: walked, compressed on all cores and hashed both ways as it is handed on.

mod compression;
mod header;
mod pipeline;
mod tree;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
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
