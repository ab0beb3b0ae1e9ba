//! Locks that make a conditional write atomic: no other write changes the reference between the check and the
//! write.

use std::hash::{BuildHasher, RandomState};

use futures::future::Either;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// References are hashed to this many locks. A collision only makes two writes wait for each other.
const LOCKS: usize = 64;

/// Locks by repository and reference. A conditional write locks its reference exclusively. Writes without a
/// condition, which are by far the most frequent, share the lock.
pub(crate) struct ReferenceLocks {
    locks: Vec<RwLock<()>>,
    hash: RandomState,
}

/// Holds the lock of a reference, shared or exclusively.
pub(super) type ReferenceGuard<'a> = Either<RwLockReadGuard<'a, ()>, RwLockWriteGuard<'a, ()>>;

impl ReferenceLocks {
    pub(crate) fn new() -> Self {
        Self { locks: (0..LOCKS).map(|_| RwLock::default()).collect(), hash: RandomState::new() }
    }

    /// Waits for the lock of a reference.
    pub(super) async fn lock(&self, name: &str, reference: &str, is_exclusive: bool) -> ReferenceGuard<'_> {
        // The hash has random keys, so a client can't choose references that collide.
        let hash = usize::try_from(self.hash.hash_one((name, reference)) % LOCKS as u64).unwrap_or_default();
        match is_exclusive {
            // tokio's lock is fair: a stream of shared locks can't starve an exclusive one.
            true => Either::Right(self.locks[hash].write().await),
            false => Either::Left(self.locks[hash].read().await),
        }
    }
}
