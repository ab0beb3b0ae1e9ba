//! Writes and queries a large `index.json` in time that does not depend on its number of entries.
//!
//! A small index is read and replaced as a whole. From [`MIN_FLAT_SIZE`] on, a change edits the file in place: it
//! writes new entries over the closing brackets, and other entries over themselves. Spaces fill what an edit leaves
//! over, so the file is valid JSON for other tools before and after each edit. The file `index.lookup` beside it says
//! where in `index.json` the entries of a tag or a digest are.
//!
//! - **Truth.** The lookup file is a cache. It holds for the exact `index.json` whose stamp it has; any other writer
//!   changes that stamp, and the next change makes a new lookup file. Each offset that it gives is checked: the entry
//!   there must have the tag or digest in question.
//! - **Crashes.** The edits are flushed to the lookup file before `index.json` is touched, so the next writer
//!   completes them, also after a power failure in the middle of an edit. A killed process leaves valid JSON.
//! - **Readers without the lock** see an entry before or after its edit. New entries are written before old ones are
//!   overwritten, so that a moved tag is never missing. A read in the same microsecond as the write of the same entry
//!   may see a mixture; our readers then try again.
//! - **Other programs** do not wait for the lock. An index that one of them has written is replaced by our changes, and
//!   edited in place only when it was not written for some seconds.
//!
//! A change that needs all entries, such as garbage collection, replaces `index.json` as if it was small.

mod build_lookup;
mod entry_text;
mod index_edits;
mod index_growth;
mod index_query;
mod lookup_file;
mod lookup_key;
mod write_edits;

#[cfg(test)]
mod tests;

pub(crate) use index_growth::IndexGrowth;
pub(crate) use index_query::{find, full_references, is_current, tagged};
pub(crate) use write_edits::{apply_flat, complete_interrupted, editable_from, index_replaced};

/// The size in bytes from which an `index.json` is edited in place: about 130 entries. Up to this size, reading and
/// replacing the file takes less time than flushing it to the disk.
const MIN_FLAT_SIZE: u64 = 32 * 1024;
/// The number of offsets that one key may have. The edits of a digest with more entries may leave a redundant
/// untagged entry, or replace the whole index.
const MAX_OFFSETS: usize = 32;
