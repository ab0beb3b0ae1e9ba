//! Maximum sizes of the files of a layout. Writers use the same limits as readers.

use oras_store::{Error, ErrorKind, Result, check_written_size};

/// The largest `index.json` that is read or written: 64 MiB list 200,000 manifests.
pub(crate) const MAX_INDEX_SIZE: u64 = 64 * 1024 * 1024;
/// The largest manifest that is stored: far more than any registry accepts.
pub(crate) const MAX_STORED_MANIFEST: u64 = 64 * 1024 * 1024;
/// The largest `oci-layout` that is read.
pub(crate) const MAX_MARKER_SIZE: u64 = 64 * 1024;

/// Returns the error for a file of `size` bytes that is larger than `limit`.
pub(crate) fn too_large(name: &str, size: u64, limit: u64) -> Error {
    // The source error does not contain the path: a server shows it to clients, which must not see the path.
    let cause =
        Error::new(ErrorKind::TooLarge, format!("the file has {size} bytes, and at most {limit} are read"));
    cause.context(format!("failed to read {name}"))
}

/// Rejects an `index.json` that could not be read again.
///
/// # Errors
/// `TooLarge`.
pub(crate) fn check_index(name: &str, index: &[u8]) -> Result<()> {
    check_written_size("the index", index.len(), MAX_INDEX_SIZE).map_err(|error| {
        let message = format!("{error}: delete tags or manifests, or use another layout");
        Error::new(error.kind(), message).context(format!("failed to write {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_an_index_that_could_not_be_read() {
        let limit = usize::try_from(MAX_INDEX_SIZE).unwrap();
        check_index("index.json", &vec![b' '; limit]).unwrap();
        let error = check_index("index.json", &vec![b' '; limit + 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.chain().contains("failed to write index.json: the index would have 67108865 bytes"));
    }
}
