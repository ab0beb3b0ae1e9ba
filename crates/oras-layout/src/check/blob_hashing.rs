//! Hashes many blobs on all cores.

use std::io;
use std::sync::Arc;

use oras_fs::Mutex;
use oras_spec::{Digest, Hasher};
use oras_store::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use crate::blob::Blob;
use crate::parallel::in_parallel;
use crate::survey::layout_parts::LayoutParts;
use crate::survey::survey_reader::is_exhausted;

/// The number of bytes that are read at once. The piece must stay in the cache of the core between reading and hashing.
/// With 512 KiB of it, copying 4 GiB from the page cache took 0.7 s of CPU time in pieces of up to 128 KiB, and 2.2 s in
/// pieces of 256 KiB; hashing took 2.8 s. Mapping the file would save the copy, but a file that is truncated or a disk
/// that fails would then kill the process.
const PIECE_SIZE: usize = 64 * 1024;
/// Progress is reported after this number of bytes of a blob.
const REPORT_INTERVAL: u64 = 8 << 20;

/// A step of [`check`](crate::check) or [`repair`](crate::repair). A program shows it as a progress bar.
///
/// ```
/// use oras_layout::{CheckOptions, CheckProgress};
///
/// let options = CheckOptions::default().progress(|step: CheckProgress<'_>| {
///     if let CheckProgress::Planned { blobs, bytes } = step {
///         println!("hashing {blobs} blobs with {bytes} bytes");
///     }
/// });
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CheckProgress<'a> {
    /// The blobs that are about to be hashed.
    Planned {
        /// Their number.
        blobs: u64,
        /// The sum of their sizes.
        bytes: u64,
    },
    /// Hashing of a blob with this size begins.
    Started(&'a Digest, u64),
    /// More bytes of a blob were hashed; the number counts from the previous step.
    Hashed(&'a Digest, u64),
    /// A blob with this size was hashed.
    Finished(&'a Digest, u64),
}

/// A function that receives the steps of a check. Several threads call it.
pub(crate) type ProgressFn = Arc<dyn Fn(CheckProgress<'_>) + Send + Sync>;

/// The result of hashing a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BlobState {
    Intact,
    WrongDigest(Digest),
    Unreadable(String),
    /// The blob was removed since it was listed.
    Removed,
}

/// Hashes blobs on all cores. Returns the state of each, in the same order.
///
/// # Errors
/// `Other` if the receiver of `caller` was dropped, which cancels the work; `Io` if the system has no resources.
pub(crate) fn hash_all(
    parts: &LayoutParts,
    blobs: &[(Digest, u64)],
    progress: &ProgressFn,
    caller: &oneshot::Sender<()>,
) -> Result<Vec<BlobState>> {
    let bytes = blobs.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    progress(CheckProgress::Planned { blobs: blobs.len() as u64, bytes });
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(blobs.len()).max(1);
    // Large blobs first: otherwise the last one would be hashed by one core while the others wait.
    let mut order: Vec<usize> = (0..blobs.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(blobs[*place].1));
    let buffers = Mutex::new((0..threads).map(|_| vec![0; PIECE_SIZE]).collect::<Vec<_>>());
    let states = in_parallel(order.iter(), threads, |place| {
        let (digest, size) = &blobs[*place];
        progress(CheckProgress::Started(digest, *size));
        let mut buffer = buffers.lock().pop().unwrap_or_else(|| vec![0; PIECE_SIZE]);
        let state = state_of(parts, digest, &mut buffer, progress, caller);
        buffers.lock().push(buffer);
        progress(CheckProgress::Finished(digest, *size));
        state
    })?;
    let mut sorted = vec![BlobState::Intact; blobs.len()];
    for (place, state) in order.into_iter().zip(states) {
        sorted[place] = state;
    }
    Ok(sorted)
}

fn state_of(
    parts: &LayoutParts,
    digest: &Digest,
    buffer: &mut [u8],
    progress: &ProgressFn,
    caller: &oneshot::Sender<()>,
) -> Result<BlobState> {
    if caller.is_closed() {
        return Err(Error::new(ErrorKind::Other, "the check was cancelled"));
    }
    let blob = match parts.open_blob(digest) {
        Ok(blob) => blob,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound => Ok(BlobState::Removed),
                ErrorKind::Io if is_exhausted(&error) => Err(error),
                _ => Ok(BlobState::Unreadable(error.chain())),
            };
        }
    };
    let Some(algorithm) = digest.algorithm() else {
        let message = format!("the algorithm {} is not supported", digest.algorithm_name());
        return Ok(BlobState::Unreadable(message));
    };
    let hashed = hash(&blob, Hasher::new(algorithm), buffer, |bytes| {
        if bytes > 0 {
            progress(CheckProgress::Hashed(digest, bytes));
        }
        !caller.is_closed()
    });
    match hashed {
        Ok(Some(found)) if found == *digest => Ok(BlobState::Intact),
        Ok(Some(found)) => Ok(BlobState::WrongDigest(found)),
        Ok(None) => Err(Error::new(ErrorKind::Other, "the check was cancelled")),
        Err(error) => Ok(BlobState::Unreadable(error.to_string())),
    }
}

/// Returns the digest of a blob, or `None` as soon as `report` returns false.
fn hash(
    blob: &Blob,
    mut hasher: Hasher,
    buffer: &mut [u8],
    report: impl Fn(u64) -> bool,
) -> io::Result<Option<Digest>> {
    let (mut done, mut reported) = (0, 0);
    while done < blob.size {
        let piece = usize::try_from(blob.size - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = oras_fs::read_at(&blob.file, &mut buffer[..piece], blob.start + done)?;
        hasher.update(&buffer[..count]);
        done += count as u64;
        if done - reported >= REPORT_INTERVAL || count < piece {
            if !report(done - reported) {
                return Ok(None);
            }
            reported = done;
        }
        if count < piece {
            break;
        }
    }
    report(done - reported);
    Ok(Some(hasher.finish()))
}
