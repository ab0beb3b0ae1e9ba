//! The memory for large manifests while the server receives them, shared fairly between clients.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::client_id::ClientId;
use crate::api::error::ApiError;

/// Manifests up to this size are received without counting them, and sent from memory.
pub(crate) const SMALL_MANIFEST: u64 = 64 * 1024;
/// How many manifests of the largest size fit into the memory.
const MAX_LARGE: u64 = 8;
/// How long a request waits for memory.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The memory that the large manifests of all requests share. A request holds only what it has received. When the
/// memory is exhausted, a request of the client with the most bytes is evicted for another client.
pub(crate) struct ManifestMemory {
    limit: u64,
    holders: Mutex<Holders>,
    freed: Notify,
}

#[derive(Default)]
struct Holders {
    by_number: BTreeMap<u64, Holder>,
    next_number: u64,
}

struct Holder {
    client: ClientId,
    size: u64,
    grew_at: Instant,
    evicted: Arc<Notify>,
}

/// The bytes that one request holds, until it is dropped.
pub(crate) struct Reservation<'a> {
    memory: &'a ManifestMemory,
    number: u64,
    client: ClientId,
    evicted: Arc<Notify>,
}

impl ManifestMemory {
    /// Creates the memory for a server that accepts manifests of at most `max_manifest_size`.
    pub(crate) fn new(max_manifest_size: u64) -> Self {
        Self { limit: MAX_LARGE * max_manifest_size, holders: Mutex::default(), freed: Notify::new() }
    }

    /// Begins a reservation without any bytes.
    pub(crate) fn reserve(&self, client: ClientId) -> Reservation<'_> {
        let mut holders = self.holders.lock();
        let number = holders.next_number;
        holders.next_number += 1;
        Reservation { memory: self, number, client, evicted: Arc::default() }
    }
}

impl Reservation<'_> {
    /// Waits until the request is evicted for another client. Returns the error for its response.
    pub(crate) async fn evicted(&self) -> ApiError {
        self.evicted.notified().await;
        exhausted()
    }

    /// Reserves `size` bytes in total, waiting until there is room.
    ///
    /// # Errors
    /// 503 after 30 seconds.
    pub(crate) async fn grow(&self, size: u64) -> Result<(), ApiError> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            // Created before the attempt, so that memory freed in between is noticed.
            let freed = self.memory.freed.notified();
            if self.try_grow(size) {
                return Ok(());
            }
            if timeout_at(deadline, freed).await.is_err() {
                return Err(exhausted());
            }
        }
    }

    fn try_grow(&self, size: u64) -> bool {
        let mut holders = self.memory.holders.lock();
        loop {
            if self.others(&holders).map(|(_, holder)| holder.size).sum::<u64>() + size <= self.memory.limit {
                let (client, evicted) = (self.client.clone(), Arc::clone(&self.evicted));
                let holder = Holder { client, size, grew_at: Instant::now(), evicted };
                holders.by_number.insert(self.number, holder);
                return true;
            }
            // Evicts one request at a time and checks again, so that no more are evicted than necessary.
            let Some(victim) = self.victim(&holders, size) else { return false };
            if let Some(holder) = holders.by_number.remove(&victim) {
                // `notify_one` stores a permit: the request notices it even if it is not waiting now.
                holder.evicted.notify_one();
            }
        }
    }

    fn others<'a>(&self, holders: &'a Holders) -> impl Iterator<Item = (u64, &'a Holder)> + use<'a> {
        let own = self.number;
        holders
            .by_number
            .iter()
            .map(|(number, holder)| (*number, holder))
            .filter(move |(number, _)| *number != own)
    }

    /// Returns the request to evict: of the client with the most bytes, the request that has received no
    /// data for the longest time. Returns `None` unless this client would hold fewer bytes than that client.
    fn victim(&self, holders: &Holders, size: u64) -> Option<u64> {
        let mut held = HashMap::<&ClientId, u64>::new();
        for (_, holder) in self.others(holders) {
            *held.entry(&holder.client).or_default() += holder.size;
        }
        let most = held.values().copied().max()?;
        // Clients with equal shares wait. Otherwise they would evict each other's requests in turn.
        if held.get(&self.client).copied().unwrap_or_default() + size >= most {
            return None;
        }
        let of_most = self.others(holders).filter(|(_, holder)| held.get(&holder.client) == Some(&most));
        of_most.min_by_key(|(_, holder)| holder.grew_at).map(|(number, _)| number)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.memory.holders.lock().by_number.remove(&self.number);
        // Wakes all waiting requests, because the freed bytes may be enough for several of them.
        self.memory.freed.notify_waiters();
    }
}

fn exhausted() -> ApiError {
    ApiError::unavailable("too many large manifests at once", 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn client(name: &str) -> ClientId {
        ClientId::User(name.into())
    }

    #[tokio::test]
    async fn client_with_most_bytes_makes_room() {
        let memory = ManifestMemory::new(1);
        let eve: Vec<_> = (0..4).map(|_| memory.reserve(client("eve"))).collect();
        for reservation in &eve {
            reservation.grow(2).await.unwrap();
        }
        // Eve already holds the most bytes, so a new request of hers waits.
        assert!(memory.reserve(client("eve")).grow(1).now_or_never().is_none());
        let ann = memory.reserve(client("ann"));
        ann.grow(1).now_or_never().unwrap().unwrap();
        ann.grow(3).now_or_never().unwrap().unwrap();
        let evicted: Vec<_> =
            eve.iter().map(|reservation| reservation.evicted().now_or_never().is_some()).collect();
        assert_eq!(evicted, [true, true, false, false]);
        // A request that would make its client the largest one waits. No other request is evicted.
        let waiting = ann.grow(6);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(eve);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn slow_request_holds_only_what_it_received() {
        let memory = ManifestMemory::new(13);
        let slow: Vec<_> = (0..50).map(|number| memory.reserve(client(&number.to_string()))).collect();
        for reservation in &slow {
            reservation.grow(1).await.unwrap();
        }
        memory.reserve(client("ann")).grow(50).now_or_never().unwrap().unwrap();
    }
}
