//! The content of `oci-layout`, the file that marks a directory or an archive as a layout.

use oras_spec::layout::{Marker, VERSION};
use oras_store::{Error, ErrorKind, Result};

/// Returns the error for a directory or an archive that is not a layout.
pub(crate) fn invalid_layout(message: &str) -> Error {
    Error::new(ErrorKind::InvalidContent, format!("invalid OCI Image Layout: {message}"))
}

/// Checks that the file names the supported version.
///
/// # Errors
/// `InvalidContent` otherwise.
pub(crate) fn check_version(bytes: &[u8]) -> Result<()> {
    let marker: Marker = serde_json::from_slice(bytes)
        .map_err(|error| invalid_layout("failed to decode OCI layout file").with_source(error))?;
    if marker.image_layout_version != VERSION {
        return Err(invalid_layout(&format!("unsupported version {:?}", marker.image_layout_version)));
    }
    Ok(())
}
