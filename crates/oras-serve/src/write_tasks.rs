//! Writes that are under way, also those of clients that have disconnected.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

/// The writes of all clients, each in a task of its own.
#[derive(Clone, Default)]
pub(crate) struct WriteTasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tasks: Mutex<JoinSet<()>>,
    /// How many each owner has under way.
    counts: Mutex<HashMap<String, usize>>,
}

impl WriteTasks {
    /// Begins a write of `owner`, whose result can be received; `None` if the owner has `limit` under way already. Who
    /// disconnects after every request must not pile up work.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        owner: &str,
        limit: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let turn = Turn::take(self, owner, limit)?;
        let (sender, receiver) = oneshot::channel();
        let mut tasks = lock(&self.0.tasks);
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        tasks.spawn(async move {
            let _turn = turn;
            // The client may have disconnected.
            drop(sender.send(work.await));
        });
        Some(receiver)
    }

    /// Waits until those that are under way have ended.
    pub(crate) async fn finish(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.0.tasks));
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

/// Never held across an await.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// One write in the count of its owner.
struct Turn {
    tasks: WriteTasks,
    owner: String,
}

impl Turn {
    fn take(tasks: &WriteTasks, owner: &str, limit: usize) -> Option<Self> {
        let mut counts = lock(&tasks.0.counts);
        let count = counts.entry(owner.to_owned()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self { tasks: tasks.clone(), owner: owner.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = lock(&self.tasks.0.counts);
        if let Some(count) = counts.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn writes_of_one_owner_are_bounded() {
        let tasks = WriteTasks::default();
        let eve = [tasks.begin("eve", 2, pending::<()>()), tasks.begin("eve", 2, pending::<()>())];
        assert!(eve.iter().all(Option::is_some) && tasks.begin("eve", 2, ready(())).is_none());
        assert_eq!(tasks.begin("ann", 2, ready(7)).unwrap().await, Ok(7));
    }

    #[tokio::test]
    async fn a_write_ends_without_its_client() {
        let tasks = WriteTasks::default();
        let (sender, receiver) = oneshot::channel();
        let response = tasks.begin("ann", 1, async move {
            tokio::task::yield_now().await;
            sender.send(()).unwrap();
        });
        drop(response);
        tasks.finish().await;
        receiver.await.unwrap();
        assert!(tasks.begin("ann", 1, ready(())).is_some(), "it is no longer counted");
    }
}
