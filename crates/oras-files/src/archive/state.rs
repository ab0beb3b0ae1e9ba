//! What tells whether a directory is still as it was when it was packed.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::time::SystemTime;

use oras_spec::{Algorithm, Digest, Hasher};
use oras_store::FileStamp;

/// The digest of the names and the metadata of everything in a directory, in the order of a walk: equal digests mean equal
/// archives.
pub(super) struct State {
    hasher: Hasher,
    since: SystemTime,
    is_settled: bool,
}

impl State {
    /// To be made before the first entry is looked at.
    pub(super) fn new() -> Self {
        Self { hasher: Hasher::new(Algorithm::Sha256), since: SystemTime::now(), is_settled: true }
    }

    /// The next entry, at that path within the directory.
    pub(super) fn add(&mut self, relative: &OsStr, metadata: &Metadata) {
        let stamp = FileStamp::of(metadata);
        self.is_settled &= stamp.is_settled(self.since);
        let FileStamp { inode: (device, number), length, modified, changed } = stamp;
        let name = relative.as_encoded_bytes();
        for number in [name.len() as u64, device, number, length] {
            self.hasher.update(&number.to_le_bytes());
        }
        for time in [modified, changed] {
            self.hasher.update(&time.to_le_bytes());
        }
        self.hasher.update(name);
    }

    /// `None` if something was changed so lately that one more change might not show.
    pub(super) fn finish(self) -> Option<Digest> {
        self.is_settled.then(|| self.hasher.finish())
    }
}
