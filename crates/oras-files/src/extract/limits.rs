//! How much an archive may unpack to.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_spec::Hasher;
use oras_store::{Error, Kind};

/// How much one archive may unpack to: a small download must not fill a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackLimits {
    /// The most bytes of the uncompressed archive.
    pub size: u64,
    /// The most bytes of the uncompressed archive for each byte of the compressed one.
    pub ratio: u64,
    /// So many bytes may be there whatever the ratio.
    pub ratio_from: u64,
    /// The most entries.
    pub entries: u64,
}

impl Default for UnpackLimits {
    /// 1 TiB, 2,000,000 entries, and 1000 times the compressed size once that is more than 1 GiB: gzip makes zeros
    /// 1030 times smaller, so an honest disk image that is nearly empty comes close.
    fn default() -> Self {
        Self { size: 1 << 40, ratio: 1000, ratio_from: 1 << 30, entries: 2_000_000 }
    }
}

/// Which of the [`UnpackLimits`] an archive exceeds: found by [`Error::find`] in the error of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// More bytes than this.
    Size(u64),
    /// More than so many times its size.
    Ratio(u64),
    /// More entries than this.
    Entries(u64),
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(limit) => write!(f, "the archive unpacks to more than {limit} bytes"),
            Self::Ratio(limit) => write!(f, "the archive unpacks to more than {limit} times its size"),
            Self::Entries(limit) => write!(f, "the archive has more than {limit} entries"),
        }
    }
}

impl std::error::Error for LimitExceeded {}

impl From<LimitExceeded> for Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::from_source(Kind::TooLarge, exceeded)
    }
}

/// The most bytes that an archive of `packed` bytes may unpack to, and what is said when there are more.
pub(super) fn allowed(limits: &UnpackLimits, packed: u64) -> (u64, LimitExceeded) {
    let by_ratio = packed.saturating_mul(limits.ratio).max(limits.ratio_from);
    if by_ratio < limits.size {
        (by_ratio, LimitExceeded::Ratio(limits.ratio))
    } else {
        (limits.size, LimitExceeded::Size(limits.size))
    }
}

/// Hashes what is read through it, up to a limit, until it is cancelled.
pub(super) struct Bounded<R> {
    inner: R,
    hasher: Hasher,
    left: u64,
    exceeded: LimitExceeded,
    cancelled: Arc<AtomicBool>,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(
        inner: R,
        hasher: Hasher,
        (left, exceeded): (u64, LimitExceeded),
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self { inner, hasher, left, exceeded, cancelled }
    }

    /// What was read so far.
    pub(super) fn hasher(&self) -> &Hasher {
        &self.hasher
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(self.exceeded))?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_counts_above_its_floor() {
        let limits = UnpackLimits { size: 1000, ratio: 10, ratio_from: 50, entries: 1 };
        assert_eq!(allowed(&limits, 1), (50, LimitExceeded::Ratio(10)));
        assert_eq!(allowed(&limits, 20), (200, LimitExceeded::Ratio(10)));
        assert_eq!(allowed(&limits, 100), (1000, LimitExceeded::Size(1000)));
        assert_eq!(allowed(&limits, u64::MAX), (1000, LimitExceeded::Size(1000)));
    }
}
