//! Digests of files that were hashed before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use oras_spec::{Algorithm, Digest};

use crate::FileStamp;

/// Remembers digests of files by what their metadata says of them; shared by threads.
///
/// A digest found here is as good as one computed now, as long as nobody wrote the file within the resolution of its
/// times: such files are not remembered.
#[derive(Debug, Default)]
pub struct DigestCache {
    known: Mutex<HashMap<(FileStamp, Algorithm), Digest>>,
}

impl DigestCache {
    /// A cache that is forgotten with the program.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digest of the file with that stamp.
    pub fn get(&self, stamp: &FileStamp, algorithm: Algorithm) -> Option<Digest> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(*stamp, algorithm)).cloned()
    }

    /// Remembers what the file with that stamp hashed to, if it had settled when the hashing began at `since`.
    pub fn put(&self, stamp: &FileStamp, digest: &Digest, since: SystemTime) {
        let Some(algorithm) = digest.algorithm() else { return };
        if stamp.is_settled(since) {
            self.known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert((*stamp, algorithm), digest.clone());
        }
    }
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
}
