//! Writes a directory as a compressed tar archive with reproducible bytes.

mod compression;
mod pack_directory;
mod parallel_compression;
mod tar_header;
mod tar_writer;

pub use self::compression::Compression;
pub use self::pack_directory::DirectoryOptions;
pub(crate) use self::pack_directory::{content_digest, pack_directory};
pub(crate) use self::parallel_compression::PackedDirectory;
