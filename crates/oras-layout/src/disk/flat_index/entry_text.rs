//! Reads single entries of `index.json` at their offsets.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::index::IndexEntry;

/// The number of bytes that are read first. Most entries are shorter.
const FIRST_READ: usize = 1024;
/// The longest entry of an index that is edited in place.
pub(super) const MAX_ENTRY: usize = 256 * 1024;
/// The longest text that is read for an entry, with a comma or a bracket behind it.
const MAX_READ: usize = FIRST_READ * 512;

/// An entry with its place in the file.
#[derive(Clone, Debug)]
pub(super) struct PlacedEntry {
    pub(super) offset: u64,
    /// The length of its text in bytes.
    pub(super) length: usize,
    pub(super) entry: IndexEntry,
}

/// Reads the entry at `offset` with `read`, which returns as many bytes as it is asked for, unless the file ends.
/// Returns `None` if no entry starts there.
pub(super) fn read_entry(
    offset: u64,
    read: impl Fn(usize) -> io::Result<Vec<u8>>,
) -> io::Result<Option<PlacedEntry>> {
    let mut size = FIRST_READ;
    while size <= MAX_READ {
        let text = read(size)?;
        match parse_entry(&text, offset) {
            Parsed::Entry(entry) => return Ok(Some(entry)),
            Parsed::Incomplete if text.len() == size => size *= 8,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The result of [`parse_entry`].
pub(super) enum Parsed {
    Entry(PlacedEntry),
    /// The text ends within the entry.
    Incomplete,
    NoEntry,
}

/// Parses the entry at the start of `text`, whose offset in the file is `offset`.
pub(super) fn parse_entry(text: &[u8], offset: u64) -> Parsed {
    if text.first() != Some(&b'{') {
        return Parsed::NoEntry;
    }
    match serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>().next() {
        Some(Ok(raw)) => {
            let text = Bytes::copy_from_slice(raw.get().as_bytes());
            let length = text.len();
            let entry = IndexEntry::parse(text).ok().map(|entry| PlacedEntry { offset, length, entry });
            entry.map_or(Parsed::NoEntry, Parsed::Entry)
        }
        Some(Err(error)) if error.is_eof() => Parsed::Incomplete,
        _ => Parsed::NoEntry,
    }
}

/// Reads `length` bytes at `offset`, or fewer if the file ends.
pub(super) fn read_bytes(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = read_at_most(file, offset, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads until `buffer` is full or the file ends. Returns the number of bytes.
fn read_at_most(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
