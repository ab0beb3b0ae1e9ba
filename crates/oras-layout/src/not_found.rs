//! Errors for layouts, tags and digests that do not exist.

use std::path::Path;

use oras_spec::Digest;
use oras_store::{Error, ErrorKind};

use crate::oci_layout_file::LayoutFault;

/// Returns the error for a tag or digest that the layout at `path` does not have.
pub(crate) fn reference_not_found(path: &Path, reference: &str) -> Error {
    // A reference is written `path:tag` or `path@digest`.
    let separator = if reference.parse::<Digest>().is_ok() { '@' } else { ':' };
    Error::not_found(format!("{}{separator}{reference}", path.display()))
}

/// Returns the error for a layout path that does not exist.
pub(crate) fn path_not_found(path: &Path) -> Error {
    let shown = path.display();
    Error::new(
        ErrorKind::NotFound,
        format!("failed to find path \"{shown}\": stat {shown}: no such file or directory"),
    )
    .with_detail(LayoutFault::Missing)
}
