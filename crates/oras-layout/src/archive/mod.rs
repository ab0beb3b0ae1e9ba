//! A layout in a tar archive: reads one in place, and writes one while its content arrives.

mod archive_reader;
mod archive_writer;
mod tar_header;
mod tar_output;
mod tar_scan;

pub use self::archive_reader::Archive;
pub use self::archive_writer::ArchiveWriter;
pub use self::tar_scan::NotTar;
