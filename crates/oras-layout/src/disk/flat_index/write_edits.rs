//! Opens an index for edits, writes the edits, and completes those of a killed process.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_fs::failed_to;
use oras_spec::json;
use oras_spec::layout::INDEX_FILE;
use oras_store::Result;
use serde::{Deserialize, Serialize};

use super::MIN_FLAT_SIZE;
use super::build_lookup::build_lookup;
use super::entry_text::read_bytes;
use super::index_edits::{Edited, IndexEdits};
use super::index_query::open;
use super::lookup_file::{Header, LookupFile, Slot, StampRecord};
use crate::disk::blobs;
use crate::index::IndexChange;
use crate::size_limits::MAX_INDEX_SIZE;

/// Spaces behind the document, which later edits overwrite. The file rarely becomes longer this way: a reader that
/// has asked for the length of the file reads a complete document.
const PADDING: u64 = 64 * 1024;
const MIN_PADDING: u64 = 4 * 1024;
/// An index that another program has written is edited in place only if that program does not write for this time.
const QUIET_TIME: Duration = Duration::from_secs(10);

/// New bytes of `index.json`. The old ones are recorded to recognize an index that another program has written since.
#[derive(Serialize, Deserialize)]
struct Edit {
    offset: u64,
    old: String,
    new: String,
}

/// Applies changes to a large `index.json` in place. Returns whether anything changed, or `None` if the index must be
/// read and replaced as a whole. The caller holds the lock of the layout.
///
/// # Errors
/// `InvalidContent` for a malformed index; `Io` if `index.json` cannot be written. A lookup file that cannot be read or
/// written is not an error: the index is replaced then.
pub(crate) fn apply_flat(root: &Path, changes: &[&IndexChange]) -> Result<Option<bool>> {
    let needs_all = |change: &&IndexChange| matches!(change, IndexChange::Unlist(_) | IndexChange::Prune(_));
    if changes.iter().any(needs_all) {
        return Ok(None);
    }
    let Some(index) = open_for_edits(root) else { return Ok(None) };
    let Some(mut lookup) = current_lookup(root, &index, changes.len())? else { return Ok(None) };
    let mut edits = IndexEdits::new(&index, &lookup);
    for change in changes {
        match edits.apply(change) {
            Ok(Some(())) => {}
            Ok(None) => return Ok(None),
            Err(_) => return Ok(without_lookup(root)),
        }
    }
    if edits.is_empty() {
        return Ok(Some(false));
    }
    for digest in &edits.tag_losers {
        // The delay of the garbage collection starts now. Best effort: without it the manifest may be collected earlier.
        drop(blobs::claim(root, digest, None, Duration::ZERO));
    }
    let Ok(planned) = plan(&index, &lookup, edits) else { return Ok(without_lookup(root)) };
    let Some((header, recorded)) = planned else { return Ok(None) };
    lookup.header = header;
    let is_recorded = lookup.record_edits(&json::to_vec(&recorded), &recorded.slots);
    // Another program may have started to write without the lock. Then the index is read again.
    let is_unchanged = || StampRecord::of(&index).is_ok_and(|stamp| stamp == lookup.header.stamp);
    if is_recorded.is_err() || !is_unchanged() {
        return Ok(without_lookup(root));
    }
    let path = root.join(INDEX_FILE);
    write(&index, &mut lookup, &recorded.edits).map_err(failed_to("write", &path))?;
    Ok(Some(true))
}

/// Deletes the lookup file, so that nothing is read from it any more.
fn without_lookup(root: &Path) -> Option<bool> {
    LookupFile::remove(root);
    None
}

/// Completes the edits that a killed process has recorded. The caller holds the lock of the layout.
pub(crate) fn complete_interrupted(root: &Path) {
    let lookup = LookupFile::open(root, true).filter(LookupFile::has_edits);
    if let Some(mut lookup) = lookup
        && let Some(index) = open_for_edits(root)
    {
        // After an error, the caller reads the index as it is, and reports that it is malformed.
        drop(complete(&index, &mut lookup));
    }
}

/// Opens `index.json` if it can be edited in place: it is large, belongs to this layout alone, and may be written.
fn open_for_edits(root: &Path) -> Option<File> {
    let path = root.join(INDEX_FILE);
    let found = fs::symlink_metadata(&path).ok()?;
    // With a second hard link, the edit would also change another layout.
    if !found.is_file() || found.nlink() != 1 || found.len() < MIN_FLAT_SIZE {
        return None;
    }
    File::options().read(true).write(true).open(path).ok()
}

/// Returns the lookup file of the index, with room for some changes. Returns `None` if the index must be replaced: there
/// is no current lookup file, or another program has written the index a short time ago.
fn current_lookup(root: &Path, index: &File, changes: usize) -> Result<Option<LookupFile>> {
    let Some(mut lookup) = LookupFile::open(root, true) else { return Ok(None) };
    let is_complete = !lookup.has_edits() || complete(index, &mut lookup).unwrap_or(false);
    let is_current = is_complete && StampRecord::of(index).is_ok_and(|stamp| stamp == lookup.header.stamp);
    if !is_current || now() < lookup.header.editable_from || !has_closing(index, &lookup.header) {
        return Ok(None);
    }
    // A change adds at most two entries with three keys each.
    let slots = changes.saturating_mul(6);
    if lookup.has_room_for(slots) {
        return Ok(Some(lookup));
    }
    let built = build_lookup(root, index, lookup.header.editable_from)?;
    Ok(built.filter(|lookup| lookup.has_room_for(slots)))
}

/// Returns true if the list of entries ends where the header says.
fn has_closing(index: &File, header: &Header) -> bool {
    read_bytes(index, header.end, header.closing.len()).is_ok_and(|text| text == header.closing.as_bytes())
}

/// Returns the time in milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Returns the time from which an index may be edited in place that is about to be replaced. The caller holds the lock
/// of the layout.
///
/// An index without a current lookup file was written by another program. That program may write again at any moment,
/// because it does not wait for the lock, and then it must not find half an edit in its file.
pub(crate) fn editable_from(root: &Path) -> u64 {
    let is_small = fs::metadata(root.join(INDEX_FILE)).map_or(true, |found| found.len() < MIN_FLAT_SIZE);
    let current = open(root).map(|(_, lookup)| lookup.header.editable_from);
    let pause = u64::try_from(QUIET_TIME.as_millis()).unwrap_or_default();
    current.unwrap_or_else(|| if is_small { 0 } else { now() + pause })
}

/// Makes a new lookup file after the index was replaced. The caller holds the lock of the layout. Best effort: without
/// it, the next write replaces the index again.
pub(crate) fn index_replaced(root: &Path, editable_from: u64) {
    LookupFile::remove(root);
    if let Some(index) = open_for_edits(root) {
        drop(build_lookup(root, &index, editable_from));
    }
}

/// Edits as they are recorded in the lookup file.
#[derive(Serialize, Deserialize)]
struct RecordedEdits {
    edits: Vec<Edit>,
    slots: Vec<Slot>,
}

/// Returns the new header and what is recorded for the edits. Returns `None` if the index should be replaced instead.
fn plan(index: &File, lookup: &LookupFile, edits: IndexEdits<'_>) -> Edited<(Header, RecordedEdits)> {
    let mut header = lookup.header.clone();
    let Some(recorded) = recorded_edits(index, &edits, &header)? else { return Ok(None) };
    header.end += edits.appended.len() as u64;
    header.entries = edits.entries;
    header.blank += edits.blank;
    // Replacing the index removes the space of deleted entries.
    let has_much_space = header.blank > header.end / 2;
    if has_much_space || header.end + header.closing.len() as u64 > MAX_INDEX_SIZE {
        return Ok(None);
    }
    Ok(Some((header, RecordedEdits { edits: recorded, slots: edits.slots })))
}

/// Returns the edits as ranges of bytes, with the old bytes. New entries come first, so that a reader never misses a
/// tag that moves.
fn recorded_edits(index: &File, edits: &IndexEdits<'_>, header: &Header) -> Edited<Vec<Edit>> {
    let mut ranges = Vec::new();
    if !edits.appended.is_empty() {
        let mut text = edits.appended.clone();
        text.extend(header.closing.as_bytes());
        ranges.push((header.end, text));
    }
    let mut next = None;
    for (offset, byte) in &edits.overwritten {
        match ranges.last_mut().filter(|_| next == Some(*offset)) {
            Some((_, text)) => text.push(*byte),
            None => ranges.push((*offset, vec![*byte])),
        }
        next = Some(offset + 1);
    }
    let mut recorded = Vec::new();
    for (offset, new) in ranges {
        let old = read_bytes(index, offset, new.len())?;
        let (Ok(old), Ok(new)) = (String::from_utf8(old), String::from_utf8(new)) else { return Ok(None) };
        recorded.push(Edit { offset, old, new });
    }
    Ok(Some(recorded))
}

/// Writes recorded edits to `index.json`.
fn write(index: &File, lookup: &mut LookupFile, edits: &[Edit]) -> io::Result<()> {
    for edit in edits {
        index.write_all_at(edit.new.as_bytes(), edit.offset)?;
    }
    let document_end = lookup.header.end + lookup.header.closing.len() as u64;
    let length = index.metadata()?.len();
    if length < document_end + MIN_PADDING {
        let spaces = vec![b' '; usize::try_from(document_end + PADDING - length).unwrap_or_default()];
        index.write_all_at(&spaces, length)?;
    }
    index.sync_data()?;
    // Another program that wrote at the same time has changed the text behind the entries.
    if !has_closing(index, &lookup.header) {
        return Err(io::Error::other("another program has written the index at the same time"));
    }
    lookup.finish_edits(StampRecord::of(index)?)
}

/// Writes the edits that a killed process has recorded. Returns false if they do not belong to this index.
fn complete(index: &File, lookup: &mut LookupFile) -> io::Result<bool> {
    let stamp = StampRecord::of(index)?;
    let Some(recorded) = lookup.recorded_edits()?.filter(|_| stamp.is_same_file(&lookup.header.stamp)) else {
        return Ok(false);
    };
    let Ok(RecordedEdits { edits, slots }) = serde_json::from_slice(&recorded) else { return Ok(false) };
    for edit in &edits {
        if !is_old_or_new(index, edit)? {
            return Ok(false);
        }
    }
    lookup.add_all(&slots)?;
    write(index, lookup, &edits)?;
    Ok(true)
}

/// Returns true if each byte in the range of the edit is the old or the new one. After a power failure it may be a
/// mixture.
fn is_old_or_new(index: &File, edit: &Edit) -> io::Result<bool> {
    let current = read_bytes(index, edit.offset, edit.new.len())?;
    let (old, new) = (edit.old.as_bytes(), edit.new.as_bytes());
    let is_known = |(at, byte): (usize, &u8)| {
        // Behind the old end of the file there may be zeros: its length was written, but not its bytes.
        old.get(at).map_or(*byte == 0, |old| old == byte) || new.get(at) == Some(byte)
    };
    Ok(current.len() >= old.len() && current.iter().enumerate().all(is_known))
}
