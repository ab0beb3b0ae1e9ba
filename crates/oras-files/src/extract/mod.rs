//! Reads a compressed tar archive and writes its entries below a directory. No entry can write outside of that
//! directory.

mod decompress;
mod directory_attributes;
mod entry_path;
mod entry_writer;
mod extract_archive;
mod pax_records;
mod read_ahead;
mod symlinks;
mod tar_reader;
mod unpack_limits;

pub(crate) use self::directory_attributes::DirectoryAttributes;
pub(crate) use self::entry_writer::ExtractOptions;
pub(crate) use self::extract_archive::extract_archive;
pub(crate) use self::read_ahead::ReadAhead;
pub use self::unpack_limits::{LimitExceeded, UnpackLimits};
