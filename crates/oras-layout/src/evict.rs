//! A layout as a cache of bounded size: what was not used for longest goes.
//!
//! The blobs are not counted whenever one is added: a file beside them says how large they are together and when they
//! were counted. It is a guess that every count puts right, so that it is never flushed, and its loss costs a count.

use std::collections::HashSet;
use std::fs::{self, FileTimes, Metadata};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oras_spec::Digest;
use oras_spec::layout::BLOBS_DIR;
use oras_store::fsio::Staged;
use oras_store::{Error, Result};

use crate::graph;
use crate::index::{Change, Index};
use crate::{Layout, blobs, journal};

/// The file that says how large the blobs are.
const SIZE_FILE: &str = "cache-size";
/// More bytes than two numbers have.
const SIZE_FILE_SIZE: u64 = 64;
/// What was used within this time stays: a command that found a blob may be about to read it.
const RECENT: Duration = Duration::from_secs(5 * 60);
/// When nothing else could go, it is tried again after this time.
const PAUSE: Duration = Duration::from_secs(60);
/// The blobs are counted once in this time at least, if anything is written: not every writer keeps the size.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes that the blob is used. The access time is set, not left to reading: many file systems are told not to.
pub(crate) fn touch(root: &Path, digest: &Digest) -> Result<()> {
    let now = FileTimes::new().set_accessed(SystemTime::now());
    let failed = |error| Error::io(format!("failed to touch {}", blobs::path(root, digest).display()), error);
    blobs::open(root, digest)?.file.set_times(now).map_err(failed)
}

/// Counts `bytes` that were written, and makes room if they are too many now. A cache that can't be counted or made
/// smaller is large, which is no reason for a write to fail.
pub(crate) fn added(layout: &Layout, bytes: u64) {
    if let Some(limit) = layout.limit() {
        drop(try_added(layout.path(), limit, bytes, SystemTime::now()));
    }
}

fn try_added(root: &Path, limit: u64, bytes: u64, now: SystemTime) -> Result<()> {
    let noted = {
        let _lock = journal::lock(root)?;
        let (size, due) = Size::read(root).plus(bytes, limit, now);
        size.write(root)?;
        due.then_some(size)
    };
    let Some(noted) = noted else { return Ok(()) };
    // A tenth is left, so that the next write does not need room at once.
    let left = evict(root, limit - limit / 10, now)?;
    let _lock = journal::lock(root)?;
    let meanwhile = Size::read(root).bytes.saturating_sub(noted.bytes);
    Size { bytes: left + meanwhile, ..noted }.write(root)
}

/// How large the blobs are, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    bytes: u64,
    /// When they were counted, in seconds since 1970; 0 for never.
    counted: u64,
}

impl Size {
    fn read(root: &Path) -> Self {
        Self::read_file(&root.join(SIZE_FILE)).unwrap_or(Self { bytes: 0, counted: 0 })
    }

    fn read_file(path: &Path) -> Option<Self> {
        // Asked before opening: a link may lead anywhere, and to open a pipe is to wait for its writer.
        let found = fs::symlink_metadata(path).ok()?;
        if !found.is_file() || found.len() > SIZE_FILE_SIZE {
            return None;
        }
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (bytes, counted) = text.trim_end().split_once(' ')?;
        Some(Self { bytes: bytes.parse().ok()?, counted: counted.parse().ok()? })
    }

    fn write(self, root: &Path) -> Result<()> {
        let mut staged = Staged::create(root)?;
        let path = root.join(SIZE_FILE);
        writeln!(staged, "{} {}", self.bytes, self.counted)
            .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))?;
        staged.publish(&path).map(drop)
    }

    /// The size after `bytes` more, and whether the blobs are to be counted now; then that is noted already, so that
    /// nobody else does it meanwhile.
    fn plus(self, bytes: u64, limit: u64, now: SystemTime) -> (Self, bool) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (before, bytes) = (self.bytes, self.bytes.saturating_add(bytes));
        let due = match now.checked_sub(self.counted) {
            // It was too large before: somebody makes room, or could not make enough.
            Some(age) if before > limit => age >= PAUSE.as_secs(),
            Some(age) => bytes > limit || age >= DAY.as_secs(),
            // A count in the future was one by another clock.
            None => true,
        };
        (Self { bytes, counted: if due { now } else { self.counted } }, due)
    }
}

/// Removes blobs, the least recently used first, until the rest has `limit` bytes; how many bytes are left.
fn evict(root: &Path, limit: u64, now: SystemTime) -> Result<u64> {
    let (mut left, mut old) = count(root, |blob| is_recent(blob, now));
    if left <= limit {
        return Ok(left);
    }
    let index = journal::read(root)?;
    let wanted = wanted(root, &index)?;
    old.retain(|blob| !wanted.contains(&blob.digest));
    old.sort_by_key(|blob| blob.used);
    let mut gone = Vec::new();
    for blob in old {
        if left <= limit {
            break;
        }
        left -= blob.size;
        gone.push(blob);
    }
    // The index first: what it names is there at any time.
    let digests: HashSet<_> = gone.iter().map(|blob| blob.digest.clone()).collect();
    if index.descriptors().any(|entry| digests.contains(&entry.digest)) {
        journal::write(root, &[Change::Unlist(digests)])?;
    }
    // Somebody may have come for a blob meanwhile.
    let tagged = journal::read(root)?.tagged_digests();
    for blob in gone {
        let found = fs::symlink_metadata(blobs::path(root, &blob.digest));
        // One that can't be looked at stays.
        let is_used = found.map_or_else(
            |error| error.kind() != std::io::ErrorKind::NotFound,
            |found| is_recent(&found, now),
        );
        let stays = tagged.contains(&blob.digest) || is_used;
        if stays || blobs::remove(root, &blob.digest).is_err() {
            left += blob.size;
        }
    }
    Ok(left)
}

/// A blob that may go.
pub(crate) struct Old {
    pub(crate) digest: Digest,
    size: u64,
    used: SystemTime,
}

/// The size of all blobs, and those that are not recent. A directory that is a link leads to what is not the
/// cache's own.
pub(crate) fn count(root: &Path, is_recent: impl Fn(&Metadata) -> bool) -> (u64, Vec<Old>) {
    let (mut total, mut old) = (0, Vec::new());
    let blobs = root.join(BLOBS_DIR);
    if fs::symlink_metadata(&blobs).map_or(true, |found| found.is_symlink()) {
        return (total, old);
    }
    for directory in fs::read_dir(blobs).into_iter().flatten().flatten() {
        if directory.file_type().map_or(true, |kind| kind.is_symlink()) {
            continue;
        }
        let algorithm = directory.file_name();
        for entry in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let Some(found) = entry.metadata().ok().filter(Metadata::is_file) else { continue };
            total += found.len();
            let name = format!("{}:{}", algorithm.display(), entry.file_name().display());
            // What is not called like a blob is not ours to remove.
            if let (Ok(digest), false) = (name.parse(), is_recent(&found)) {
                old.push(Old { digest, size: found.len(), used: used(&found) });
            }
        }
    }
    (total, old)
}

/// When a blob was used: a blob of another tool, where reading is not noted, when it was written.
fn used(blob: &Metadata) -> SystemTime {
    let times = [blob.accessed().ok(), blob.modified().ok()];
    times.into_iter().flatten().max().unwrap_or(UNIX_EPOCH)
}

fn is_recent(blob: &Metadata, now: SystemTime) -> bool {
    now.duration_since(used(blob)).map_or(true, |age| age < RECENT)
}

/// What tags reach.
fn wanted(root: &Path, index: &Index) -> Result<HashSet<Digest>> {
    let (mut wanted, reader) = (HashSet::new(), blobs::reader(root));
    let mut next: Vec<_> = index.tagged_nodes().collect();
    while let Some(node) = next.pop() {
        if wanted.insert(node.digest.clone()) && node.media_type.is_manifest() {
            let manifest = graph::read(&reader, &node)?;
            next.extend(manifest.map(|manifest| manifest.children()).unwrap_or_default());
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn counted_when_it_may_be_too_large_and_once_a_day() {
        const HOUR: u64 = 3600;
        let size = Size { bytes: 90, counted: 1_000_000 };
        for (bytes, later, due) in
            [(10, HOUR, false), (11, 0, true), (0, 24 * HOUR, true), (0, 24 * HOUR - 1, false)]
        {
            let now = at(1_000_000 + later);
            let (after, counts) = size.plus(bytes, 100, now);
            assert_eq!((after.bytes, counts), (90 + bytes, due), "{bytes} {later}");
            assert_eq!(after.counted, if due { 1_000_000 + later } else { 1_000_000 });
        }
        assert!(size.plus(0, 100, at(999_999)).1);
        let full = Size { bytes: 101, ..size };
        assert!(!full.plus(5, 100, at(1_000_059)).1);
        assert!(full.plus(5, 100, at(1_000_060)).1);
    }
}
