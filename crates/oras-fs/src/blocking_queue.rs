//! Many short pieces of blocking work, on as few threads as are quick enough for them.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use oras_store::{Error, ErrorKind, Result};

/// An errand that takes longer waits for a disk, and others may wait beside it.
const SLOW_CALL: Duration = Duration::from_micros(500);
/// Threads at the same time.
const MAX_WORKERS: usize = 32;

/// A queue of work like opening a file or asking for its length: microseconds when the system has the answer in memory.
///
/// A thread of its own for each, as [`blocking`](super::blocking) has, costs ten times that in waking and sleeping. Here one
/// thread does what waits; when something took long while others waited, another one joins.
#[derive(Clone, Default)]
pub struct BlockingQueue(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
}

impl Queue {
    /// Counts one more thread if there is to be one.
    fn count_worker(&mut self, another: bool) -> bool {
        self.threads += usize::from(another);
        another
    }
}

impl BlockingQueue {
    /// Runs `work` on a thread that may block, and hands back its result. Dropped before it began, it does not run.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel::<std::result::Result<Result<T>, Box<dyn Any + Send>>>();
        let errand = move || {
            if !sender.is_closed() {
                // Nobody sees what a panic has left half done: the panic goes on where it is waited for.
                drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
            }
        };
        let is_first = {
            let mut queue = self.queue();
            queue.waiting.push_back(Box::new(errand));
            let is_first = queue.threads == 0;
            queue.count_worker(is_first)
        };
        if is_first {
            self.start_worker(&Handle::current());
        }
        match receiver.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorKind::Other, "the runtime is shutting down")),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }

    /// Starts a thread that was counted; not while the queue is held, as what can't start is uncounted at once.
    fn start_worker(&self, runtime: &Handle) {
        let place = Worker(Some(self.clone()));
        let own = runtime.clone();
        drop(runtime.spawn_blocking(move || place.work(&own)));
    }
}

impl fmt::Debug for BlockingQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingQueue").field("threads", &self.queue().threads).finish_non_exhaustive()
    }
}

/// A thread's place at the queue, until there is nothing to do. A runtime that shuts down drops it unused.
struct Worker(Option<BlockingQueue>);

impl Worker {
    fn work(mut self, runtime: &Handle) {
        let Some(blocking_queue) = self.0.take() else { return };
        let mut was_slow = false;
        loop {
            let (errand, is_short) = {
                let mut queue = blocking_queue.queue();
                let Some(errand) = queue.waiting.pop_front() else {
                    queue.threads -= 1;
                    return;
                };
                let is_short = was_slow && !queue.waiting.is_empty() && queue.threads < MAX_WORKERS;
                (errand, queue.count_worker(is_short))
            };
            if is_short {
                blocking_queue.start_worker(runtime);
            }
            let began = Instant::now();
            errand();
            was_slow = began.elapsed() > SLOW_CALL;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let Some(blocking_queue) = self.0.take() else { return };
        let left = {
            let mut queue = blocking_queue.queue();
            queue.threads -= 1;
            if queue.threads == 0 { std::mem::take(&mut queue.waiting) } else { VecDeque::new() }
        };
        // Whoever waits for them is told, now that the queue is free.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{self, ThreadId};

    use futures::FutureExt;

    use super::*;

    /// So many blocking_queue at a time, each on the thread it tells.
    async fn threads_of(
        blocking_queue: &BlockingQueue,
        count: usize,
        work: fn(),
    ) -> std::collections::HashSet<ThreadId> {
        let all = (0..count).map(|_| {
            blocking_queue.run(move || {
                work();
                Ok(thread::current().id())
            })
        });
        futures::future::try_join_all(all).await.unwrap().into_iter().collect()
    }

    #[tokio::test]
    async fn what_is_quick_shares_a_thread_and_what_is_slow_gets_others() {
        let blocking_queue = BlockingQueue::default();
        let slow = || thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        assert!(threads_of(&blocking_queue, 64, slow).await.len() > 8);
        assert!(began.elapsed() < Duration::from_millis(64 * 20 / 2));
        assert!(threads_of(&blocking_queue, 1, || {}).await.len() == 1);
        // The thread leaves when it finds nothing to do, soon after the last answer.
        while blocking_queue.queue().threads > 0 {
            tokio::task::yield_now().await;
        }
        assert!(blocking_queue.queue().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_panic_and_an_error_are_the_callers_and_the_next_one_runs() {
        let blocking_queue = BlockingQueue::default();
        let failed = blocking_queue.run(|| Err::<(), _>(Error::new(ErrorKind::Denied, "no"))).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Denied);
        let panics = blocking_queue.run(|| -> Result<()> { panic!("on purpose") });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(blocking_queue.run(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let blocking_queue = BlockingQueue::default();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let mut first = Box::pin(blocking_queue.run(move || Ok(gate.recv().is_ok())));
        assert!(futures::poll!(first.as_mut()).is_pending());
        {
            let second = blocking_queue.run(|| Ok(RAN.fetch_add(1, Ordering::Relaxed)));
            assert!(futures::poll!(std::pin::pin!(second)).is_pending());
        }
        open.send(()).unwrap();
        assert!(first.await.unwrap());
        blocking_queue.run(|| Ok(())).await.unwrap();
        assert_eq!(RAN.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_waiting() {
        let blocking_queue = BlockingQueue::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let gone = runtime();
        let handle = gone.handle().clone();
        drop(gone);
        {
            let _inside = handle.enter();
            let waiting = futures::executor::block_on(blocking_queue.run(|| Ok(())));
            assert_eq!(waiting.unwrap_err().to_string(), "the runtime is shutting down");
        }
        assert_eq!(runtime().block_on(blocking_queue.run(|| Ok(7))).unwrap(), 7);
    }
}
