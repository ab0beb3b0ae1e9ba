//! The files of a layout directory. All functions here take paths and block the thread.

pub(crate) mod blobs;
pub(crate) mod create_layout;
pub(crate) mod file_digest;
#[cfg(unix)]
pub(crate) mod flat_index;
pub(crate) mod index_file;
pub(crate) mod index_writer;
pub(crate) mod layout_lock;
#[cfg(unix)]
pub(crate) mod link_blob;
pub(crate) mod write_blobs;
