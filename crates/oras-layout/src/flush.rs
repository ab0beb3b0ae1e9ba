//! Names that are made durable together: threads that wait to flush one directory share a flush.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oras_store::{Result, fsio};

/// The directories of a layout that are flushed.
#[derive(Debug, Default)]
pub(crate) struct Flushes(Mutex<HashMap<PathBuf, Arc<Flush>>>);

#[derive(Debug, Default)]
struct Flush {
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

/// Flushes are numbered from 1; one runs at a time.
#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    succeeded: u64,
    is_running: bool,
}

impl Flushes {
    /// Makes the names that are in `directory` now durable; blocks until they are.
    pub(crate) fn directory(&self, directory: &Path) -> Result<()> {
        let mut directories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flush = Arc::clone(directories.entry(directory.to_owned()).or_default());
        drop(directories);
        flush.wait(|| fsio::sync_directory(directory))
    }
}

impl Flush {
    /// Returns when a run of `work` has succeeded that began after the call, whoever ran it; with the error of the own one.
    fn wait(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut rounds = self.rounds();
        // One that runs already may have missed what was named last.
        let wanted = rounds.begun + 1;
        while rounds.is_running && rounds.succeeded < wanted {
            rounds = self.ended.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
        if rounds.succeeded >= wanted {
            return Ok(());
        }
        rounds.begun += 1;
        rounds.is_running = true;
        let mine = rounds.begun;
        drop(rounds);
        let result = work();
        let mut rounds = self.rounds();
        rounds.is_running = false;
        if result.is_ok() {
            rounds.succeeded = mine;
        }
        self.ended.notify_all();
        result
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use oras_store::{Error, Kind};

    use super::*;

    #[test]
    fn those_that_wait_share_a_run_that_began_later() {
        let (flush, named, runs) = (Flush::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let durable = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let mine = named.fetch_add(1, Ordering::SeqCst) + 1;
                        let run = || {
                            let seen = named.load(Ordering::SeqCst);
                            std::thread::sleep(Duration::from_millis(1));
                            runs.fetch_add(1, Ordering::SeqCst);
                            durable.fetch_max(seen, Ordering::SeqCst);
                            Ok(())
                        };
                        flush.wait(run).unwrap();
                        assert!(durable.load(Ordering::SeqCst) >= mine);
                    }
                });
            }
        });
        assert!(runs.into_inner() < 16 * 20, "no run was shared");
    }

    #[test]
    fn an_error_is_not_shared() {
        let flush = Flush::default();
        let failed = flush.wait(|| Err(Error::new(Kind::Io, "no"))).unwrap_err();
        assert_eq!(failed.kind(), Kind::Io);
        flush.wait(|| Ok(())).unwrap();
    }
}
