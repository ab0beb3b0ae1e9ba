//! Cancels work on another thread when its future is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oras_store::{Error, ErrorKind, Result};

/// A flag that is set when this guard is dropped, which ends the blocking work that polls the flag.
#[derive(Default)]
pub(crate) struct CancelOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        // The flag orders no other memory, so relaxed ordering is enough.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns an error if the flag is set.
pub(crate) fn check_cancelled(cancelled: &AtomicBool) -> Result<()> {
    if cancelled.load(Ordering::Relaxed) { Err(Error::new(ErrorKind::Other, "cancelled")) } else { Ok(()) }
}
