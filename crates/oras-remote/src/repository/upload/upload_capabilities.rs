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
    /// The profile of the registry, adjusted to its answers.
    profile: Profile,
    /// The smallest chunk, except for the last one.
    minimum: u64,
    /// Missing small blobs, as long as it is unknown whether the registry accepts a blob with the `POST`
    /// (distribution-spec, "Single POST").
    missing_blobs: u32,
}

impl UploadCapabilities {
    /// Creates the capabilities that the profile states.
    pub(crate) fn new(profile: &Profile) -> Self {
        Self(Mutex::new(Capabilities { profile: *profile, minimum: 0, missing_blobs: 0 }))
    }

    fn known(&self) -> MutexGuard<'_, Capabilities> {
        self.0.lock()
    }

    /// Returns true if `size` bytes may be sent by one `PUT`.
    pub(crate) fn accepts_whole(&self, size: u64) -> bool {
        let known = self.known();
        !known.profile.takes_patch || known.profile.max_put.is_none_or(|most| size <= most)
    }

    /// Returns how many of the `left` bytes to send next; `careful` limits the chunk, after requests with all bytes
    /// failed.
    pub(crate) fn chunk_size(&self, left: u64, careful: bool) -> u64 {
        let known = self.known();
        let most = known.profile.max_patch.or(careful.then_some(FIRST_CHUNK));
        left.min(most.map_or(left, |most| most.max(known.minimum)))
    }

    /// Returns true if the registry accepts chunks.
    pub(crate) fn accepts_patch(&self) -> bool {
        self.known().profile.takes_patch
    }

    pub(crate) fn disable_patch(&self) {
        self.known().profile.takes_patch = false;
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
        if !known.profile.takes_patch || bytes <= smallest {
            return false;
        }
        if put {
            let most = bytes - 1;
            known.profile.max_put = Some(known.profile.max_put.map_or(most, |before| before.min(most)));
        }
        // Chunks of whole blocks match how files are read.
        let half = (bytes / 2) / MIN_CHUNK * MIN_CHUNK;
        let most = known.profile.max_patch.unwrap_or(FIRST_CHUNK).min(half).max(smallest);
        known.profile.max_patch = Some(most);
        tracing::debug!(too_large = bytes, chunk_size = most, "sending smaller chunks");
        true
    }

    /// Returns true if mounting may work.
    pub(crate) fn supports_mounts(&self) -> bool {
        self.known().profile.mounts
    }

    /// Records that the registry rejects mounts.
    pub(crate) fn disable_mounts(&self) {
        self.known().profile.mounts = false;
    }

    pub(crate) fn accepts_single_post(&self) -> bool {
        self.known().profile.takes_single_post == Some(true)
    }

    /// Returns true if the caller, whose small blob is missing in the registry, should try a single `POST`. Only one
    /// caller gets true, so that a failed trial costs one request only.
    pub(crate) fn should_try_single_post(&self) -> bool {
        let mut known = self.known();
        known.missing_blobs = known.missing_blobs.saturating_add(1);
        known.profile.takes_single_post.is_none() && known.missing_blobs == BLOBS_BEFORE_TRIAL + 1
    }

    pub(crate) fn set_single_post(&self, takes: bool) {
        self.known().profile.takes_single_post = Some(takes);
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
