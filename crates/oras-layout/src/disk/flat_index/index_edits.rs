//! Turns changes of the index into edits of single entries.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;

use oras_spec::{Descriptor, Digest};

use super::MAX_OFFSETS;
use super::entry_text::{MAX_ENTRY, Parsed, PlacedEntry, parse_entry, read_bytes, read_entry};
use super::lookup_file::{LookupFile, Slot};
use super::lookup_key::LookupKey;
use crate::index::{IndexChange, IndexEntry};

/// The number of bytes before an entry in which its comma is searched. The space before it can be longer if many
/// entries at the start of the list were deleted.
const MAX_GAP: u64 = 256 * 1024;

/// The result of an edit. `None` means that the change needs the whole index.
pub(super) type Edited<T> = io::Result<Option<T>>;

/// The entries of a key.
struct FoundEntries {
    /// In the order of the file.
    entries: Vec<PlacedEntry>,
    /// Whether the key may have more entries.
    is_incomplete: bool,
}

impl FoundEntries {
    fn all(self) -> Option<Vec<PlacedEntry>> {
        (!self.is_incomplete).then_some(self.entries)
    }
}

/// Edits of `index.json` that are not written yet.
pub(super) struct IndexEdits<'a> {
    index: &'a File,
    lookup: &'a LookupFile,
    /// The offset of the bracket that ends the list of entries, before the edits.
    end: u64,
    /// The entries to write at `end`, each behind a comma.
    pub(super) appended: Vec<u8>,
    /// New bytes before `end`.
    pub(super) overwritten: BTreeMap<u64, u8>,
    /// New slots of the lookup file.
    pub(super) slots: Vec<Slot>,
    new_offsets: HashMap<LookupKey, Vec<u64>>,
    pub(super) entries: u64,
    /// The number of bytes that became blank.
    pub(super) blank: u64,
    /// The manifests that lost a tag to another one, or without a replacement.
    pub(super) tag_losers: Vec<Digest>,
}

impl<'a> IndexEdits<'a> {
    pub(super) fn new(index: &'a File, lookup: &'a LookupFile) -> Self {
        Self {
            index,
            lookup,
            end: lookup.header.end,
            appended: Vec::new(),
            overwritten: BTreeMap::new(),
            slots: Vec::new(),
            new_offsets: HashMap::new(),
            entries: lookup.header.entries,
            blank: 0,
            tag_losers: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.appended.is_empty() && self.overwritten.is_empty()
    }

    /// Adds a change, with the same result as [`Index::apply`](crate::index::Index::apply) apart from the order.
    pub(super) fn apply(&mut self, change: &IndexChange) -> Edited<()> {
        match change {
            IndexChange::List(descriptor) => {
                let Some(is_listed) = self.is_listed(&descriptor.digest, None)? else { return Ok(None) };
                if !is_listed {
                    self.append(&IndexEntry::new(descriptor, None), None)?;
                }
                Ok(Some(()))
            }
            IndexChange::Tag(descriptor, tag) => self.tag(descriptor, tag),
            IndexChange::Untag(tag) => {
                let Some(holders) = self.tagged_entries(tag)?.all() else { return Ok(None) };
                self.tag_losers.extend(holders.last().map(|holder| holder.entry.digest.clone()));
                self.for_each(holders, |edits, holder| edits.remove_tag(&holder))
            }
            IndexChange::Remove(digest) => {
                let Some(entries) = self.entries_of(digest)?.all() else { return Ok(None) };
                self.for_each(entries, |edits, entry| edits.erase(&entry))
            }
            IndexChange::Unlist(_) | IndexChange::Prune(_) => Ok(None),
        }
    }

    fn for_each(
        &mut self,
        entries: Vec<PlacedEntry>,
        mut edit: impl FnMut(&mut Self, PlacedEntry) -> Edited<()>,
    ) -> Edited<()> {
        for entry in entries {
            if edit(self, entry)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// Moves a tag to a manifest.
    fn tag(&mut self, descriptor: &Descriptor, tag: &str) -> Edited<()> {
        let Some(holders) = self.tagged_entries(tag)?.all() else { return Ok(None) };
        let listed = self.entries_of(&descriptor.digest)?.entries;
        let loser = holders.last().filter(|holder| holder.entry.digest != descriptor.digest);
        self.tag_losers.extend(loser.map(|holder| holder.entry.digest.clone()));
        let (mut own, others): (Vec<_>, Vec<_>) =
            holders.into_iter().partition(|holder| holder.entry.digest == descriptor.digest);
        let mut others = others.into_iter();
        // Entries with the same tag are the exception: another tool wrote them.
        if let Some(mut entry) = own.pop() {
            if entry.entry.describe(descriptor) && self.replace(&entry)?.is_none() {
                return Ok(None);
            }
        } else if self.place_tag(&IndexEntry::new(descriptor, Some(tag)), others.next(), &listed)?.is_none() {
            return Ok(None);
        }
        if self.for_each(others.collect(), |edits, other| edits.remove_tag(&other))?.is_none() {
            return Ok(None);
        }
        // The tagged entry lists the digest, so an untagged one is redundant.
        let untagged = listed.into_iter().filter(|entry| entry.entry.tag().is_none()).collect();
        self.for_each(untagged, |edits, entry| edits.erase(&entry))
    }

    /// Writes the entry of a tag that `old` had before, if any. `listed` are other entries of the manifest.
    fn place_tag(
        &mut self,
        entry: &IndexEntry,
        old: Option<PlacedEntry>,
        listed: &[PlacedEntry],
    ) -> Edited<()> {
        let Some(old) = old else {
            self.append(entry, None)?;
            return Ok(Some(()));
        };
        // A manifest without an entry gets one at the end, where `IndexGrowth` finds it.
        if listed.is_empty() {
            self.append(entry, Some(old.offset))?;
            return self.remove_tag(&old);
        }
        if self.keep_listed(&old)?.is_none() {
            return Ok(None);
        }
        self.replace(&PlacedEntry { entry: entry.clone(), ..old })
    }

    /// Removes the tag of an entry. A manifest that loses its last tag keeps an untagged entry.
    fn remove_tag(&mut self, holder: &PlacedEntry) -> Edited<()> {
        match self.is_listed(&holder.entry.digest, Some(holder.offset))? {
            None => Ok(None),
            Some(true) => self.erase(holder),
            Some(false) => {
                let mut untagged = holder.clone();
                untagged.entry.remove_tag();
                self.replace(&untagged)
            }
        }
    }

    /// Appends an untagged entry for the manifest of `holder` if it has no other entry.
    fn keep_listed(&mut self, holder: &PlacedEntry) -> Edited<()> {
        let is_listed = self.is_listed(&holder.entry.digest, Some(holder.offset))?;
        if is_listed == Some(false) {
            let mut untagged = holder.entry.clone();
            untagged.remove_tag();
            self.append(&untagged, None)?;
        }
        Ok(is_listed.map(drop))
    }

    /// Returns whether the digest has an entry, apart from the one at the offset `except`.
    fn is_listed(&self, digest: &Digest, except: Option<u64>) -> Edited<bool> {
        let found = self.entries_of(digest)?;
        let is_found = found.entries.iter().any(|entry| Some(entry.offset) != except);
        Ok(if is_found || !found.is_incomplete { Some(is_found) } else { None })
    }

    fn tagged_entries(&self, tag: &str) -> io::Result<FoundEntries> {
        self.entries(LookupKey::of_tag(tag), |entry| entry.tag() == Some(tag))
    }

    fn entries_of(&self, digest: &Digest) -> io::Result<FoundEntries> {
        self.entries(LookupKey::of_digest(digest), |entry| entry.digest == *digest)
    }

    /// Finds the entries of the key that match.
    fn entries(&self, key: LookupKey, matches: impl Fn(&IndexEntry) -> bool) -> io::Result<FoundEntries> {
        let mut offsets = self.lookup.offsets(key)?;
        offsets.extend(self.new_offsets.get(&key).into_iter().flatten());
        offsets.sort_unstable();
        offsets.dedup();
        let is_incomplete = offsets.len() >= MAX_OFFSETS;
        let mut entries = Vec::new();
        for offset in offsets {
            entries.extend(self.entry_at(offset)?.filter(|placed| matches(&placed.entry)));
        }
        Ok(FoundEntries { entries, is_incomplete })
    }

    /// Returns the entry at `offset`, with the edits so far.
    fn entry_at(&self, offset: u64) -> io::Result<Option<PlacedEntry>> {
        if let Some(offset_in_new) = offset.checked_sub(self.end) {
            let start = usize::try_from(offset_in_new).unwrap_or(usize::MAX);
            let parsed = parse_entry(self.appended.get(start..).unwrap_or_default(), offset);
            return Ok(if let Parsed::Entry(entry) = parsed { Some(entry) } else { None });
        }
        let entry = read_entry(offset, |length| self.read_edited(offset, length))?;
        Ok(entry.filter(|entry| offset + entry.length as u64 <= self.end))
    }

    /// Reads bytes before `end`, with the edits so far.
    fn read_edited(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = read_bytes(self.index, offset, length)?;
        for (place, new) in self.overwritten.range(offset..offset + bytes.len() as u64) {
            if let Some(byte) = bytes.get_mut(usize::try_from(place - offset).unwrap_or(usize::MAX)) {
                *byte = *new;
            }
        }
        Ok(bytes)
    }

    /// Writes an entry behind the last one. The entry at the offset `replaced` loses the name or is erased.
    fn append(&mut self, entry: &IndexEntry, replaced: Option<u64>) -> io::Result<()> {
        if entry.text_length() > MAX_ENTRY {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the entry is too long for an edit"));
        }
        self.appended.push(b',');
        let offset = self.end + self.appended.len() as u64;
        entry.write(&mut self.appended);
        self.entries += 1;
        self.add_keys(entry, offset, replaced)
    }

    /// Writes the changed entry of `placed` over its old text, or behind the last entry if it became longer.
    fn replace(&mut self, placed: &PlacedEntry) -> Edited<()> {
        let mut text = Vec::new();
        placed.entry.write(&mut text);
        if text.len() > placed.length + self.spaces_behind(placed, text.len())? {
            self.append(&placed.entry, Some(placed.offset))?;
            return self.erase(placed);
        }
        text.resize(text.len().max(placed.length), b' ');
        self.overwrite(placed.offset, &text);
        self.add_keys(&placed.entry, placed.offset, None)?;
        Ok(Some(()))
    }

    /// Returns the number of spaces behind an entry, which a shorter entry has left; at most `limit`.
    fn spaces_behind(&self, placed: &PlacedEntry, limit: usize) -> io::Result<usize> {
        let end = placed.offset + placed.length as u64;
        let length = self.end.saturating_sub(end).min(limit as u64);
        let text = self.read_edited(end, usize::try_from(length).unwrap_or_default())?;
        Ok(text.iter().take_while(|byte| **byte == b' ').count())
    }

    /// Overwrites an entry and one comma with spaces.
    fn erase(&mut self, placed: &PlacedEntry) -> Edited<()> {
        // An empty list has no place to write a comma.
        if self.entries < 2 {
            return Ok(None);
        }
        let end = placed.offset + placed.length as u64;
        let range = if placed.offset >= self.end {
            // Each new entry is directly behind its comma.
            placed.offset - 1..end
        } else {
            let start = placed.offset.saturating_sub(MAX_GAP);
            let before =
                self.read_edited(start, usize::try_from(placed.offset - start).unwrap_or_default())?;
            let behind = before.trim_ascii_end();
            match behind.last() {
                Some(b',') => start + behind.len() as u64 - 1..end,
                Some(b'[') => {
                    let Some(comma) = self.comma_behind(end)? else { return Ok(None) };
                    placed.offset..comma + 1
                }
                _ => return Ok(None),
            }
        };
        let length = usize::try_from(range.end - range.start).unwrap_or_default();
        self.overwrite(range.start, &vec![b' '; length]);
        self.entries -= 1;
        self.blank += length as u64;
        Ok(Some(()))
    }

    /// Returns the offset of the comma between an entry that ends at `offset` and the next one.
    fn comma_behind(&self, offset: u64) -> io::Result<Option<u64>> {
        let length = (self.end - offset).min(MAX_GAP);
        let text = self.read_edited(offset, usize::try_from(length).unwrap_or_default())?;
        let spaces = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        Ok((text.get(spaces) == Some(&b',')).then_some(offset + spaces as u64))
    }

    fn overwrite(&mut self, offset: u64, text: &[u8]) {
        for (byte, place) in text.iter().zip(offset..) {
            let Some(place_in_new) = place.checked_sub(self.end) else {
                self.overwritten.insert(place, *byte);
                continue;
            };
            if let Some(new) = self.appended.get_mut(usize::try_from(place_in_new).unwrap_or(usize::MAX)) {
                *new = *byte;
            }
        }
    }

    fn add_keys(&mut self, entry: &IndexEntry, offset: u64, replaced: Option<u64>) -> io::Result<()> {
        let named = LookupKey::of_name(entry).map(|key| (key, replaced));
        for (key, replaced) in named.chain([(LookupKey::of_digest(&entry.digest), None)]) {
            let known = self.lookup.offsets(key)?;
            let added = self.new_offsets.entry(key).or_default();
            let is_known = known.contains(&offset) || added.contains(&offset);
            // A key with too many offsets is not searched, so it needs no more of them.
            if !is_known && known.len() + added.len() < MAX_OFFSETS {
                added.push(offset);
                self.slots.push(Slot { key, offset, replaced });
            }
        }
        Ok(())
    }
}
