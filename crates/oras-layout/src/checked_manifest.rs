//! Checks a manifest before it is stored.

use oras_spec::Manifest;
use oras_store::{Content, Result};

use crate::size_limits::MAX_STORED_MANIFEST;

/// Reads a manifest into memory and checks it. Returns any other content unchanged.
///
/// # Errors
/// `InvalidContent` if the bytes are not a manifest of their media type, and the errors of reading the content.
pub(crate) async fn checked(content: &Content) -> Result<Content> {
    let descriptor = content.descriptor();
    if !descriptor.media_type.is_manifest() {
        return Ok(content.clone());
    }
    // A malformed manifest in the index would make every later garbage collection fail.
    let bytes = content.bytes(MAX_STORED_MANIFEST).await?;
    Manifest::parse(&descriptor.media_type, bytes.clone())?;
    Content::from_bytes(descriptor.clone(), bytes)
}
