//! The push side: scans paths, hashes files and packs directories into the nodes of an artifact.

mod collection;
mod directory_stream;
mod node_content;
mod scanned_path;
mod send;
mod source_file;
mod title_claim;

pub use self::collection::{Collection, Prepared};
pub use self::scanned_path::ScannedPath;
