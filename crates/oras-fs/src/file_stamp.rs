//! Detects that a file changed while it was read.

use std::fs::Metadata;
#[cfg(not(unix))]
use std::time::{SystemTime, UNIX_EPOCH};

/// The identity, length and times of a file, from its metadata. A program compares two stamps to detect that a file
/// changed while it was read.
///
/// Different stamps mean that the file changed. Equal stamps do not prove that it is unchanged: the metadata can stay
/// equal after a write through a memory mapping, with a coarse clock, or if another disk gets the same device number.
/// Only a digest proves which bytes a file has.
///
/// ```
/// use oras_fs::FileStamp;
///
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("hello.txt");
/// # std::io::Write::write_all(&mut std::fs::File::create(&path)?, b"hello world\n")?;
/// let file = std::fs::File::open(&path)?;
/// let before = FileStamp::of(&file.metadata()?);
/// let bytes = std::io::read_to_string(&file)?;
/// assert_eq!(before, FileStamp::of(&file.metadata()?), "the file changed while it was read");
/// assert_eq!(before.length, bytes.len() as u64);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// The device and the inode number; zeros on systems without inodes.
    pub inode: (u64, u64),
    /// The length in bytes.
    pub length: u64,
    /// The time of the last change of the bytes, in nanoseconds since 1970.
    pub modified: i128,
    /// The time of the last change of the inode, in nanoseconds since 1970; equal to `modified` on systems without
    /// inodes.
    pub changed: i128,
}

impl FileStamp {
    /// Makes the stamp of the file with `metadata`.
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let nanoseconds =
                |seconds: i64, fraction: i64| i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
            Self {
                inode: (metadata.dev(), metadata.ino()),
                length: metadata.len(),
                modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
                // A program can set the modification time to an old value, but not the change time.
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
