//! Finds entries of a large `index.json`, and the entries that were added since a reader read it, through its lookup file, without reading all of it and without the lock.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest};

use super::entry_text::{read_bytes, read_entry};
use super::lookup_file::{LookupFile, StampRecord};
use super::lookup_key::LookupKey;
use super::{MAX_OFFSETS, MIN_FLAT_SIZE};
use crate::index::{IndexEntry, tag_in};

/// How often a search is repeated while another process writes, and the pause in between. A write takes a few
/// milliseconds.
pub(super) const ATTEMPTS: u32 = 20;
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// Returns the entry with the tag, as [`Index::tagged`](crate::index::Index::tagged) does. Returns `None` if the index
/// must be read as a whole.
pub(crate) fn tagged(root: &Path, tag: &str) -> Option<Option<Descriptor>> {
    let found = entries(root, LookupKey::of_tag(tag), |entry| entry.tag() == Some(tag))?;
    Some(found.all()?.last().map(IndexEntry::descriptor))
}

/// Returns the first entry of the digest without its tag, as [`Index::find`](crate::index::Index::find) does. Returns
/// `None` if the index must be read as a whole.
pub(crate) fn find(root: &Path, digest: &Digest) -> Option<Option<Descriptor>> {
    let found = entries(root, LookupKey::of_digest(digest), |entry| entry.digest == *digest)?;
    Some(found.entries.first().map(|entry| entry.descriptor().plain()))
}

/// Returns the names and digests of the entries whose name is a full reference with the tag. Returns `None` if the
/// index must be read as a whole.
pub(crate) fn full_references(root: &Path, tag: &str) -> Option<Vec<(String, Digest)>> {
    let matches =
        |entry: &IndexEntry| entry.tag().is_some_and(|name| tag_in(name, &entry.digest) == Some(tag));
    let found = entries(root, LookupKey::of_tag_in_reference(tag), matches)?;
    let named = found.all()?.into_iter().filter_map(|entry| Some((entry.tag()?.to_owned(), entry.digest)));
    Some(named.collect())
}

/// Returns true if the lookup file holds for the current `index.json`.
pub(crate) fn is_current(root: &Path) -> bool {
    open(root).is_some()
}

/// The entries of a key.
struct FoundEntries {
    /// In the order of the file.
    entries: Vec<IndexEntry>,
    /// Whether the key may have more entries.
    is_incomplete: bool,
}

impl FoundEntries {
    fn all(self) -> Option<Vec<IndexEntry>> {
        (!self.is_incomplete).then_some(self.entries)
    }
}

/// Returns the entries of the key that match. Returns `None` if the index must be read as a whole.
fn entries(root: &Path, key: LookupKey, matches: impl Fn(&IndexEntry) -> bool) -> Option<FoundEntries> {
    for _ in 0..ATTEMPTS {
        let (index, lookup) = open(root)?;
        let found = search(&index, &lookup, key, &matches).ok()?;
        // An entry that is found is correct. Without one, another process may have been writing it.
        let is_unchanged = || {
            let stamp = StampRecord::of(&index).ok();
            !lookup.has_edits()
                && stamp == Some(lookup.header.stamp)
                && lookup.current_header().as_ref() == Some(&lookup.header)
        };
        if !found.entries.is_empty() || (!found.is_incomplete && is_unchanged()) {
            return Some(found);
        }
        if found.is_incomplete {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
    None
}

/// Opens an index with its lookup file, if that holds for it.
pub(super) fn open(root: &Path) -> Option<(File, LookupFile)> {
    let path = root.join(INDEX_FILE);
    if fs::symlink_metadata(&path).ok().is_none_or(|found| !found.is_file() || found.len() < MIN_FLAT_SIZE) {
        return None;
    }
    let lookup = LookupFile::open(root, false)?;
    let index = File::open(path).ok()?;
    let stamp = StampRecord::of(&index).ok()?;
    let is_written_now = lookup.has_edits() && stamp.is_same_file(&lookup.header.stamp);
    (stamp == lookup.header.stamp || is_written_now).then_some((index, lookup))
}

fn search(
    index: &File,
    lookup: &LookupFile,
    key: LookupKey,
    matches: &impl Fn(&IndexEntry) -> bool,
) -> io::Result<FoundEntries> {
    let mut offsets = lookup.offsets(key)?;
    offsets.sort_unstable();
    let is_incomplete = offsets.len() >= MAX_OFFSETS;
    let mut entries = Vec::new();
    for offset in offsets {
        let read = read_entry(offset, |length| read_bytes(index, offset, length))?;
        entries.extend(read.map(|placed| placed.entry).filter(matches));
    }
    Ok(FoundEntries { entries, is_incomplete })
}
