//! Limits on the unpacked size and the number of entries of an archive.

use std::io::{self, Read};

use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::{Error, ErrorKind};
use tokio_util::sync::CancellationToken;

/// The limits for unpacking one archive, so that a small download cannot fill the disk. A program with little space
/// lowers them:
///
/// ```
/// use oras_files::store::Error;
/// use oras_files::{LimitExceeded, PullOptions, UnpackLimits};
///
/// let limits = UnpackLimits::default().size(1 << 30).entries(10_000);
/// let options = PullOptions::default().unpack(limits);
/// assert_eq!(options.unpack.size, 1 << 30);
///
/// /// Returns true if a pull failed because of the limits.
/// fn is_too_large(error: &Error) -> bool {
///     error.find::<LimitExceeded>().is_some()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackLimits {
    /// The maximum size of the uncompressed archive in bytes.
    pub size: u64,
    /// The maximum ratio of the uncompressed to the compressed size.
    pub ratio: u64,
    /// The uncompressed size in bytes up to which the ratio is not checked.
    pub ratio_from: u64,
    /// The maximum number of entries.
    pub entries: u64,
}

impl UnpackLimits {
    oras_store::setters! {
        size: u64;
        ratio: u64;
        ratio_from: u64;
        entries: u64;
    }
}

impl Default for UnpackLimits {
    /// Returns 1 TiB, 2,000,000 entries, and a ratio of 1000 above 1 GiB. gzip shrinks zeros by a factor of 1030, so a
    /// valid disk image that is nearly empty comes close to that ratio.
    fn default() -> Self {
        Self { size: 1 << 40, ratio: 1000, ratio_from: 1 << 30, entries: 2_000_000 }
    }
}

/// The limit of [`UnpackLimits`] that an archive exceeds. [`Error::find`] finds it in the error of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// More than this many bytes.
    #[error("the archive unpacks to more than {0} bytes")]
    Size(u64),
    /// More than this many times the compressed size.
    #[error("the archive unpacks to more than {0} times its size")]
    Ratio(u64),
    /// More than this many entries.
    #[error("the archive has more than {0} entries")]
    Entries(u64),
}

impl From<LimitExceeded> for Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::from_source(ErrorKind::TooLarge, exceeded)
    }
}

/// The limit on the uncompressed bytes of one archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeLimit {
    bytes: u64,
    /// The error for a larger archive.
    exceeded: LimitExceeded,
}

impl UnpackLimits {
    /// Returns the limit for an archive of `packed` compressed bytes.
    pub(super) fn for_archive(&self, packed: u64) -> SizeLimit {
        let by_ratio = packed.saturating_mul(self.ratio).max(self.ratio_from);
        if by_ratio < self.size {
            SizeLimit { bytes: by_ratio, exceeded: LimitExceeded::Ratio(self.ratio) }
        } else {
            SizeLimit { bytes: self.size, exceeded: LimitExceeded::Size(self.size) }
        }
    }
}

/// A reader that hashes everything, and fails above a size limit or after cancellation.
pub(super) struct LimitedReader<R> {
    inner: R,
    hasher: Hasher,
    limit: SizeLimit,
    cancel: CancellationToken,
}

impl<R: Read> LimitedReader<R> {
    pub(super) fn new(inner: R, limit: SizeLimit, cancel: CancellationToken) -> Self {
        Self { inner, hasher: Hasher::new(Algorithm::Sha256), limit, cancel }
    }

    /// Returns the SHA-256 digest of the bytes that were read so far.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Every byte of an archive passes here, so this is the one place that checks for cancellation.
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.inner.read(buffer)?;
        let left = self.limit.bytes.checked_sub(count as u64);
        self.limit.bytes = left.ok_or_else(|| io::Error::other(self.limit.exceeded))?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_ratio_above_its_minimum_size() {
        let limits = UnpackLimits { size: 1000, ratio: 10, ratio_from: 50, entries: 1 };
        let limit = |bytes, exceeded| SizeLimit { bytes, exceeded };
        assert_eq!(limits.for_archive(1), limit(50, LimitExceeded::Ratio(10)));
        assert_eq!(limits.for_archive(20), limit(200, LimitExceeded::Ratio(10)));
        assert_eq!(limits.for_archive(100), limit(1000, LimitExceeded::Size(1000)));
        assert_eq!(limits.for_archive(u64::MAX), limit(1000, LimitExceeded::Size(1000)));
    }
}
