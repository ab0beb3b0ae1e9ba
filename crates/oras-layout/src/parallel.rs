//! Runs blocking work on several threads.

use std::panic::resume_unwind;
use std::thread;

use oras_fs::Mutex;
use oras_store::Result;

/// Calls `work` for each of `items` on at most `threads` threads, one of them the caller's. Returns the results in the
/// order of the items.
///
/// # Errors
/// The first error of each thread ends that thread. One of these errors is returned.
pub(crate) fn in_parallel<T: Send, R: Send>(
    items: impl Iterator<Item = T> + Send,
    threads: usize,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    // The threads share one queue, so that a thread with small items processes more of them.
    let queue = Mutex::new(items.enumerate());
    let run = || {
        let next = || queue.lock().next();
        std::iter::from_fn(next).map(|(number, item)| Ok((number, work(item)?))).collect::<Result<Vec<_>>>()
    };
    let mut results = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut results = run()?;
        for thread in others {
            results.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok::<_, oras_store::Error>(results)
    })?;
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
