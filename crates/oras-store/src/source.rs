//! The trait of a store that content can be read from.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use oras_spec::Descriptor;

use crate::{ByteStream, Origin, Result};

/// A store that content can be read from.
///
/// Callers read through [`Content`](crate::Content), which verifies the bytes. [`Source::fetch`] returns unverified bytes.
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns the descriptor that `reference`, a tag or the text of a digest, names in this store.
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
    /// `range` lies within the size of the descriptor. A store that keeps manifests and blobs apart chooses by the
    /// media type of the descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the store does not have the content.
    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream>;

    /// Returns where a target can reach the bytes of `descriptor` without this store. Makes no request.
    fn origin(&self, _descriptor: &Descriptor) -> Origin {
        Origin::Opaque
    }
}
