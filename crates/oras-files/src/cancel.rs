//! Ends blocking work after its future was dropped.

use oras_store::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

/// Returns an error if the work was cancelled. A blocking task can't be aborted, so it checks for each piece.
pub(crate) fn check_cancelled(cancel: &CancellationToken) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::new(ErrorKind::Other, "cancelled")) } else { Ok(()) }
}
