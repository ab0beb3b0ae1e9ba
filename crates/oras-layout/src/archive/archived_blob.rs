//! The place of a blob in an archive.

use oras_spec::Digest;

/// The place of a blob in an archive. [`Archive::blobs`](crate::Archive::blobs) lists them, for example to verify every
/// blob:
///
/// ```
/// use oras_layout::store::Content;
/// use oras_layout::store::spec::{Descriptor, MediaType};
/// use oras_layout::{Archive, ArchivedBlob};
///
/// /// Fails if a blob is damaged.
/// async fn verify(archive: &Archive) -> oras_layout::store::Result<()> {
///     for ArchivedBlob { digest, size, .. } in archive.blobs() {
///         let node = Descriptor::new(MediaType::OCTET_STREAM, digest, size);
///         archive.content(&node).bytes(size).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedBlob {
    /// The digest in the name of the entry. The bytes may have another one.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The position of the first byte in the archive.
    pub offset: u64,
}
