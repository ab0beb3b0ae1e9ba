//! Tasks of write requests, which continue to their end even if the client disconnects.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

use crate::limits::client_id::ClientId;

/// The running writes of all clients, each in a task of its own.
#[derive(Clone, Default)]
pub(crate) struct WriteTasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tasks: Mutex<JoinSet<()>>,
    /// The number of running writes of each client.
    counts: Mutex<HashMap<ClientId, usize>>,
}

impl WriteTasks {
    /// Spawns a write of `client`; the receiver returns its result. Returns `None` if `limit` writes of the client are
    /// running: a client that disconnects after every request must not pile up work.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        client: ClientId,
        limit: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let slot = ClientSlot::acquire(self, client, limit)?;
        let (sender, receiver) = oneshot::channel();
        let mut tasks = self.0.tasks.lock();
        // Finished tasks stay in the set until they are joined.
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        tasks.spawn(async move {
            // The task owns the slot: a write counts until it ends, even if its client has disconnected.
            let _slot = slot;
            // The client may have disconnected.
            drop(sender.send(work.await));
        });
        Some(receiver)
    }

    /// Waits until the running writes have ended.
    pub(crate) async fn finish(&self) {
        // The tasks are taken out of the mutex, because its lock must not be held across an await.
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock());
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a write failed");
    }
}

/// One write in the count of its client.
struct ClientSlot {
    tasks: WriteTasks,
    client: ClientId,
}

impl ClientSlot {
    fn acquire(tasks: &WriteTasks, client: ClientId, limit: usize) -> Option<Self> {
        let mut counts = tasks.0.counts.lock();
        let count = counts.entry(client.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self { tasks: tasks.clone(), client })
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        let mut counts = self.tasks.0.counts.lock();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn client(name: &str) -> ClientId {
        ClientId::User(name.into())
    }

    #[tokio::test]
    async fn limits_writes_of_one_client() {
        let tasks = WriteTasks::default();
        let eve =
            [tasks.spawn(client("eve"), 2, pending::<()>()), tasks.spawn(client("eve"), 2, pending::<()>())];
        assert!(eve.iter().all(Option::is_some) && tasks.spawn(client("eve"), 2, ready(())).is_none());
        assert_eq!(tasks.spawn(client("ann"), 2, ready(7)).unwrap().await, Ok(7));
    }

    #[tokio::test]
    async fn write_continues_when_its_client_disconnects() {
        let tasks = WriteTasks::default();
        let (sender, receiver) = oneshot::channel();
        let response = tasks.spawn(client("ann"), 1, async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        });
        drop(response);
        tasks.finish().await;
        receiver.await.unwrap();
        assert!(tasks.spawn(client("ann"), 1, ready(())).is_some(), "it is no longer counted");
    }
}
