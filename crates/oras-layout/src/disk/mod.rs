//! The files of a layout directory. Everything here works on paths, and blocks.

pub(crate) mod blobs;
pub(crate) mod directory;
pub(crate) mod file_digest;
pub(crate) mod index_file;
pub(crate) mod index_writer;
#[cfg(unix)]
pub(crate) mod link_blob;
pub(crate) mod write_blobs;
