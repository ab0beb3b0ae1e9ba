//! The entries that were added to a large `index.json` since it was read.

use std::fs::File;
use std::path::Path;

use oras_fs::FileStamp;
use oras_spec::Descriptor;
use serde_json::value::RawValue;

use super::entry_text::read_bytes;
use super::index_query::{ATTEMPTS, PAUSE, open};
use super::lookup_file::{LookupFile, StampRecord};

/// A place in an index from which entries are added. A manifest that is not in the index yet always gets an entry at
/// the end, so these are all new manifests.
#[derive(Clone, Debug)]
pub(crate) struct IndexGrowth {
    /// The stamp that the index had before all changes in place.
    origin: StampRecord,
    /// The offset behind the last known entry.
    end: u64,
}

impl IndexGrowth {
    /// Returns the place at the end of an index that was read with `stamp`.
    pub(crate) fn at(root: &Path, stamp: FileStamp, end: u64) -> Self {
        let stamp = StampRecord::from(stamp);
        let origin = open(root).filter(|(_, lookup)| lookup.header.stamp == stamp);
        Self { origin: origin.map_or(stamp, |(_, lookup)| lookup.header.origin), end }
    }

    /// Returns the entries that were added since this place, and moves it behind them. Returns `None` if the index must
    /// be read as a whole.
    pub(crate) fn next_entries(&mut self, root: &Path) -> Option<Vec<Descriptor>> {
        let (index, lookup) = open_complete(root)?;
        if lookup.header.origin != self.origin {
            return None;
        }
        let length = usize::try_from(lookup.header.end.checked_sub(self.end)?).ok()?;
        let text = read_bytes(&index, self.end, length).ok()?;
        let text = text.trim_ascii().strip_prefix(b",").unwrap_or_default();
        // The entries are a part of a list. A change while they are read makes them malformed or incomplete.
        let list = [b"[", text, b"]"].concat();
        let entries: Vec<&RawValue> = serde_json::from_slice(&list).ok()?;
        let entries: Result<Vec<Descriptor>, _> =
            entries.into_iter().map(|entry| serde_json::from_str(entry.get())).collect();
        let entries = entries.ok()?;
        if lookup.current_header()? != lookup.header {
            return None;
        }
        self.end = lookup.header.end;
        Some(entries)
    }
}

/// Opens the index, and waits for a write that is going on.
fn open_complete(root: &Path) -> Option<(File, LookupFile)> {
    for _ in 0..ATTEMPTS {
        let opened = open(root)?;
        if !opened.1.has_edits() {
            return Some(opened);
        }
        std::thread::sleep(PAUSE);
    }
    None
}
