//! Makes the lookup file of an `index.json` that another writer made.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use bytes::Bytes;
use oras_fs::failed_to;
use oras_spec::layout::INDEX_FILE;
use oras_store::Result;

use super::MAX_OFFSETS;
use super::entry_text::MAX_ENTRY;
use super::lookup_file::{LookupFile, NewLookup, Slot, StampRecord};
use super::lookup_key::LookupKey;
use crate::index::Index;
use crate::size_limits::MAX_INDEX_SIZE;

/// The longest text behind the list of entries. Most tools write a single brace.
const MAX_CLOSING: usize = 1024;

/// Makes a lookup file for `index.json`, which is edited in place from the time `editable_from` on. Returns `None` if the index cannot be edited in place.
///
/// # Errors
/// `InvalidContent` for a malformed index; `Io`.
pub(super) fn build_lookup(root: &Path, index: &File, editable_from: u64) -> Result<Option<LookupFile>> {
    let path = root.join(INDEX_FILE);
    let failed = failed_to("read", &path);
    // The stamp is taken before reading: a change while the file is read makes the lookup file invalid.
    let stamp = StampRecord::of(index).map_err(&failed)?;
    let Ok(text) = oras_fs::read_limited(&path, MAX_INDEX_SIZE) else { return Ok(None) };
    let text = Bytes::from(text);
    let parsed = Index::parse(text.clone())?;
    let mut slots = SlotList::default();
    for (offset, entry) in parsed.placed_entries(&text) {
        let offset_in_file = offset as u64;
        LookupKey::of_name(entry).for_each(|key| slots.add(key, offset_in_file));
        slots.add(LookupKey::of_digest(&entry.digest), offset_in_file);
    }
    let rest = text.get(parsed.end_of_entries()..).unwrap_or_default();
    let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let closing = rest.get(spaces..).unwrap_or_default().trim_ascii_end();
    let Ok(closing) = String::from_utf8(closing.to_vec()) else { return Ok(None) };
    let has_long_entry = parsed.placed_entries(&text).any(|(_, entry)| entry.text_length() > MAX_ENTRY);
    if has_long_entry || parsed.len() < 2 || !closing.starts_with(']') || closing.len() > MAX_CLOSING {
        return Ok(None);
    }
    let end = (parsed.end_of_entries() + spaces) as u64;
    let description = NewLookup { stamp, end, closing, entries: parsed.len() as u64, editable_from };
    // Without a lookup file the index is replaced as a whole, so a full disk is reported there.
    Ok(LookupFile::create(root, description, &slots.slots).ok())
}

/// Slots, at most [`MAX_OFFSETS`] for each key.
#[derive(Default)]
struct SlotList {
    slots: Vec<Slot>,
    counts: HashMap<LookupKey, usize>,
}

impl SlotList {
    fn add(&mut self, key: LookupKey, offset: u64) {
        let count = self.counts.entry(key).or_default();
        *count += 1;
        if *count <= MAX_OFFSETS {
            self.slots.push(Slot { key, offset, replaced: None });
        }
    }
}
