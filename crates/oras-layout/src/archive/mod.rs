//! A layout in a tar archive: reading one in place, and writing one as the content arrives.

mod header;
mod reader;
mod scan;
mod writer;

pub use reader::Archive;
pub use scan::NotTar;
pub use writer::ArchiveWriter;

/// The size of a header, and what entries are padded to.
const BLOCK: u64 = 512;
