//! `oci-layout`, the file that makes a directory or an archive a layout.

use oras_spec::layout::{Marker, VERSION};
use oras_store::{Error, Kind, Result};

/// An error that says why this is no layout.
pub(crate) fn invalid(message: &str) -> Error {
    Error::new(Kind::InvalidContent, format!("invalid OCI Image Layout: {message}"))
}

/// Checks that the file is that of a layout of the version we know.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    let marker: Marker = serde_json::from_slice(bytes)
        .map_err(|error| invalid("failed to decode OCI layout file").with_source(error))?;
    if marker.image_layout_version != VERSION {
        return Err(invalid(&format!("unsupported version {:?}", marker.image_layout_version)));
    }
    Ok(())
}
