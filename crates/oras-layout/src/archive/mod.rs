//! A layout in a tar archive: reads one in place, and writes one while its content arrives.

mod archive_reader;
mod archive_stream;
mod archive_writer;
mod archived_blob;
mod scanned_archive;
mod stream_output;
mod tar_header;
mod tar_output;
mod tar_scan;

pub use self::archive_reader::Archive;
pub use self::archive_stream::ArchiveStream;
pub use self::archive_writer::ArchiveWriter;
pub use self::archived_blob::ArchivedBlob;
pub(crate) use self::scanned_archive::ScannedArchive;
pub use self::tar_scan::NotTar;
