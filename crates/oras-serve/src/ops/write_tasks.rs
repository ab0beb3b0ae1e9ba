//! Tasks of write requests, which continue to their end even if the client disconnects.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

use crate::limits::client_id::ClientId;

/// The running writes of all clients, each in a separate task.
#[derive(Default)]
pub(crate) struct WriteTasks {
    tasks: Mutex<JoinSet<()>>,
    /// A token for each client, of which every running write holds a clone.
    clients: Mutex<HashMap<ClientId, Arc<()>>>,
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
        let token = self.token(client, limit)?;
        let (sender, receiver) = oneshot::channel();
        let mut tasks = self.tasks.lock();
        // Finished tasks stay in the set until they are joined.
        while let Some(ended) = tasks.try_join_next() {
            log_panic(ended, "a write failed");
        }
        tasks.spawn(async move {
            // The task owns the token: a write counts until it ends, even if its client has disconnected.
            let _token = token;
            // The client may have disconnected.
            drop(sender.send(work.await));
        });
        Some(receiver)
    }

    /// Returns the token of `client`, or `None` if `limit` writes hold it.
    fn token(&self, client: ClientId, limit: usize) -> Option<Arc<()>> {
        let mut clients = self.clients.lock();
        // The map itself holds one clone of each token.
        clients.retain(|_, token| Arc::strong_count(token) > 1);
        let token = clients.entry(client).or_default();
        (Arc::strong_count(token) <= limit).then(|| Arc::clone(token))
    }

    /// Waits until no write is running. The writes continue if the future is dropped.
    pub(crate) async fn finish(&self) {
        // Locked for each poll, because a lock must not be held across an await.
        while let Some(ended) = poll_fn(|cx| self.tasks.lock().poll_join_next(cx)).await {
            log_panic(ended, "a write failed");
        }
    }

    /// Cancels the running writes.
    pub(crate) fn abort(&self) {
        self.tasks.lock().abort_all();
    }
}

/// Logs a panic in a task. A cancelled task is no error: the end of the server aborts it.
pub(crate) fn log_panic(ended: Result<(), JoinError>, message: &str) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "{message}");
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
        assert!(tasks.spawn(client("bob"), 0, ready(())).is_none());
        assert_eq!(tasks.spawn(client("ann"), 2, ready(8)).unwrap().await, Ok(8));
        assert!(!tasks.clients.lock().contains_key(&client("bob")), "a rejected client is forgotten");
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
