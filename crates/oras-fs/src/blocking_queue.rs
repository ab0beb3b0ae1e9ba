//! A queue for short blocking file-system calls.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use oras_store::{Error, ErrorKind, Result};

use crate::Mutex;

/// A call that takes longer than this probably waits for a disk, so another worker can use the processor. A
/// smaller value would start threads for calls that do not wait.
const SLOW_CALL: Duration = Duration::from_micros(500);
/// The maximum number of worker threads of one queue. The runtime has a limited number of blocking threads, and long
/// calls need them, too.
const MAX_WORKERS: usize = 32;

/// A queue for short blocking file-system calls that adds worker threads only while calls are slow.
///
/// A call such as opening a file takes microseconds if the operating system has cached the data.
/// [`blocking`](crate::blocking) wakes a thread for each call, which costs ten times as much. Here one worker thread
/// runs the queued calls one after the other. If a call was slow and further calls are queued, the queue starts
/// another worker.
///
/// ```
/// use oras_fs::BlockingQueue;
/// use oras_store::{Error, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let queue = BlockingQueue::default();
/// let directory = std::env::temp_dir();
/// let metadata =
///     queue.run(move || std::fs::metadata(directory).map_err(|error| Error::io("failed to open", error))).await?;
/// assert!(metadata.is_dir());
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct BlockingQueue(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    calls: VecDeque<Box<dyn FnOnce() + Send>>,
    workers: usize,
}

impl BlockingQueue {
    /// Runs `work` on a thread that may block, and returns its result. If the future is dropped before `work` starts,
    /// `work` does not run.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel::<std::result::Result<Result<T>, Box<dyn Any + Send>>>();
        let call = move || {
            if !sender.is_closed() {
                // The worker must survive a panic of `work`. The panic resumes in the caller, so that no code sees the
                // state that `work` left behind.
                drop(sender.send(catch_unwind(AssertUnwindSafe(work))));
            }
        };
        let is_first = {
            let mut queue = self.0.lock();
            queue.calls.push_back(Box::new(call));
            let is_first = queue.workers == 0;
            queue.workers += usize::from(is_first);
            is_first
        };
        // Only the first call starts a worker here. A running worker starts further workers if calls are slow.
        if is_first {
            self.start_worker(&Handle::current());
        }
        match receiver.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Error::new(ErrorKind::Other, "the runtime is shutting down")),
        }
    }

    /// Starts a worker that the caller has counted in [`Queue::workers`].
    ///
    /// The caller must not hold the lock: a runtime that shuts down drops the worker at once, and `Worker::drop`
    /// locks the queue.
    fn start_worker(&self, runtime: &Handle) {
        let worker = Worker(Some(self.clone()));
        let worker_runtime = runtime.clone();
        drop(runtime.spawn_blocking(move || worker.work(&worker_runtime)));
    }
}

impl fmt::Debug for BlockingQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingQueue").field("workers", &self.0.lock().workers).finish_non_exhaustive()
    }
}

/// A worker thread that runs calls until the queue is empty. The field is `None` once the thread runs.
struct Worker(Option<BlockingQueue>);

impl Worker {
    fn work(mut self, runtime: &Handle) {
        let Some(blocking_queue) = self.0.take() else { return };
        let mut was_slow = false;
        loop {
            let (call, needs_worker) = {
                let mut queue = blocking_queue.0.lock();
                // One lock covers this check and the subtraction. A caller that queues a call later sees the lower
                // count, and starts a worker if none is left.
                let Some(call) = queue.calls.pop_front() else {
                    queue.workers -= 1;
                    return;
                };
                // The new worker is counted under the lock that checks the limit, so two workers cannot exceed it
                // together.
                let needs_worker = was_slow && !queue.calls.is_empty() && queue.workers < MAX_WORKERS;
                queue.workers += usize::from(needs_worker);
                (call, needs_worker)
            };
            if needs_worker {
                blocking_queue.start_worker(runtime);
            }
            let start = Instant::now();
            call();
            was_slow = start.elapsed() > SLOW_CALL;
        }
    }
}

impl Drop for Worker {
    /// Subtracts a worker that the runtime dropped before it started. If no worker is left, the queued calls fail.
    fn drop(&mut self) {
        let Some(blocking_queue) = self.0.take() else { return };
        let abandoned = {
            let mut queue = blocking_queue.0.lock();
            queue.workers -= 1;
            if queue.workers == 0 { std::mem::take(&mut queue.calls) } else { VecDeque::new() }
        };
        // This closes the channels of the calls and wakes their callers, so the queue must be unlocked.
        drop(abandoned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{self, ThreadId};

    use futures::FutureExt;

    use super::*;

    /// Runs `work` `count` times at once, and returns the threads that ran it.
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
    async fn adds_workers_while_calls_are_slow() {
        let blocking_queue = BlockingQueue::default();
        let slow = || thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        assert!(threads_of(&blocking_queue, 64, slow).await.len() > 8);
        assert!(start.elapsed() < Duration::from_millis(64 * 20 / 2));
        assert!(threads_of(&blocking_queue, 1, || {}).await.len() == 1);
        // The worker ends when the queue is empty, shortly after the last result.
        while blocking_queue.0.lock().workers > 0 {
            tokio::task::yield_now().await;
        }
        assert!(blocking_queue.0.lock().calls.is_empty());
    }

    #[tokio::test]
    async fn returns_errors_and_panics_to_the_caller() {
        let blocking_queue = BlockingQueue::default();
        let failed = blocking_queue.run(|| Err::<(), _>(Error::new(ErrorKind::Denied, "no"))).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Denied);
        let panics = blocking_queue.run(|| -> Result<()> { panic!("on purpose") });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(blocking_queue.run(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn does_not_start_a_cancelled_call() {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let blocking_queue = BlockingQueue::default();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let mut first = Box::pin(blocking_queue.run(move || Ok(gate.recv().is_ok())));
        assert!(futures::poll!(first.as_mut()).is_pending());
        {
            let second = blocking_queue.run(|| Ok(RAN.fetch_add(1, Ordering::Relaxed)));
            assert!(futures::poll!(std::pin::pin!(second)).is_pending());
        }
        release.send(()).unwrap();
        assert!(first.await.unwrap());
        blocking_queue.run(|| Ok(())).await.unwrap();
        assert_eq!(RAN.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn fails_queued_calls_when_the_runtime_shuts_down() {
        let blocking_queue = BlockingQueue::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stopped = runtime();
        let handle = stopped.handle().clone();
        drop(stopped);
        {
            let _inside = handle.enter();
            let result = futures_executor::block_on(blocking_queue.run(|| Ok(())));
            assert_eq!(result.unwrap_err().to_string(), "the runtime is shutting down");
        }
        assert_eq!(runtime().block_on(blocking_queue.run(|| Ok(7))).unwrap(), 7);
    }
}
