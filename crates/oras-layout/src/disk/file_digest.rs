//! Compares the digest of an open file.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use oras_spec::{Digest, Hasher};

/// Returns true if the file has `size` bytes and the given digest. Returns `None` as soon as `should_continue` returns
/// false, and for an unknown algorithm.
///
/// # Errors
/// Those of reading the file.
pub(crate) fn has_digest(
    file: &File,
    digest: &Digest,
    size: u64,
    should_continue: impl Fn() -> bool,
) -> io::Result<Option<bool>> {
    let Some(algorithm) = digest.algorithm() else { return Ok(None) };
    let mut hasher = Hasher::new(algorithm);
    let mut length = 0;
    let is_complete = oras_fs::read_through(file, |piece| {
        hasher.update(piece);
        length += piece.len() as u64;
        if length > size || !should_continue() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    // A cancelled run may have stopped early, so its result is unknown.
    Ok(should_continue().then(|| is_complete && length == size && hasher.finish() == *digest))
}
