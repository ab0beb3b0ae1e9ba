//! Digests of files that were hashed before, and of directories that were packed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use oras_spec::{Algorithm, Digest};

use crate::{FileStamp, fsio};

/// The largest file that is read: about 100,000 digests. A longer one is begun anew.
const MAX_BYTES: u64 = 16 << 20;

/// The most digests that are in memory alone: a server runs for long.
const MOST: usize = 8 * 1024;

/// Remembers digests of files by what their metadata says of them; shared by threads, and on disk by processes.
///
/// A digest found here is as good as one computed now, as long as nobody wrote the file within the resolution of its
/// times: such files are not remembered. A cache that can't be read or written is as good as none, never an error.
#[derive(Debug, Default)]
pub struct DigestCache {
    path: Option<PathBuf>,
    known: Mutex<Option<Known>>,
    /// Open once something was added.
    file: Mutex<Option<File>>,
}

#[derive(Debug, Default)]
struct Known {
    files: HashMap<(FileStamp, Algorithm), Digest>,
    directories: HashMap<Digest, PackedDirectory>,
}

impl Known {
    /// Room for one more of a cache in memory. As with the file: the entries of what is in use come back by themselves.
    fn make_room(&mut self) {
        if self.files.len() + self.directories.len() >= MOST {
            *self = Self::default();
        }
    }
}

/// What a directory was packed to when it was in some state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedDirectory {
    /// The digest of the metadata of everything in it.
    pub state: Digest,
    /// That of the blob.
    pub digest: Digest,
    /// The length of the blob in bytes.
    pub size: u64,
    /// The digest of what the blob uncompresses to.
    pub content_digest: Digest,
}

impl DigestCache {
    /// A cache that is forgotten with the program.
    pub fn new() -> Self {
        Self::default()
    }

    /// A cache in the file `path`, which is read when it is first asked, and made with its directory by the first entry,
    /// for its owner alone. Any number of processes may add to one.
    pub fn at(path: PathBuf) -> Self {
        Self { path: Some(path), ..Self::default() }
    }

    /// The digest of the file with that stamp.
    pub fn get(&self, stamp: &FileStamp, algorithm: Algorithm) -> Option<Digest> {
        self.known().as_ref()?.files.get(&(*stamp, algorithm)).cloned()
    }

    /// Remembers what the file with that stamp hashed to, if it had settled when the hashing began at `since`.
    pub fn put(&self, stamp: &FileStamp, digest: &Digest, since: SystemTime) {
        self.put_all(&[(*stamp, digest)], since);
    }

    /// Like [`DigestCache::put`], of many files together.
    pub fn put_all(&self, files: &[(FileStamp, &Digest)], since: SystemTime) {
        let mut settled = files.iter().filter(|(stamp, _)| stamp.is_settled(since)).peekable();
        // The file is not read for nothing.
        if settled.peek().is_none() {
            return;
        }
        let mut lines = String::new();
        {
            let mut known = self.known();
            let known = known.get_or_insert_default();
            for (stamp, digest) in settled {
                let Some(algorithm) = digest.algorithm() else { continue };
                if self.path.is_none() {
                    known.make_room();
                }
                if known.files.insert((*stamp, algorithm), (*digest).clone()).as_ref() != Some(*digest) {
                    lines.push_str(&file_line(stamp, digest));
                }
            }
        }
        drop(self.append(&lines));
    }

    /// What the directory at `place` was packed to last; a place is a digest of where it is and how it is packed.
    pub fn directory(&self, place: &Digest) -> Option<PackedDirectory> {
        self.known().as_ref()?.directories.get(place).cloned()
    }

    /// Remembers what the directory at `place` was packed to, instead of what it was packed to before.
    pub fn put_directory(&self, place: &Digest, packed: &PackedDirectory) {
        let before = {
            let mut known = self.known();
            let known = known.get_or_insert_default();
            if self.path.is_none() {
                known.make_room();
            }
            known.directories.insert(place.clone(), packed.clone())
        };
        if before.as_ref() != Some(packed) {
            drop(self.append(&directory_line(place, packed)));
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(self.load().unwrap_or_default());
        }
        known
    }

    /// What is on disk; lines that can't be read say nothing.
    fn load(&self) -> Option<Known> {
        let path = self.path.as_ref()?;
        let file = File::open(path).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut text = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut text).ok()?;
        if text.len() as u64 > MAX_BYTES {
            // The entries of files that are in use come back by themselves.
            drop(fs::remove_file(path));
            return None;
        }
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let mut known = Known::default();
        for line in lines {
            if let Some((file, digest)) = parse_file(line) {
                known.files.insert(file, digest);
            } else if let Some((place, packed)) = parse_directory(line) {
                known.directories.insert(place, packed);
            }
        }
        Some(known)
    }

    /// Adds lines in one write, so that those of several processes don't mix.
    fn append(&self, lines: &str) -> std::io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *open {
            Some(file) => file,
            none => none.insert(begin(path)?),
        };
        file.write_all(lines.as_bytes())
    }
}

/// Opens the file for adding, for its owner alone if it is new.
fn begin(path: &Path) -> std::io::Result<File> {
    if let Some(directory) = path.parent() {
        drop(fsio::create_directories(directory));
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

// A line begins with a break, so that one that was cut short spoils no other.

fn file_line(stamp: &FileStamp, digest: &Digest) -> String {
    let FileStamp { inode: (device, number), length, modified, changed } = stamp;
    format!("\n{device} {number} {length} {modified} {changed} {digest} .\n")
}

fn directory_line(place: &Digest, packed: &PackedDirectory) -> String {
    let PackedDirectory { state, digest, size, content_digest } = packed;
    format!("\ndirectory {place} {state} {digest} {size} {content_digest} .\n")
}

fn parse_directory(line: &str) -> Option<(Digest, PackedDirectory)> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["directory", place, state, digest, size, content_digest, "."] = words[..] else { return None };
    let packed = PackedDirectory {
        state: state.parse().ok()?,
        digest: digest.parse().ok()?,
        size: size.parse().ok()?,
        content_digest: content_digest.parse().ok()?,
    };
    Some((place.parse().ok()?, packed))
}

fn parse_file(line: &str) -> Option<((FileStamp, Algorithm), Digest)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [device, number, length, modified, changed, digest, "."] = words[..] else { return None };
    let stamp = FileStamp {
        inode: (device.parse().ok()?, number.parse().ok()?),
        length: length.parse().ok()?,
        modified: modified.parse().ok()?,
        changed: changed.parse().ok()?,
    };
    let digest: Digest = digest.parse().ok()?;
    Some(((stamp, digest.algorithm()?), digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_settled_files_are_remembered() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let stamp = FileStamp::of(&file.as_file().metadata().unwrap());
        let digest = Digest::sha256(b"");
        let cache = DigestCache::new();
        cache.put(&stamp, &digest, SystemTime::now() - Duration::from_secs(1));
        assert_eq!(cache.get(&stamp, Algorithm::Sha256), None);
        cache.put(&stamp, &digest, SystemTime::now() + Duration::from_secs(1));
        assert_eq!(cache.get(&stamp, Algorithm::Sha256), Some(digest));
        assert_eq!(cache.get(&FileStamp { length: 1, ..stamp }, Algorithm::Sha256), None);
    }

    #[test]
    fn another_process_knows_and_damage_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/digests");
        let stamp = FileStamp { inode: (1, 2), length: 3, modified: -4, changed: 5 };
        let later = SystemTime::now();
        DigestCache::at(path.clone()).put(&stamp, &Digest::sha256(b"one"), later);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"1 2 3 4 5 sha256:abc").unwrap();
        let other = FileStamp { length: 4, ..stamp };
        DigestCache::at(path.clone()).put(&other, &Digest::sha256(b"two"), later);
        file.write_all(&[0xff, b'\n', 7]).unwrap();
        let cache = DigestCache::at(path.clone());
        assert_eq!(cache.get(&stamp, Algorithm::Sha256), Some(Digest::sha256(b"one")));
        assert_eq!(cache.get(&other, Algorithm::Sha256), Some(Digest::sha256(b"two")));
        assert_eq!(cache.get(&FileStamp { length: 5, ..stamp }, Algorithm::Sha256), None);
        assert_eq!(cache.known().as_ref().unwrap().files.len(), 2);
        let [place, state, content_digest] =
            ["place", "state", "tar"].map(|text| Digest::sha256(text.as_bytes()));
        let packed = |size| PackedDirectory {
            state: state.clone(),
            digest: Digest::sha256(b"blob"),
            size,
            content_digest: content_digest.clone(),
        };
        assert_eq!(cache.directory(&place), None);
        for size in [7, 8] {
            cache.put_directory(&place, &packed(size));
        }
        for cache in [&cache, &DigestCache::at(path.clone())] {
            assert_eq!(cache.directory(&place), Some(packed(8)));
            assert_eq!((cache.directory(&state), cache.known().as_ref().unwrap().files.len()), (None, 2));
        }
        let nowhere = DigestCache::at(path.join("below/a/file"));
        nowhere.put(&stamp, &Digest::sha256(b"one"), later);
        assert_eq!(nowhere.get(&stamp, Algorithm::Sha256), Some(Digest::sha256(b"one")));
    }
}
