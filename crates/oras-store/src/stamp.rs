//! What tells whether a file is still the one that was looked at.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

/// Identity, length and times of a file, from its metadata: equal stamps mean the same bytes, unless the file was
/// changed within the resolution of its times.
///
/// On Unix the time of the last change of the inode is part of it, which no program can set back. A rename or a hard
/// link made of the file changes that time, too.
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

    /// Whether the file had been left alone for a moment at `time`: a change after that time has other times. Never where
    /// files have no identity, since another file may have the same length and times.
    pub fn is_settled(&self, time: SystemTime) -> bool {
        self.inode != (0, 0) && nanoseconds(time) - self.changed.max(self.modified) > RESOLUTION
    }
}

/// The coarsest resolution of file times that is reckoned with, in nanoseconds.
const RESOLUTION: i128 = 20_000_000;

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}
