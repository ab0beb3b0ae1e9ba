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

use crate::{Error, Kind, Result};

/// An errand that takes longer waits for a disk, and others may wait beside it.
const SLOW: Duration = Duration::from_micros(500);
/// Threads at the same time.
const MOST: usize = 32;

/// A queue of work like opening a file or asking for its length: microseconds when the system has the answer in memory.
///
/// A thread of its own for each, as [`blocking`](super::blocking) has, costs ten times that in waking and sleeping. Here one
/// thread does what waits; when something took long while others waited, another one joins.
#[derive(Clone, Default)]
pub struct Errands(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
}

impl Queue {
    /// Counts one more thread if there is to be one.
    fn admit(&mut self, another: bool) -> bool {
        self.threads += usize::from(another);
        another
    }
}

impl Errands {
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
            queue.admit(is_first)
        };
        if is_first {
            self.hire(&Handle::current());
        }
        match receiver.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(Error::new(Kind::Other, "the runtime is shutting down")),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }

    /// Starts a thread that was counted; not while the queue is held, as what can't start is uncounted at once.
    fn hire(&self, runtime: &Handle) {
        let place = Place(Some(self.clone()));
        let own = runtime.clone();
        drop(runtime.spawn_blocking(move || place.work(&own)));
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("threads", &self.queue().threads).finish_non_exhaustive()
    }
}

/// A thread's place at the queue, until there is nothing to do. A runtime that shuts down drops it unused.
struct Place(Option<Errands>);

impl Place {
    fn work(mut self, runtime: &Handle) {
        let Some(errands) = self.0.take() else { return };
        let mut was_slow = false;
        loop {
            let (errand, is_short) = {
                let mut queue = errands.queue();
                let Some(errand) = queue.waiting.pop_front() else {
                    queue.threads -= 1;
                    return;
                };
                let is_short = was_slow && !queue.waiting.is_empty() && queue.threads < MOST;
                (errand, queue.admit(is_short))
            };
            if is_short {
                errands.hire(runtime);
            }
            let began = Instant::now();
            errand();
            was_slow = began.elapsed() > SLOW;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(errands) = self.0.take() else { return };
        let left = {
            let mut queue = errands.queue();
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

    /// So many errands at a time, each on the thread it tells.
    async fn threads_of(errands: &Errands, count: usize, work: fn()) -> std::collections::HashSet<ThreadId> {
        let all = (0..count).map(|_| {
            errands.run(move || {
                work();
                Ok(thread::current().id())
            })
        });
        futures::future::try_join_all(all).await.unwrap().into_iter().collect()
    }

    #[tokio::test]
    async fn what_is_quick_shares_a_thread_and_what_is_slow_gets_others() {
        let errands = Errands::default();
        let slow = || thread::sleep(Duration::from_millis(20));
        let began = Instant::now();
        assert!(threads_of(&errands, 64, slow).await.len() > 8);
        assert!(began.elapsed() < Duration::from_millis(64 * 20 / 2));
        assert!(threads_of(&errands, 1, || {}).await.len() == 1);
        // The thread leaves when it finds nothing to do, soon after the last answer.
        while errands.queue().threads > 0 {
            tokio::task::yield_now().await;
        }
        assert!(errands.queue().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_panic_and_an_error_are_the_callers_and_the_next_one_runs() {
        let errands = Errands::default();
        let failed = errands.run(|| Err::<(), _>(Error::new(Kind::Denied, "no"))).await;
        assert_eq!(failed.unwrap_err().kind(), Kind::Denied);
        let panics = errands.run(|| -> Result<()> { panic!("on purpose") });
        assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
        assert_eq!(errands.run(|| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        static RAN: AtomicUsize = AtomicUsize::new(0);
        let errands = Errands::default();
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let mut first = Box::pin(errands.run(move || Ok(gate.recv().is_ok())));
        assert!(futures::poll!(first.as_mut()).is_pending());
        {
            let second = errands.run(|| Ok(RAN.fetch_add(1, Ordering::Relaxed)));
            assert!(futures::poll!(std::pin::pin!(second)).is_pending());
        }
        open.send(()).unwrap();
        assert!(first.await.unwrap());
        errands.run(|| Ok(())).await.unwrap();
        assert_eq!(RAN.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_runtime_that_ends_leaves_nobody_waiting() {
        let errands = Errands::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let gone = runtime();
        let handle = gone.handle().clone();
        drop(gone);
        {
            let _inside = handle.enter();
            let waiting = futures::executor::block_on(errands.run(|| Ok(())));
            assert_eq!(waiting.unwrap_err().to_string(), "the runtime is shutting down");
        }
        assert_eq!(runtime().block_on(errands.run(|| Ok(7))).unwrap(), 7);
    }
}
