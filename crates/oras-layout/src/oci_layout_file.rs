//! The content of `oci-layout`, the file that marks a directory or an archive as a layout.

use oras_spec::layout::{Marker, VERSION};
use oras_store::{Error, ErrorKind, Result};

/// Why a path cannot be used as an OCI image layout. [`Error::find`] finds it in the error, whose message states it.
///
/// ```
/// use oras_layout::{Layout, LayoutFault};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let directory = tempfile::tempdir()?;
/// let error = Layout::open(directory.path()).await.unwrap_err();
/// assert_eq!(error.find::<LayoutFault>(), Some(&LayoutFault::NoMarker));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutFault {
    /// The path does not exist.
    #[error("no such file or directory")]
    Missing,
    /// The directory or archive has no file `oci-layout`.
    #[error("no oci-layout file")]
    NoMarker,
    /// The archive has no file `index.json`.
    #[error("no index.json")]
    NoIndex,
    /// The file `oci-layout` names this version instead of 1.0.0.
    #[error("unsupported version {0:?}")]
    Version(String),
    /// The path to write to is a file.
    #[error("not a directory")]
    NotDirectory,
}

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
        let fault = LayoutFault::Version(marker.image_layout_version);
        return Err(invalid_layout(&fault.to_string()).with_detail(fault));
    }
    Ok(())
}
