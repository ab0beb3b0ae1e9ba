//! The limit for the size of a manifest, and the check of a document before it is written.

use crate::{Error, ErrorKind, Result};

/// Checks, before a document is written, that its size is within the limit of its readers.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if `size` exceeds `limit`. `what` names the document in the message.
pub fn check_written_size(what: &str, size: usize, limit: u64) -> Result<()> {
    // A store that wrote a larger document could not read it again.
    if size as u64 <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("{what} would have {size} bytes, and at most {limit} are read"),
    ))
}

/// The default limit for the size of a manifest: 4 MiB, which the distribution-spec requires every registry to accept
/// ("Pushing Manifests").
pub const MAX_MANIFEST_SIZE: u64 = 4 * 1024 * 1024;
