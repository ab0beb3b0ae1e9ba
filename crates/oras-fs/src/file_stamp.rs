//! What shows that a file was changed while it was read.

use std::fs::Metadata;
#[cfg(not(unix))]
use std::time::{SystemTime, UNIX_EPOCH};

/// Identity, length and times of a file, from its metadata.
///
/// Different stamps mean that the file was changed. Equal stamps prove nothing: a write through a memory mapping, a
/// coarse clock or another disk under the same device number leave the metadata equal. Only a digest says which bytes
/// a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// The device and the number of the inode; zeros where there is none.
    pub inode: (u64, u64),
    /// The length in bytes.
    pub length: u64,
    /// Nanoseconds since 1970 of the last change of the bytes.
    pub modified: i128,
    /// Nanoseconds since 1970 of the last change of the inode; as `modified` where there is none.
    pub changed: i128,
}

impl FileStamp {
    /// The stamp of the file with that metadata.
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let nanoseconds =
                |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            Self {
                inode: (metadata.dev(), metadata.ino()),
                length: metadata.len(),
                modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
                changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            }
        }
        #[cfg(not(unix))]
        {
            let modified = metadata.modified().map_or(0, nanoseconds);
            Self { inode: (0, 0), length: metadata.len(), modified, changed: modified }
        }
    }
}

#[cfg(not(unix))]
fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}
