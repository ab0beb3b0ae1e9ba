//! The upload capabilities of a registry. They start from its profile and change with its answers during this run.

use parking_lot::{Mutex, MutexGuard};

use crate::registry_profile::Profile;

/// The largest chunk size to try after the registry rejected a body as too large.
pub(crate) const FIRST_CHUNK: u64 = 16 << 20;
/// The smallest chunk size. An upload fails if the registry rejects it.
const MIN_CHUNK: u64 = 64 << 10;
/// The upper bound for the minimum chunk size that a registry announces.
const MAX_ANNOUNCED_MINIMUM: u64 = 1 << 30;
/// Missing small blobs before a trial of the single `POST`: with fewer, the trial costs more than it saves.
const BLOBS_BEFORE_TRIAL: u32 = 3;

/// The upload capabilities of one registry, shared by all concurrent uploads.
#[derive(Debug)]
pub(crate) struct UploadCapabilities(Mutex<Capabilities>);

#[derive(Debug)]
struct Capabilities {
    max_put: Option<u64>,
    /// The largest chunk.
    chunk_size: Option<u64>,
    /// The smallest chunk, except for the last one.
    minimum: u64,
    accepts_patch: bool,
    single_post: SinglePost,
    mounts: bool,
}

/// Whether a registry accepts a blob with the `POST` (distribution-spec, "Single POST").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinglePost {
    Yes,
    No,
    /// Not known. Counts the small blobs that were sent in another way.
    Unknown(u32),
    /// One upload is testing the single `POST`.
    Trial,
}

impl Capabilities {
    fn new(profile: &Profile) -> Self {
        Self {
            max_put: profile.max_put,
            chunk_size: profile.max_patch,
            minimum: 0,
            accepts_patch: profile.takes_patch,
            single_post: match profile.takes_single_post {
                Some(true) => SinglePost::Yes,
                Some(false) => SinglePost::No,
                None => SinglePost::Unknown(0),
            },
            mounts: profile.mounts,
        }
    }
}

impl UploadCapabilities {
    /// Creates the capabilities that the profile states.
    pub(crate) fn new(profile: &Profile) -> Self {
        Self(Mutex::new(Capabilities::new(profile)))
    }

    fn known(&self) -> MutexGuard<'_, Capabilities> {
        self.0.lock()
    }

    /// Returns true if `size` bytes may be sent by one `PUT`.
    pub(crate) fn accepts_whole(&self, size: u64) -> bool {
        let known = self.known();
        !known.accepts_patch || known.max_put.is_none_or(|most| size <= most)
    }

    /// Returns how many of the `left` bytes to send next; `careful` limits the chunk, after requests with all bytes
    /// failed.
    pub(crate) fn chunk_size(&self, left: u64, careful: bool) -> u64 {
        let known = self.known();
        let most = known.chunk_size.or(careful.then_some(FIRST_CHUNK));
        left.min(most.map_or(left, |most| most.max(known.minimum)))
    }

    /// Returns true if the registry accepts chunks.
    pub(crate) fn accepts_patch(&self) -> bool {
        self.known().accepts_patch
    }

    pub(crate) fn disable_patch(&self) {
        self.known().accepts_patch = false;
    }

    /// Records the smallest chunk that the registry announced (distribution-spec, `OCI-Chunk-Min-Length`).
    pub(crate) fn set_minimum(&self, bytes: u64) {
        self.known().minimum = bytes.min(MAX_ANNOUNCED_MINIMUM);
    }

    /// Records that the registry rejected a body of `bytes`, sent by `PUT` or `PATCH`, as too large. Returns true if
    /// a smaller body can be tried.
    pub(crate) fn record_too_large(&self, bytes: u64, put: bool) -> bool {
        let mut known = self.known();
        let smallest = MIN_CHUNK.max(known.minimum);
        if !known.accepts_patch || bytes <= smallest {
            return false;
        }
        if put {
            let most = bytes - 1;
            known.max_put = Some(known.max_put.map_or(most, |before| before.min(most)));
        }
        // Chunks of whole blocks match how files are read.
        let half = (bytes / 2) / MIN_CHUNK * MIN_CHUNK;
        let most = known.chunk_size.unwrap_or(FIRST_CHUNK).min(half).max(smallest);
        known.chunk_size = Some(most);
        tracing::debug!(too_large = bytes, chunk_size = most, "sending smaller chunks");
        true
    }

    /// Returns true if mounting may work.
    pub(crate) fn supports_mounts(&self) -> bool {
        self.known().mounts
    }

    /// Records that the registry rejects mounts.
    pub(crate) fn disable_mounts(&self) {
        self.known().mounts = false;
    }

    pub(crate) fn accepts_single_post(&self) -> bool {
        self.known().single_post == SinglePost::Yes
    }

    /// Returns true if the caller, whose small blob is missing in the registry, should try a single `POST`. Only one
    /// caller gets true.
    pub(crate) fn should_try_single_post(&self) -> bool {
        let mut known = self.known();
        match known.single_post {
            SinglePost::Unknown(BLOBS_BEFORE_TRIAL) => {
                // Other uploads see `Trial` and use sessions, so that a failed trial costs one request only.
                known.single_post = SinglePost::Trial;
                true
            }
            SinglePost::Unknown(count) => {
                known.single_post = SinglePost::Unknown(count + 1);
                false
            }
            _ => false,
        }
    }

    pub(crate) fn set_single_post(&self, takes: bool) {
        self.known().single_post = if takes { SinglePost::Yes } else { SinglePost::No };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads() -> UploadCapabilities {
        UploadCapabilities::new(Profile::of("h"))
    }

    #[test]
    fn chunks_shrink_to_a_minimum() {
        let uploads = uploads();
        assert_eq!(
            (uploads.chunk_size(1 << 30, false), uploads.chunk_size(1 << 30, true)),
            (1 << 30, FIRST_CHUNK)
        );
        assert!(uploads.accepts_whole(1 << 30));
        assert!(uploads.record_too_large(1 << 30, true));
        assert!(!uploads.accepts_whole(1 << 30) && uploads.accepts_whole((1 << 30) - 1));
        let mut chunk_size = uploads.chunk_size(1 << 30, false);
        assert_eq!(chunk_size, FIRST_CHUNK);
        while uploads.record_too_large(chunk_size, false) {
            let next = uploads.chunk_size(1 << 30, false);
            // A concurrent upload with the same failure does not halve the chunk again.
            assert!(
                uploads.record_too_large(chunk_size, false) && uploads.chunk_size(1 << 30, false) == next
            );
            assert_eq!(next, chunk_size / 2);
            chunk_size = next;
        }
        assert_eq!(chunk_size, MIN_CHUNK);
        assert_eq!(uploads.chunk_size(10, false), 10);
    }

    #[test]
    fn respects_announced_minimum() {
        let uploads = uploads();
        uploads.set_minimum(1 << 20);
        assert!(uploads.record_too_large(3 << 20, false));
        assert_eq!(uploads.chunk_size(1 << 30, false), 3 << 19);
        assert!(uploads.record_too_large(3 << 19, false));
        assert_eq!(uploads.chunk_size(1 << 30, false), 1 << 20);
        assert!(!uploads.record_too_large(1 << 20, false));
    }

    #[test]
    fn one_upload_tries_single_post_for_all() {
        let uploads = uploads();
        let asked: Vec<_> = (0..6).map(|_| uploads.should_try_single_post()).collect();
        assert_eq!(asked, [false, false, false, true, false, false]);
        uploads.set_single_post(true);
        assert!(uploads.accepts_single_post() && !uploads.should_try_single_post());
    }
}
