//! The trait of a store that content can be read from.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use oras_spec::Descriptor;

use crate::{ByteStream, Origin, Result};

/// A store that content can be read from. Copies and readers of artifacts require it of their source.
///
/// Callers read through [`Content`](crate::Content), which verifies the bytes. [`Source::fetch`] returns unverified
/// bytes. All methods may be called concurrently, and content can be read any number of times.
///
/// ```
/// use std::sync::Arc;
///
/// use oras_store::{Content, Result, Source};
///
/// /// Reads the manifest that `tag` names.
/// async fn manifest(source: Arc<dyn Source>, tag: &str) -> Result<bytes::Bytes> {
///     let descriptor = source.resolve(tag).await?;
///     Content::from_source(source, descriptor).bytes(oras_store::MAX_MANIFEST_SIZE).await
/// }
/// ```
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns the descriptor that `reference`, a tag or the text of a digest, names in this store.
    ///
    /// The digest of a manifest resolves to a descriptor with the media type, digest and size of the manifest, and no
    /// other field, also if no tag names the manifest. For a tag, a store may return more fields. A store that can
    /// resolve the digest of a blob returns the media type `application/octet-stream`: only the manifest that lists a
    /// blob knows its media type.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store has no such tag or digest.
    async fn resolve(&self, reference: &str) -> Result<Descriptor>;

    /// Like [`Source::resolve`], but also returns the bytes of the manifest if the store got them in the same
    /// request. The store has verified their size and digest.
    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        Ok((self.resolve(reference).await?, None))
    }

    /// Returns the bytes of `descriptor` within `range`, unverified. Only [`Content`](crate::Content) calls this.
    ///
    /// `range` lies within the size of the descriptor. The stream begins at the start of the range. It may contain
    /// more or fewer bytes than the range, and the receiver checks this. A manifest has exactly the bytes that were
    /// pushed, with their white space, order and unknown fields. A store that keeps manifests and blobs apart chooses
    /// by the media type of the descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have the content. The error is
    /// returned by this call or is the first item of the stream.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream>;

    /// Returns where a target can reach the bytes of `descriptor` without this store. Makes no request.
    fn origin(&self, _descriptor: &Descriptor) -> Origin {
        Origin::Opaque
    }
}
