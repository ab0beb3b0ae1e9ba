//! Runs one blocking call on a separate thread.

use std::panic::resume_unwind;

use oras_store::{Error, ErrorKind, Result};

/// Runs `work` on a thread that may block, and returns its result.
///
/// Dropping the future does not stop `work`. If `work` reads from or writes to a channel, it must return when the other
/// end is closed.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => Err(Error::new(ErrorKind::Other, "the runtime is shutting down").with_source(error)),
    })
}
