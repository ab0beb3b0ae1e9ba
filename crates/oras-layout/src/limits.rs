//! How large the files of a layout may be. Who writes one keeps to what is read.

use oras_store::{Error, Kind, Result};

/// An index larger than this is not an index: 64 MiB list 200,000 manifests.
pub(crate) const MAX_INDEX_SIZE: u64 = 64 * 1024 * 1024;
/// The largest manifest that is stored: far more than any registry takes.
pub(crate) const MAX_STORED_MANIFEST: u64 = 64 * 1024 * 1024;
/// The largest `oci-layout` that is read.
pub(crate) const MAX_MARKER_SIZE: u64 = 64 * 1024;

/// The error for a file of `size` bytes that is larger than it may be.
pub(crate) fn too_large(name: &str, size: u64, limit: u64) -> Error {
    // The cause is without the path, for readers who must not see it.
    let cause =
        Error::new(Kind::TooLarge, format!("the file has {size} bytes, and at most {limit} are read"));
    cause.context(format!("failed to read {name}"))
}

/// Refuses an `index.json` that could not be read any more.
pub(crate) fn check_index(name: &str, index: &[u8]) -> Result<()> {
    let size = index.len() as u64;
    if size <= MAX_INDEX_SIZE {
        return Ok(());
    }
    let message = format!(
        "the index would have {size} bytes, and at most {MAX_INDEX_SIZE} are read: delete tags or manifests, or \
         use another layout"
    );
    Err(Error::new(Kind::TooLarge, message).context(format!("failed to write {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let limit = usize::try_from(MAX_INDEX_SIZE).unwrap();
        check_index("index.json", &vec![b' '; limit]).unwrap();
        let error = check_index("index.json", &vec![b' '; limit + 1]).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge);
        assert!(error.chain().contains("failed to write index.json: the index would have 67108865 bytes"));
    }
}
