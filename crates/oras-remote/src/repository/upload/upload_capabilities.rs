//! What a client has learned of a registry's uploads within this run, beginning with its profile.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::profile::Profile;

/// The first size of a piece, once a body as large as the rest was too large.
pub(super) const FIRST_PIECE: u64 = 16 << 20;
/// A registry that does not take that much at once is given up.
const SMALLEST_PIECE: u64 = 64 << 10;
/// The largest minimum for a piece that is heeded.
const LARGEST_MINIMUM: u64 = 1 << 30;
/// Small blobs that were not there before it is worth finding out whether one request does for each.
const BEFORE_TRIAL: u32 = 3;

/// The registries of a client, by where they are.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<HashMap<String, Arc<Host>>>);

impl Hosts {
    /// What is known of the registry at `origin`, whose name is `server`.
    pub(crate) fn get(&self, origin: String, server: &str) -> Arc<Host> {
        let mut hosts = self.0.lock();
        Arc::clone(hosts.entry(origin).or_insert_with(|| {
            let profile = Profile::of(server);
            tracing::debug!(registry = server, profile = profile.name, "uploading");
            Arc::new(Host(Mutex::new(Known::new(profile))))
        }))
    }
}

/// One registry; all that is pushed to it at the same time learns together.
#[derive(Debug)]
pub(crate) struct Host(Mutex<Known>);

#[derive(Debug)]
struct Known {
    max_put: Option<u64>,
    /// The largest piece.
    piece: Option<u64>,
    /// The smallest piece, but for the last one.
    minimum: u64,
    takes_patch: bool,
    single_post: SinglePost,
    mounts: bool,
}

/// Whether a registry takes a blob with the `POST` (distribution-spec, "Single POST").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SinglePost {
    Yes,
    No,
    /// After so many blobs were sent otherwise.
    Unknown(u32),
    /// Somebody is finding out.
    Trial,
}

impl Known {
    fn new(profile: &Profile) -> Self {
        Self {
            max_put: profile.max_put,
            piece: profile.max_patch,
            minimum: 0,
            takes_patch: profile.takes_patch,
            single_post: match profile.takes_single_post {
                Some(true) => SinglePost::Yes,
                Some(false) => SinglePost::No,
                None => SinglePost::Unknown(0),
            },
            mounts: profile.mounts,
        }
    }
}

impl Host {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock()
    }

    /// Whether `size` bytes may be sent by one `PUT`.
    pub(super) fn takes_whole(&self, size: u64) -> bool {
        let known = self.known();
        !known.takes_patch || known.max_put.is_none_or(|most| size <= most)
    }

    /// How many of the `left` bytes to send next; `careful` when all of them at once did not get through.
    pub(super) fn piece(&self, left: u64, careful: bool) -> u64 {
        let known = self.known();
        let most = known.piece.or(careful.then_some(FIRST_PIECE));
        left.min(most.map_or(left, |most| most.max(known.minimum)))
    }

    /// Whether blobs may come in pieces.
    pub(super) fn takes_patch(&self) -> bool {
        self.known().takes_patch
    }

    pub(super) fn refuses_patch(&self) {
        self.known().takes_patch = false;
    }

    /// Remembers the smallest piece that the registry announced (distribution-spec, `OCI-Chunk-Min-Length`).
    pub(super) fn announced_minimum(&self, bytes: u64) {
        self.known().minimum = bytes.min(LARGEST_MINIMUM);
    }

    /// Remembers that a body of `bytes` was too large, by `PUT` or not; whether smaller ones can be tried.
    pub(super) fn too_large(&self, bytes: u64, put: bool) -> bool {
        let mut known = self.known();
        let smallest = SMALLEST_PIECE.max(known.minimum);
        if !known.takes_patch || bytes <= smallest {
            return false;
        }
        if put {
            let most = bytes - 1;
            known.max_put = Some(known.max_put.map_or(most, |before| before.min(most)));
        }
        // Whole blocks, as files are read.
        let half = (bytes / 2) / SMALLEST_PIECE * SMALLEST_PIECE;
        let most = known.piece.unwrap_or(FIRST_PIECE).min(half).max(smallest);
        known.piece = Some(most);
        tracing::debug!(too_large = bytes, piece = most, "sending smaller pieces");
        true
    }

    /// Whether asking for a mount is worth it.
    pub(super) fn mounts(&self) -> bool {
        self.known().mounts
    }

    /// Remembers that the registry answers an error to a mount from where the blob is to go.
    pub(super) fn refuses_mounts(&self) {
        self.known().mounts = false;
    }

    pub(super) fn takes_single_post(&self) -> bool {
        self.known().single_post == SinglePost::Yes
    }

    /// Whether the caller, who has a small blob that the registry lacks, is to find out if it takes a single `POST`.
    pub(super) fn tries_single_post(&self) -> bool {
        let mut known = self.known();
        match known.single_post {
            SinglePost::Unknown(BEFORE_TRIAL) => {
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

    pub(super) fn learned_single_post(&self, takes: bool) {
        self.known().single_post = if takes { SinglePost::Yes } else { SinglePost::No };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Arc<Host> {
        Hosts::default().get("http://h:80".into(), "h")
    }

    #[test]
    fn pieces_shrink_to_a_floor() {
        let host = host();
        assert_eq!((host.piece(1 << 30, false), host.piece(1 << 30, true)), (1 << 30, FIRST_PIECE));
        assert!(host.takes_whole(1 << 30));
        assert!(host.too_large(1 << 30, true));
        assert!(!host.takes_whole(1 << 30) && host.takes_whole((1 << 30) - 1));
        let mut piece = host.piece(1 << 30, false);
        assert_eq!(piece, FIRST_PIECE);
        while host.too_large(piece, false) {
            let next = host.piece(1 << 30, false);
            // Another transfer that meets the same limit does not halve it again.
            assert!(host.too_large(piece, false) && host.piece(1 << 30, false) == next);
            assert_eq!(next, piece / 2);
            piece = next;
        }
        assert_eq!(piece, SMALLEST_PIECE);
        assert_eq!(host.piece(10, false), 10);
    }

    #[test]
    fn a_minimum_is_kept() {
        let host = host();
        host.announced_minimum(1 << 20);
        assert!(host.too_large(3 << 20, false));
        assert_eq!(host.piece(1 << 30, false), 3 << 19);
        assert!(host.too_large(3 << 19, false));
        assert_eq!(host.piece(1 << 30, false), 1 << 20);
        assert!(!host.too_large(1 << 20, false));
    }

    #[test]
    fn one_finds_out_for_all() {
        let host = host();
        let asked: Vec<_> = (0..6).map(|_| host.tries_single_post()).collect();
        assert_eq!(asked, [false, false, false, true, false, false]);
        host.learned_single_post(true);
        assert!(host.takes_single_post() && !host.tries_single_post());
    }
}
