//! The file `index.lookup`: a header, a hash table from keys to offsets in `index.json`, and edits in progress.
//!
//! The header is JSON in the first 4 KiB. The table follows, as slots of a key, an
//! offset and a checksum. The edits come last.

use std::fs::{self, File};
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use oras_fs::{FileStamp, StagedFile, failed_to};
use oras_spec::{Digest, json};
use oras_store::Result;
use serde::{Deserialize, Serialize};

use super::entry_text::read_bytes;
use super::lookup_key::LookupKey;

/// The name of the file. Other tools ignore files that they do not know in a layout.
const LOOKUP_FILE: &str = "index.lookup";
const VERSION: u32 = 1;
const HEADER_SIZE: u64 = 4096;
const SLOT_SIZE: u64 = 16;
const MIN_SLOTS: u64 = 1024;
/// The number of slots that one read gets: a search rarely takes a second one.
const SLOTS_PER_READ: usize = 8;
/// The largest record of edits that is read.
const MAX_EDITS: u64 = 64 * 1024 * 1024;

/// What a lookup file says of its `index.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    version: u32,
    /// The stamp of `index.json` when this file was made. All later changes were made in place.
    pub(super) origin: StampRecord,
    pub(super) stamp: StampRecord,
    /// The offset of the bracket that ends the list of entries.
    pub(super) end: u64,
    /// The text from that bracket to the end of the document.
    pub(super) closing: String,
    pub(super) entries: u64,
    /// The number of bytes that deleted entries have left.
    pub(super) blank: u64,
    /// The time from which `index.json` is edited in place, in milliseconds since 1970.
    pub(super) editable_from: u64,
    slots: u64,
    used_slots: u64,
    /// Set while edits are written to `index.json`.
    edits: Option<EditsRecord>,
}

/// A [`FileStamp`] as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StampRecord {
    device: u64,
    inode: u64,
    length: u64,
    modified: i64,
    changed: i64,
}

impl From<FileStamp> for StampRecord {
    fn from(stamp: FileStamp) -> Self {
        let nanoseconds = |time: i128| i64::try_from(time).unwrap_or(i64::MAX);
        Self {
            device: stamp.inode.0,
            inode: stamp.inode.1,
            length: stamp.length,
            modified: nanoseconds(stamp.modified),
            changed: nanoseconds(stamp.changed),
        }
    }
}

impl StampRecord {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(FileStamp::of(&file.metadata()?).into())
    }

    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EditsRecord {
    length: u64,
    digest: Digest,
}

/// A key with the offset of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) key: LookupKey,
    pub(super) offset: u64,
    /// The offset that the key had instead, where no entry of the key is any more.
    pub(super) replaced: Option<u64>,
}

/// An open lookup file.
#[derive(Debug)]
pub(super) struct LookupFile {
    file: File,
    pub(super) header: Header,
}

impl LookupFile {
    /// Opens the lookup file of the layout at `root`. Returns `None` if there is none, or if it cannot be used, for
    /// example because it belongs to another user or has another version.
    pub(super) fn open(root: &Path, is_writable: bool) -> Option<Self> {
        let path = root.join(LOOKUP_FILE);
        // A link may lead to a file of another program.
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let file = File::options().read(true).write(is_writable).open(path).ok()?;
        let header = read_header(&file)?;
        Some(Self { file, header })
    }

    /// Replaces the lookup file by one with `slots`, for `index.json` as it is now.
    pub(super) fn create(root: &Path, description: NewLookup, slots: &[Slot]) -> Result<Self> {
        let path = root.join(LOOKUP_FILE);
        // At most half of the table is used, so that searches stay short, with room for as many new entries.
        let count = (4 * slots.len() as u64).next_power_of_two().max(MIN_SLOTS);
        let NewLookup { stamp, end, closing, entries, editable_from } = description;
        let header = Header {
            version: VERSION,
            origin: stamp,
            stamp,
            end,
            closing,
            entries,
            blank: 0,
            editable_from,
            slots: count,
            used_slots: slots.len() as u64,
            edits: None,
        };
        let mut table = FREE.repeat(usize::try_from(count).unwrap_or_default());
        for slot in slots {
            insert_into(&mut table, slot);
        }
        let mut staged = StagedFile::create(root)?;
        staged.write_all(&header_bytes(&header)).map_err(failed_to("write", staged.path()))?;
        staged.write_all(&table).map_err(failed_to("write", staged.path()))?;
        staged.sync()?;
        staged.publish(&path)?;
        let file = File::options().read(true).write(true).open(&path).map_err(failed_to("open", &path))?;
        Ok(Self { file, header })
    }

    /// Returns true if `added` more slots fit. A fuller table would make searches long.
    pub(super) fn has_room_for(&self, added: usize) -> bool {
        self.header.used_slots.saturating_add(added as u64).saturating_mul(4) <= self.header.slots * 3
    }

    /// Reads the header again, which another process may have changed.
    pub(super) fn current_header(&self) -> Option<Header> {
        read_header(&self.file)
    }

    /// Returns the offsets that were added under the key.
    pub(super) fn offsets(&self, key: LookupKey) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        self.search(key, |_, offset| found.push(offset))?;
        Ok(found)
    }

    /// Adds an offset under its key, unless the key has it. The caller has checked that there is room.
    fn add(&mut self, slot: &Slot) -> io::Result<()> {
        let (mut is_known, mut replaced) = (false, None);
        let free = self.search(slot.key, |number, offset| {
            is_known |= offset == slot.offset;
            if slot.replaced == Some(offset) {
                replaced = Some(number);
            }
        })?;
        if is_known {
            return Ok(());
        }
        let bytes = encode(slot.key, slot.offset);
        self.file.write_all_at(&bytes, HEADER_SIZE + replaced.unwrap_or(free) * SLOT_SIZE)?;
        self.header.used_slots += u64::from(replaced.is_none());
        Ok(())
    }

    /// Calls `found` with each slot number and offset of the key, and returns the number of the free slot behind them.
    fn search(&self, key: LookupKey, mut found: impl FnMut(u64, u64)) -> io::Result<u64> {
        let mask = self.header.slots - 1;
        let mut number = key.0 & mask;
        let mut searched = 0;
        while searched < self.header.slots {
            // A read ends at the end of the table, where the search continues at the start.
            let count = (self.header.slots - number).min(SLOTS_PER_READ as u64);
            let mut buffer = [0; SLOTS_PER_READ * SLOT_SIZE as usize];
            let length = usize::try_from(count * SLOT_SIZE).unwrap_or(buffer.len());
            let bytes = buffer.get_mut(..length).unwrap_or_default();
            self.file.read_exact_at(bytes, HEADER_SIZE + number * SLOT_SIZE)?;
            for slot in bytes.chunks_exact(SLOT_SIZE as usize) {
                let Some((slot_key, offset)) = decode(slot)? else { return Ok(number) };
                if slot_key == key.0 {
                    found(number, offset);
                }
                number = (number + 1) & mask;
            }
            searched += count;
        }
        Err(io::Error::other("the lookup file is full"))
    }

    /// Returns true if edits were recorded and may not be complete.
    pub(super) fn has_edits(&self) -> bool {
        self.header.edits.is_some()
    }

    /// Makes a record of edits and the new slots durable, before `index.json` is changed.
    ///
    /// The record is written first: a reader that sees one of the new slots then also sees that a write is going on.
    pub(super) fn record_edits(&mut self, edits: &[u8], slots: &[Slot]) -> io::Result<()> {
        self.file.write_all_at(edits, self.edits_offset())?;
        self.header.edits = Some(EditsRecord { length: edits.len() as u64, digest: Digest::sha256(edits) });
        self.write_header()?;
        self.add_all(slots)?;
        self.file.sync_data()
    }

    /// Adds slots.
    pub(super) fn add_all(&mut self, slots: &[Slot]) -> io::Result<()> {
        slots.iter().try_for_each(|slot| self.add(slot))
    }

    /// Reads the recorded edits. Returns `None` if they were not written completely: `index.json` is unchanged then.
    pub(super) fn recorded_edits(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(record) = self.header.edits.as_ref().filter(|record| record.length <= MAX_EDITS) else {
            return Ok(None);
        };
        let length = usize::try_from(record.length).unwrap_or_default();
        let edits = read_bytes(&self.file, self.edits_offset(), length)?;
        Ok((Digest::sha256(&edits) == record.digest).then_some(edits))
    }

    /// Records that `index.json` has all edits, and has `stamp`.
    pub(super) fn finish_edits(&mut self, stamp: StampRecord) -> io::Result<()> {
        self.header.edits = None;
        self.header.stamp = stamp;
        self.write_header()
    }

    /// Marks the last edits as unfinished again. They are still in the file.
    #[cfg(test)]
    pub(super) fn restore_last_edits_for_test(&mut self) {
        let mut edits = read_bytes(&self.file, self.edits_offset(), 1 << 20).unwrap();
        let mut values = serde_json::Deserializer::from_slice(&edits).into_iter::<serde_json::Value>();
        values.next().unwrap().unwrap();
        edits.truncate(values.byte_offset());
        self.record_edits(&edits, &[]).unwrap();
    }

    /// Deletes a lookup file that does not hold for `index.json`.
    pub(super) fn remove(root: &Path) {
        // If this fails, its stamp still differs from that of `index.json`.
        drop(fs::remove_file(root.join(LOOKUP_FILE)));
    }

    /// Ends the pause after a write of another program.
    #[cfg(test)]
    pub(super) fn end_pause_for_test(&mut self) {
        self.header.editable_from = 0;
        self.write_header().unwrap();
    }

    fn edits_offset(&self) -> u64 {
        HEADER_SIZE + self.header.slots * SLOT_SIZE
    }

    fn write_header(&self) -> io::Result<()> {
        self.file.write_all_at(&header_bytes(&self.header), 0)
    }
}

/// The state of `index.json` when its lookup file is made.
pub(super) struct NewLookup {
    pub(super) stamp: StampRecord,
    pub(super) end: u64,
    pub(super) closing: String,
    pub(super) entries: u64,
    pub(super) editable_from: u64,
}

fn read_header(file: &File) -> Option<Header> {
    let mut bytes = vec![0; HEADER_SIZE as usize];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (text, digest) = (lines.next()?, lines.next()?);
    if Digest::sha256(text).to_string().as_bytes() != digest {
        return None;
    }
    let header: Header = serde_json::from_slice(text).ok()?;
    let is_complete = HEADER_SIZE + header.slots.checked_mul(SLOT_SIZE)? <= file.metadata().ok()?.len();
    (header.version == VERSION && header.slots.is_power_of_two() && is_complete).then_some(header)
}

/// Returns the header and its digest in a line each, filled up with spaces.
fn header_bytes(header: &Header) -> Vec<u8> {
    let mut bytes = json::to_vec(header);
    let digest = Digest::sha256(&bytes);
    bytes.extend(format!("\n{digest}\n").as_bytes());
    bytes.resize(bytes.len().max(HEADER_SIZE as usize), b' ');
    bytes
}

/// A free slot. It is not zero, so that bytes which were lost are not taken for free slots.
const FREE: [u8; SLOT_SIZE as usize] = [0xff; SLOT_SIZE as usize];
/// The number of bytes of an offset in a slot.
const OFFSET_SIZE: usize = 6;

/// Encodes a slot: the key, the offset, and a checksum of both.
fn encode(key: LookupKey, offset: u64) -> [u8; SLOT_SIZE as usize] {
    let mut slot = FREE;
    slot[..8].copy_from_slice(&key.0.to_le_bytes());
    slot[8..8 + OFFSET_SIZE].copy_from_slice(&offset.to_le_bytes()[..OFFSET_SIZE]);
    slot[8 + OFFSET_SIZE..].copy_from_slice(&checksum(key.0, offset).to_le_bytes());
    slot
}

/// Decodes a slot. Returns `None` for a free one.
///
/// # Errors
/// `InvalidData` for a damaged slot.
fn decode(slot: &[u8]) -> io::Result<Option<(u64, u64)>> {
    if slot == FREE {
        return Ok(None);
    }
    let number = |bytes: &[u8]| {
        let mut padded = [0; 8];
        padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(padded)
    };
    let (key, rest) = slot.split_at_checked(8).unwrap_or_default();
    let (offset, check) = rest.split_at_checked(OFFSET_SIZE).unwrap_or_default();
    let (key, offset) = (number(key), number(offset));
    if number(check) != u64::from(checksum(key, offset)) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a slot of the lookup file is damaged"));
    }
    Ok(Some((key, offset)))
}

/// Mixes key and offset. The constants are odd numbers with well distributed bits, so that each bit counts.
fn checksum(key: u64, offset: u64) -> u16 {
    let mixed = (key ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd) ^ offset;
    let mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (mixed >> 48) as u16
}

/// Adds a slot to a table in memory.
fn insert_into(table: &mut [u8], slot: &Slot) {
    let size = SLOT_SIZE as usize;
    let count = table.len() / size;
    let start = usize::try_from(slot.key.0 & (count as u64 - 1)).unwrap_or_default();
    for number in (start..count).chain(0..start) {
        let Some(place) = table.get_mut(number * size..(number + 1) * size) else { return };
        if place == FREE {
            place.copy_from_slice(&encode(slot.key, slot.offset));
            return;
        }
    }
}
