//! The memory for large manifests that are being received, shared fairly.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::Refusal;

/// How long a client waits for memory.
const WAIT: Duration = Duration::from_secs(30);

/// Bytes that the large manifests of all requests may have together. A client that sends slowly holds only what it has sent.
/// When all is used, a request of the owner with the most makes room for another owner.
pub(crate) struct ManifestMemory {
    limit: u64,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    shares: BTreeMap<u64, Holder>,
    next: u64,
}

struct Holder {
    owner: Arc<str>,
    size: u64,
    grew: Instant,
    evicted: Arc<Notify>,
}

/// What one request holds of the memory, until it is dropped.
pub(crate) struct Share<'a> {
    memory: &'a ManifestMemory,
    number: u64,
    owner: Arc<str>,
    evicted: Arc<Notify>,
}

impl ManifestMemory {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, state: Mutex::default(), freed: Notify::new() }
    }

    /// A share of `owner`, without any bytes yet.
    pub(crate) fn share(&self, owner: &str) -> Share<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        Share { memory: self, number, owner: owner.into(), evicted: Arc::default() }
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Share<'_> {
    /// Ready when the bytes were given to another owner.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Holds `size` bytes from now on, once there is room.
    ///
    /// # Errors
    /// 503 if there is none within 30 seconds.
    pub(crate) async fn grow(&self, size: u64) -> Result<(), Refusal> {
        let deadline = Instant::now() + WAIT;
        loop {
            let freed = self.memory.freed.notified();
            if self.try_grow(size) {
                return Ok(());
            }
            if timeout_at(deadline, freed).await.is_err() {
                return Err(too_many());
            }
        }
    }

    fn try_grow(&self, size: u64) -> bool {
        let mut state = self.memory.state();
        loop {
            let others = state.shares.iter().filter(|(number, _)| **number != self.number);
            if others.map(|(_, holder)| holder.size).sum::<u64>() + size <= self.memory.limit {
                let (owner, evicted) = (Arc::clone(&self.owner), Arc::clone(&self.evicted));
                let holder = Holder { owner, size, grew: Instant::now(), evicted };
                state.shares.insert(self.number, holder);
                return true;
            }
            let Some(victim) = self.victim(&state, size) else { return false };
            if let Some(holder) = state.shares.remove(&victim) {
                holder.evicted.notify_one();
            }
        }
    }

    /// The request of the owner with the most bytes that has waited longest for more of its own, if the owner of this one would
    /// have less.
    fn victim(&self, state: &State, size: u64) -> Option<u64> {
        let mut held = HashMap::<&str, u64>::new();
        for (_, holder) in state.shares.iter().filter(|(number, _)| **number != self.number) {
            *held.entry(&holder.owner).or_default() += holder.size;
        }
        let most = held.values().copied().max()?;
        if held.get(&*self.owner).copied().unwrap_or_default() + size >= most {
            return None;
        }
        let of_most = state
            .shares
            .iter()
            .filter(|(number, holder)| **number != self.number && held.get(&*holder.owner) == Some(&most));
        of_most.min_by_key(|(_, holder)| holder.grew).map(|(number, _)| *number)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.memory.state().shares.remove(&self.number);
        self.memory.freed.notify_waiters();
    }
}

/// The refusal of a manifest for which there is no memory now.
pub(crate) fn too_many() -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let refusal = Refusal::new(status, "UNAVAILABLE", "too many large manifests at once");
    refusal.with("retry-after", "10".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn the_owner_with_the_most_bytes_makes_room() {
        let memory = ManifestMemory::new(8);
        let eve: Vec<_> = (0..4).map(|_| memory.share("eve")).collect();
        for share in &eve {
            share.grow(2).await.unwrap();
        }
        // She can't have more herself.
        assert!(memory.share("eve").grow(1).now_or_never().is_none());
        let ann = memory.share("ann");
        ann.grow(1).now_or_never().unwrap().unwrap();
        ann.grow(3).now_or_never().unwrap().unwrap();
        let evicted: Vec<_> = eve.iter().map(|share| share.evicted().now_or_never().is_some()).collect();
        assert_eq!(evicted, [true, true, false, false]);
        // Where all have the same, they wait for each other.
        let waiting = ann.grow(6);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(eve);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn who_sends_slowly_holds_only_what_came() {
        let memory = ManifestMemory::new(100);
        let slow: Vec<_> = (0..50).map(|number| memory.share(&number.to_string())).collect();
        for share in &slow {
            share.grow(1).await.unwrap();
        }
        memory.share("ann").grow(50).now_or_never().unwrap().unwrap();
    }
}
