//! The estimated size of a cache, in a file beside the blobs.
//!
//! The file has the size of all blobs and the time when they were last counted. Every count corrects the estimate, so
//! the file is never flushed: if it is lost, the blobs are counted again.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oras_fs::{StagedFile, failed_to};
use oras_store::Result;

const SIZE_FILE: &str = "cache-size";
/// The maximum size of that file in bytes: more than two numbers need.
const MAX_FILE_SIZE: u64 = 64;
/// The time until the next attempt to evict blobs if the last one did not free enough space.
const EVICTION_PAUSE: Duration = Duration::from_secs(60);
/// A write counts the blobs if they were not counted for this time, because some writers do not update the size.
const COUNT_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The estimated size of all blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CacheSize {
    pub(super) bytes: u64,
    /// When the blobs were last counted, in seconds since 1970; 0 for never.
    pub(super) counted: u64,
}

impl CacheSize {
    /// Reads the estimate. Without a valid file, both numbers are 0, which means that the blobs were never counted.
    pub(super) fn read(root: &Path) -> Self {
        Self::read_file(&root.join(SIZE_FILE)).unwrap_or(Self { bytes: 0, counted: 0 })
    }

    fn read_file(path: &Path) -> Option<Self> {
        // Checked before opening: a link may point to any file, and opening a pipe would wait for its writer.
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() > MAX_FILE_SIZE {
            return None;
        }
        let text = fs::read_to_string(path).ok()?;
        let (bytes, counted) = text.trim_end().split_once(' ')?;
        Some(Self { bytes: bytes.parse().ok()?, counted: counted.parse().ok()? })
    }

    /// Replaces the file.
    pub(super) fn write(self, root: &Path) -> Result<()> {
        let mut staged = StagedFile::create(root)?;
        let path = root.join(SIZE_FILE);
        writeln!(staged, "{} {}", self.bytes, self.counted).map_err(failed_to("write", &path))?;
        staged.publish(&path).map(drop)
    }

    /// Returns the size after adding `bytes`, and whether the blobs must be counted now. In that case the returned size
    /// already has the new time, so that no other process counts them, too.
    pub(super) fn plus(self, bytes: u64, limit: u64, now: SystemTime) -> (Self, bool) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (before, bytes) = (self.bytes, self.bytes.saturating_add(bytes));
        let is_count_due = match now.checked_sub(self.counted) {
            // The cache was already too large: another process is evicting, or could not free enough.
            Some(age) if before > limit => age >= EVICTION_PAUSE.as_secs(),
            Some(age) => bytes > limit || age >= COUNT_INTERVAL.as_secs(),
            // The last count is in the future, so the clock was changed.
            None => true,
        };
        (Self { bytes, counted: if is_count_due { now } else { self.counted } }, is_count_due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn is_counted_when_it_may_be_too_large_and_once_a_day() {
        const HOUR: u64 = 3600;
        let size = CacheSize { bytes: 90, counted: 1_000_000 };
        for (bytes, later, due) in
            [(10, HOUR, false), (11, 0, true), (0, 24 * HOUR, true), (0, 24 * HOUR - 1, false)]
        {
            let now = at(1_000_000 + later);
            let (after, counts) = size.plus(bytes, 100, now);
            assert_eq!((after.bytes, counts), (90 + bytes, due), "{bytes} {later}");
            assert_eq!(after.counted, if due { 1_000_000 + later } else { 1_000_000 });
        }
        assert!(size.plus(0, 100, at(999_999)).1);
        let full = CacheSize { bytes: 101, ..size };
        assert!(!full.plus(5, 100, at(1_000_059)).1);
        assert!(full.plus(5, 100, at(1_000_060)).1);
    }
}
